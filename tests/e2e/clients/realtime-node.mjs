// One realtime client in Node, told as JSON on standard output.
// usage: node realtime-node.mjs CLIENT '{"base": …, "apiKey": …, …}', where NODE_EXTRA_CA_CERTS names the server's authority
import { talkAgents, talkOpenAI, talkXai } from './realtime-talk.mjs';

const [client, text] = process.argv.slice(2);
const options = JSON.parse(text);

async function openai() {
  const { default: OpenAI } = await import('openai');
  const told = {};
  let secret = options.secret;
  if (!secret) {
    const backend = new OpenAI({ apiKey: options.apiKey, baseURL: `${options.base}/v1` });
    told.minted = await backend.realtime.clientSecrets.create({ expires_after: { anchor: 'created_at', seconds: 60 }, session: { type: 'realtime', model: options.model }, ...options.mint });
    secret = told.minted.value;
  }
  return { told, secret, user: new OpenAI({ apiKey: secret, baseURL: `${options.base}/v1`, dangerouslyAllowBrowser: false }) };
}

const clients = {
  async mint() {
    const { default: OpenAI } = await import('openai');
    const backend = new OpenAI({ apiKey: options.apiKey, baseURL: `${options.base}/v1` });
    try {
      return { minted: await backend.realtime.clientSecrets.create({ session: { type: 'realtime', model: options.model }, ...options.mint }, { headers: options.headers }) };
    } catch (error) {
      return { name: error.constructor.name, status: error.status, code: error.code, type: error.type, param: error.param, message: error.message };
    }
  },
  async ws() {
    const { told, user } = await openai();
    const { OpenAIRealtimeWS } = await import('openai/realtime/ws');
    return { ...told, ...await talkOpenAI(() => new OpenAIRealtimeWS({ model: options.model }, user), options) };
  },
  async websocket() {
    const { told, user } = await openai();
    const { OpenAIRealtimeWebSocket } = await import('openai/realtime/websocket');
    return { ...told, ...await talkOpenAI(() => new OpenAIRealtimeWebSocket({ model: options.model }, user), options) };
  },
  async agents() {
    const { told, secret } = await openai();
    return { ...told, ...await talkAgents(await import('@openai/agents-realtime'), { ...options, secret }) };
  },
  async xai() {
    return talkXai(await import('@ai-sdk/xai'), options);
  },
};

try {
  console.log(JSON.stringify(await clients[client]()));
  process.exit(0);
} catch (error) {
  console.error(error.stack ?? String(error));
  process.exit(1);
}
