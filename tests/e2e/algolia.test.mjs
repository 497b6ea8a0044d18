// Algolia's unmodified search client, the AI SDKs of three generations, and InstantSearch's chat in a real browser for two users.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { dirname } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Chat as Chat5 } from '@ai-sdk/react-2';
import { Chat as Chat6 } from '@ai-sdk/react-3';
import { DefaultChatTransport as Transport5 } from 'ai-5';
import { DefaultChatTransport as Transport6 } from 'ai-6';
import { callChatApi } from 'ai-sdk-4';
import { algoliasearch } from 'algoliasearch';
import { build } from 'esbuild';
import { launchChromium } from './browser.mjs';
import { startChat } from './chat.mjs';
import { postern as command, startPostern } from './postern.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const application = 'default';
let postern, chat, searchKey, operator, agent, userKey;

const encoded = value => Buffer.from(JSON.stringify(value)).toString('base64url');

/** As a customer's backend does it. */
function userToken(sub, exp = Math.floor(Date.now() / 1000) + 3600) {
  const text = `${encoded({ alg: 'HS256', typ: 'JWT', kid: userKey.id })}.${encoded({ sub, exp })}`;
  return `${text}.${createHmac('sha256', userKey.value).update(text).digest('base64url')}`;
}

const client = (key, options = {}) => algoliasearch(application, key, { hosts: [{ url: new URL(postern.http).host, protocol: 'http', accept: 'readWrite' }], ...options });
const asUser = sub => ({ headers: { 'X-Algolia-Secure-User-Token': userToken(sub) } });
const completions = (mode = 'ai-sdk-5') => `${postern.http}/agent-studio/1/agents/${agent}/completions?compatibilityMode=${mode}`;
const credentials = sub => ({ 'x-algolia-application-id': application, 'x-algolia-api-key': searchKey, ...(sub && { 'X-Algolia-Secure-User-Token': userToken(sub) }) });
const textOf = message => message.parts.filter(part => part.type === 'text').map(part => part.text).join('');

async function until(what, happened) {
  for (const end = Date.now() + 15_000; !await happened();) {
    if (Date.now() > end) throw new Error(`${what} did not happen`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

before(async () => {
  chat = await startChat();
  postern = await startPostern({ args: ['--allowed-hosts', `${application}.algolia.net`, '--agents:allow-private-upstreams', 'true'] });
  const made = await command(['keys', 'create', '--name', 'page', '--scopes', 'converse', '--data', postern.data, '--json']);
  assert.equal(made.code, 0, made.stderr);
  searchKey = JSON.parse(made.stdout).key;
  operator = client(postern.apiKey);
  userKey = await operator.customPost({ path: 'agent-studio/1/secret-keys', body: { name: 'backend' } });
  const created = await operator.customPost({ path: 'agent-studio/1/agents', body: { name: 'shop', instructions: 'You help in a shop.' } });
  agent = created.id;
  const { agents } = await (await fetch(`${postern.http}/v1/convai/agents?search=shop`, { headers: { 'xi-api-key': postern.apiKey } })).json();
  const set = await fetch(`${postern.http}/api/agents/${agents[0].agent_id}/upstream`, {
    method: 'PUT', headers: { 'content-type': 'application/json', 'xi-api-key': postern.apiKey }, body: JSON.stringify({ kind: 'chat', url: chat.url, model: 'm' }),
  });
  assert.equal(set.status, 200, await set.text());
  await operator.customPost({ path: `agent-studio/1/agents/${agent}/publish` });
});
after(async () => {
  await postern?.stop();
  chat?.close();
});

describe('algoliasearch', () => {
  const ask = (search, text, options, more = {}) => search.customPost({
    path: `agent-studio/1/agents/${agent}/completions`, parameters: { compatibilityMode: 'ai-sdk-5', stream: false },
    body: { messages: [{ role: 'user', parts: [{ type: 'text', text }] }], ...more },
  }, options);

  test('is answered; its bodies come in pieces and are called text/plain', async () => {
    const answer = await ask(client(searchKey), 'hello');
    assert.equal(answer.role, 'assistant');
    assert.equal(answer.parts[1].text, 'You said: hello');
    assert.deepEqual(chat.asked.at(-1).messages, [{ role: 'system', content: 'You help in a shop.' }, { role: 'user', content: 'hello' }]);
  });

  test('is answered when it packs its bodies', async () => {
    const answer = await ask(client(searchKey, { compression: 'gzip' }), 'hello '.repeat(500));
    assert.equal(answer.parts[1].text, 'You said: ' + 'hello '.repeat(500));
  });

  test('reads the conversations of its user, and of nobody else', async () => {
    const page = client(searchKey);
    for (const [sub, word] of [['ann', 'apple'], ['bob', 'banana']]) {
      await ask(page, word, asUser(sub), { id: 'same', messages: [{ id: 'm1', role: 'user', parts: [{ type: 'text', text: word }] }] });
    }
    for (const [sub, word] of [['ann', 'apple'], ['bob', 'banana']]) {
      const list = await page.customGet({ path: `agent-studio/1/agents/${agent}/conversations` }, asUser(sub));
      assert.deepEqual(list.data.map(one => [one.id, one.title]), [['same', word]]);
      const whole = await page.customGet({ path: `agent-studio/1/agents/${agent}/conversations/same` }, asUser(sub));
      assert.deepEqual(whole.messages.map(textOf), [word, `You said: ${word}`]);
    }
    const none = page.customGet({ path: `agent-studio/1/agents/${agent}/conversations/same` }, asUser('cat'));
    await assert.rejects(none, error => error.status === 404 && error.message === 'Conversation not found');
  });

  test('shows what is wrong', async () => {
    const refused = async (asking, status, message) => assert.rejects(asking, error => error.status === status && error.name === 'ApiError' && message.test(error.message));
    await refused(ask(client('no-key'), 'hello'), 401, /^Invalid Application-Id or API-Key$/);
    await refused(ask(client(searchKey), 'hello', { headers: { 'X-Algolia-Secure-User-Token': 'x.y.z' } }), 401, /^Invalid signature$/);
    await refused(ask(client(searchKey), 'hello', { headers: { 'X-Algolia-Secure-User-Token': userToken('ann', Math.floor(Date.now() / 1000) - 60) } }), 401, /^Token expired$/);
    await refused(client(searchKey).customGet({ path: 'agent-studio/1/secret-keys' }), 403, /missing the following ACLs: settings/);
    await refused(ask(client(searchKey), 'hello', {}, { messages: 5 }), 422, /Input is invalid/);
    await refused(ask(client(searchKey), 'fail'), 424, /agent/i);
    await refused(client(searchKey).customPost({ path: `agent-studio/1/agents/${agent}/tasks`, body: {} }), 404, /does not offer/);
  });

  test('manages agents and approved domains', async () => {
    const made = await operator.customPost({ path: 'agent-studio/1/agents', body: { name: 'second', instructions: 'Be brief.' } });
    assert.equal(made.status, 'draft');
    const domain = await operator.customPost({ path: `agent-studio/1/agents/${made.id}/allowed-domains`, body: { domain: 'shop.example' } });
    assert.equal((await operator.customGet({ path: `agent-studio/1/agents/${made.id}/allowed-domains` })).domains[0].id, domain.id);
    await operator.customDelete({ path: `agent-studio/1/agents/${made.id}/allowed-domains/${domain.id}` });
    await operator.customDelete({ path: `agent-studio/1/agents/${made.id}` });
    const list = await operator.customGet({ path: 'agent-studio/1/agents', parameters: { limit: 100 } });
    assert.deepEqual(list.data.map(one => one.name), ['echo', 'shop']);
  });
});

for (const [name, Chat, Transport] of [['AI SDK 5', Chat5, Transport5], ['AI SDK 6', Chat6, Transport6]]) {
  describe(name, () => {
    const open = (sub, headers = async () => credentials(sub)) => new Chat({ transport: new Transport({ api: completions(), headers }) });

    test('shows each piece when it is there', async () => {
      const talk = open('ann');
      const sent = talk.sendMessage({ text: 'speak slowly' });
      await until('the first piece', () => talk.messages.at(-1)?.role === 'assistant' && textOf(talk.messages.at(-1)) === 'You said: ');
      assert.equal(talk.status, 'streaming');
      chat.release();
      await sent;
      assert.equal(talk.status, 'ready');
      assert.equal(textOf(talk.messages.at(-1)), 'You said: speak slowly');
      assert.match(talk.messages.at(-1).id, /^alg_msg_/);
    });

    test('its conversation is kept for its user alone, and goes on', async () => {
      const talk = open(name);
      await talk.sendMessage({ text: 'one' });
      await talk.sendMessage({ text: 'two' });
      await talk.regenerate();
      assert.deepEqual(talk.messages.map(textOf), ['one', 'You said: one', 'two', 'You said: two']);
      const path = `agent-studio/1/agents/${agent}/conversations/${talk.id}`;
      const kept = await client(searchKey).customGet({ path }, asUser(name));
      assert.deepEqual(kept.messages.map(textOf), ['one', 'You said: one', 'two', 'You said: two', 'You said: two']);
      assert.equal(kept.messages.at(-1).id, talk.messages.at(-1).id);
      assert.equal(kept.messages.at(-1).outputTokens, 4);
      await assert.rejects(client(searchKey).customGet({ path }, asUser('bob')), error => error.status === 404);
    });

    test('finds nothing to take up again, and says nothing of it', async () => {
      const talk = open('ann');
      await talk.resumeStream();
      assert.equal(talk.status, 'ready');
      assert.equal(talk.error, undefined);
    });

    test('shows why it is refused, and an agent that fails', async () => {
      const talk = open('ann', { ...credentials('ann'), 'X-Algolia-Secure-User-Token': 'x.y.z' });
      await talk.sendMessage({ text: 'hello' });
      assert.equal(talk.status, 'error');
      assert.equal(JSON.parse(talk.error.message).message, 'Invalid signature');
      const failing = open('ann');
      await failing.sendMessage({ text: 'fail' });
      assert.equal(failing.status, 'error');
      assert.match(failing.error.message, /agent/i);
    });

    test('shows what the agent does with its memory', async () => {
      const echo = (await operator.customGet({ path: 'agent-studio/1/agents' })).data.find(one => one.name === 'echo').id;
      const talk = new Chat({ transport: new Transport({ api: completions().replace(agent, echo), headers: credentials(name) }) });
      await talk.sendMessage({ text: 'remember that I like tea' });
      const tool = talk.messages.at(-1).parts.find(part => part.type === 'tool-algolia_memorize');
      assert.equal(tool.state, 'output-available');
      assert.match(textOf(talk.messages.at(-1)), /I like tea/);
    });
  });
}

describe('AI SDK 4', () => {
  const ask = async (content, headers = credentials('ann')) => {
    const updates = [];
    let finished;
    const message = { id: 'u1', role: 'user', content, parts: [{ type: 'text', text: content }] };
    const error = await callChatApi({
      api: completions('ai-sdk-4'), body: { id: 'four', messages: [message] }, streamProtocol: 'data', headers, credentials: undefined, abortController: undefined,
      restoreMessagesOnFailure() {}, onResponse: undefined, onToolCall: undefined, generateId: () => 'g', fetch, lastMessage: message,
      onUpdate: ({ message }) => updates.push(message.content), onFinish: (message, { finishReason, usage }) => { finished = { message, finishReason, usage }; },
    }).then(() => undefined, error => error);
    return { updates, finished, error };
  };

  test('is answered piece by piece', async () => {
    const asking = ask('speak slowly');
    await until('the question', () => chat.asked.at(-1).messages.at(-1).content === 'speak slowly');
    await new Promise(resolve => setTimeout(resolve, 100));
    chat.release();
    const { updates, finished, error } = await asking;
    assert.equal(error, undefined);
    assert.ok(updates.includes('You said: '), updates.join('|'));
    assert.equal(finished.message.content, 'You said: speak slowly');
    assert.match(finished.message.id, /^alg_msg_/);
    assert.equal(finished.finishReason, 'stop');
    assert.deepEqual(finished.usage, { promptTokens: 3, completionTokens: 4, totalTokens: 7 });
  });

  test('shows why it is refused, and an agent that fails', async () => {
    assert.equal(JSON.parse((await ask('hello', { ...credentials('ann'), 'x-algolia-api-key': 'no' })).error.message).message, 'Invalid Application-Id or API-Key');
    assert.match((await ask('fail')).error.message, /agent/i);
  });
});

describe('InstantSearch in Chromium', () => {
  let site, browser;

  before(async () => {
    const bundle = await build({
      stdin: {
        contents: `
          import instantsearch from 'instantsearch.js';
          import { chat } from 'instantsearch.js/es/widgets';
          import { liteClient } from 'algoliasearch/lite';
          globalThis.open = ({ application, key, widget }) => {
            const searchClient = { ...liteClient(application, key), search: async () => ({ results: [{ hits: [], nbHits: 0, page: 0, nbPages: 0, hitsPerPage: 20,
              exhaustiveNbHits: true, query: '', params: '', index: 'products', processingTimeMS: 1 }] }) };
            const search = instantsearch({ indexName: 'products', searchClient, insights: false });
            search.addWidgets([chat({ container: '#chat', disableTriggerValidation: true, persistence: false, ...widget })]);
            search.start();
          };`,
        resolveDir: here,
      },
      bundle: true, write: false, format: 'iife', platform: 'browser', logLevel: 'silent', define: { 'process.env.NODE_ENV': '"production"' },
    });
    site = createServer((request, response) => request.url === '/client.js'
      ? response.writeHead(200, { 'content-type': 'text/javascript' }).end(bundle.outputFiles[0].text)
      : response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>t</title><div id="chat"></div><script src="/client.js"></script>'));
    await new Promise(resolve => site.listen(0, '127.0.0.1', resolve));
    browser = await launchChromium({ more: [`--host-resolver-rules=MAP ${application}.algolia.net:443 ${new URL(postern.https).host}`] });
  });
  after(async () => {
    await browser?.close();
    site?.close();
  });

  // Each user has a browser profile of their own; both are open at once.
  const ways = {
    'by a transport': sub => ({ application, widget: { transport: { api: completions(), headers: credentials(sub) } } }),
    'by the agent\'s id': sub => ({ application, widget: { agentId: agent, requestOptions: { headers: { 'X-Algolia-Secure-User-Token': userToken(sub) } } } }),
    'by an application id that holds a host': sub => ({ application: `${new URL(postern.https).host}/x`, widget: { agentId: agent, requestOptions: { headers: { 'X-Algolia-Secure-User-Token': userToken(sub) } } } }),
  };

  async function openPage(way, sub, text) {
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
    const problems = [];
    page.on('pageerror', error => problems.push(error.message));
    await page.goto(`http://localhost:${site.address().port}/`);
    const { application, widget } = ways[way](sub);
    await page.evaluate(options => globalThis.open(options), { application, key: searchKey, widget: { ...widget, initialUserMessage: text } });
    return { page, problems, shown: () => page.locator('#chat').innerText() };
  }

  for (const way of Object.keys(ways)) {
    test(`two users talk at once, and each reads their own: ${way}`, async () => {
      const before = { ann: await ids('ann'), bob: await ids('bob') };
      const [ann, bob] = await Promise.all([openPage(way, 'ann', `apricot ${way}`), openPage(way, 'bob', `blackberry ${way}`)]);
      await until('both answers', async () => (await ann.shown()).includes(`You said: apricot ${way}`) && (await bob.shown()).includes(`You said: blackberry ${way}`));
      assert.deepEqual([...ann.problems, ...bob.problems], []);
      assert.ok(!(await ann.shown()).includes('blackberry') && !(await bob.shown()).includes('apricot'));

      for (const [sub, own, other] of [['ann', 'apricot', 'bob'], ['bob', 'blackberry', 'ann']]) {
        let mine; // written when its last word has been sent
        await until(`the conversation of ${sub}`, async () => (mine = (await ids(sub)).filter(id => !before[sub].includes(id))).length > 0);
        for (const id of mine) {
          const path = `agent-studio/1/agents/${agent}/conversations/${id}`;
          const kept = await client(searchKey).customGet({ path }, asUser(sub));
          assert.deepEqual(kept.messages.map(textOf), [`${own} ${way}`, `You said: ${own} ${way}`]);
          await assert.rejects(client(searchKey).customGet({ path }, asUser(other)), error => error.status === 404 && error.message === 'Conversation not found');
        }
      }
      await ann.page.context().close();
      await bob.page.context().close();
    });
  }

  test('the page shows each piece when it is there', async () => {
    const { page, shown } = await openPage('by a transport', 'ann', 'speak slowly');
    await until('the first piece', async () => (await shown()).includes('You said:'));
    assert.ok(!(await shown()).includes('You said: speak slowly'));
    await until('the whole', async () => { chat.release(); return (await shown()).includes('You said: speak slowly'); });
    await page.context().close();
  });

  test('a page of a domain that is not approved is refused, and can read why', async () => {
    const domain = await operator.customPost({ path: `agent-studio/1/agents/${agent}/allowed-domains`, body: { domain: 'shop.example' } });
    const { page, shown } = await openPage('by a transport', 'ann', 'hello');
    await until('the refusal', async () => /not able to generate a response/i.test(await shown()));
    const answer = await page.evaluate(async ({ url, headers }) => {
      const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: '{}' });
      return [response.status, await response.json()];
    }, { url: completions(), headers: credentials('ann') });
    assert.deepEqual(answer, [403, { message: 'Request blocked for this domain' }]);
    await operator.customDelete({ path: `agent-studio/1/agents/${agent}/allowed-domains/${domain.id}` });
    await page.context().close();
  });

  async function ids(sub) {
    const list = await client(searchKey).customGet({ path: `agent-studio/1/agents/${agent}/conversations`, parameters: { limit: 100 } }, asUser(sub));
    return list.data.map(one => one.id);
  }
});
