// ElevenLabs' unmodified packages, pointed at Postern.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ElevenLabsClient } from '@elevenlabs/elevenlabs-js';
import { launchChromium } from './browser.mjs';
import { startPostern } from './postern.mjs';

const here = dirname(fileURLToPath(import.meta.url));
let postern, api;
before(async () => {
  postern = await startPostern({ args: ['--agents:allow-private-upstreams', 'true'] });
  api = new ElevenLabsClient({ apiKey: postern.apiKey, baseUrl: postern.http });
});
after(() => postern.stop());

function run(command, args, options = {}) {
  return new Promise(resolve => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let stdout = '', stderr = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
    child.stdout.on('data', data => { stdout += data; });
    child.stderr.on('data', data => { stderr += data; });
    child.on('close', code => { clearTimeout(timer); resolve({ code, stdout, stderr }); });
  });
}

async function talk(session) {
  const { stdout, stderr } = await run(process.execPath, ['--experimental-websocket', '--no-warnings', join(here, 'clients', 'elevenlabs-text.mjs'), JSON.stringify(session)]);
  assert.ok(stdout.trim(), `the client said nothing: ${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

const signedUrl = async (agentId, more = {}) => (await api.conversationalAi.conversations.getSignedUrl({ agentId, ...more })).signedUrl;

async function createAgent(name, auth, conversation = {}) {
  const { agentId } = await api.conversationalAi.agents.create({
    name, conversationConfig: { agent: { firstMessage: `I am ${name}.` }, conversation }, ...(auth ? { platformSettings: { auth } } : {}),
  });
  return agentId;
}

describe('elevenlabs-js', () => {
  test('creates, reads, changes, lists, duplicates and deletes agents', async () => {
    const id = await createAgent('first');
    const read = await api.conversationalAi.agents.get(id);
    assert.equal(read.name, 'first');
    assert.equal(read.platformSettings.auth.enableAuth, true);
    const changed = await api.conversationalAi.agents.update(id, { name: 'renamed', platformSettings: { auth: { allowlist: [{ hostname: 'app.example.com' }] } } });
    assert.equal(changed.name, 'renamed');
    assert.deepEqual(changed.platformSettings.auth.allowlist, [{ hostname: 'app.example.com' }]);
    const copy = await api.conversationalAi.agents.duplicate(id, {});
    const listed = await api.conversationalAi.agents.list({ search: 'renamed' });
    assert.ok(listed.agents.some(agent => agent.agentId === id) && listed.agents.some(agent => agent.agentId === copy.agentId));
    await api.conversationalAi.agents.delete(id);
    await assert.rejects(api.conversationalAi.agents.get(id), error => error.statusCode === 404);
  });

  test('pages through a list', async () => {
    for (let i = 0; i < 5; i++) await createAgent(`page ${i}`);
    const seen = [];
    let cursor;
    do {
      const page = await api.conversationalAi.agents.list({ search: 'page', pageSize: 2, cursor });
      seen.push(...page.agents.map(agent => agent.name));
      cursor = page.nextCursor ?? undefined;
    } while (cursor);
    assert.deepEqual(seen.sort(), [0, 1, 2, 3, 4].map(i => `page ${i}`));
  });

  test('is told clearly about a wrong key and an unknown agent', async () => {
    const stranger = new ElevenLabsClient({ apiKey: 'not-a-key', baseUrl: postern.http });
    await assert.rejects(stranger.conversationalAi.conversations.getSignedUrl({ agentId: 'agent_echo' }), error => error.statusCode === 401 && /Invalid API key/.test(JSON.stringify(error.body)));
    await assert.rejects(signedUrl('agent_unknown'), error => error.statusCode === 404);
    await assert.rejects(createAgent('many hosts', { allowlist: Array.from({ length: 11 }, (_, i) => ({ hostname: `h${i}.example.com` })) }),
      error => error.statusCode === 422);
  });

  test('reads, lists and deletes a conversation that was held', async () => {
    const agentId = await createAgent('recorded');
    const { events } = await talk({ signedUrl: await signedUrl(agentId), say: ['remember me'], userId: 'ann' });
    const conversationId = events.find(event => event.connect).connect.conversationId;
    let conversation;
    for (let i = 0; i < 50; i++) {
      conversation = await api.conversationalAi.conversations.get(conversationId);
      if (conversation.status === 'done') break;
      await new Promise(resolve => setTimeout(resolve, 100));
    }
    assert.equal(conversation.status, 'done');
    assert.ok(conversation.transcript.some(turn => turn.role === 'user' && turn.message === 'remember me'));
    const listed = await api.conversationalAi.conversations.list({ agentId });
    assert.deepEqual(listed.conversations.map(item => item.conversationId), [conversationId]);
    await api.conversationalAi.conversations.delete(conversationId);
    await assert.rejects(api.conversationalAi.conversations.get(conversationId), error => error.statusCode === 404);
  });
});

describe('@elevenlabs/client in Node', () => {
  test('holds a text conversation over a signed URL', async () => {
    const { heard, events } = await talk({ signedUrl: await signedUrl('agent_echo'), say: ['hi there', 'and again'] });
    assert.ok(heard.some(message => /echo: hi there/.test(message.message)), JSON.stringify({ heard, events }));
    assert.ok(heard.some(message => /echo: and again/.test(message.message)));
    assert.match(events.find(event => event.connect).connect.conversationId, /^conv_[a-zA-Z0-9]+$/);
  });

  test('uses a URL again unless it was minted for one conversation', async () => {
    const many = await signedUrl('agent_echo');
    for (let i = 0; i < 2; i++) assert.ok((await talk({ signedUrl: many, say: ['x'] })).events.some(event => event.connect));
    const once = await signedUrl('agent_echo', { includeConversationId: true });
    const first = await talk({ signedUrl: once, say: ['x'] });
    assert.equal(first.events.find(event => event.connect).connect.conversationId, new URL(once).searchParams.get('conversation_id'));
    const second = await talk({ signedUrl: once });
    assert.match(second.events[0].refused, /the signed URL was already used/);
  });

  test('hears a chat endpoint piece by piece, and is told when it fails', async () => {
    const asked = [];
    const chat = createServer((request, response) => {
      let body = '';
      request.on('data', data => { body += data; });
      request.on('end', () => {
        asked.push(JSON.parse(body));
        if (asked.length > 1) return response.writeHead(500).end('sk-secret');
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        for (const content of ['Hello', ' there']) response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`);
        response.end(`data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\ndata: [DONE]\n\n`);
      });
    });
    await new Promise(resolve => chat.listen(0, '127.0.0.1', resolve));
    try {
      const agentId = await createAgent('chatty');
      const set = await fetch(`${postern.http}/api/agents/${agentId}/upstream`, {
        method: 'PUT', headers: { 'xi-api-key': postern.apiKey, 'content-type': 'application/json' },
        body: JSON.stringify({ kind: 'chat', url: `http://127.0.0.1:${chat.address().port}/v1`, model: 'm-1', key: 'sk-secret' }),
      });
      assert.equal(set.status, 200, await set.text());
      const { heard, events, parts } = await talk({ signedUrl: await signedUrl(agentId), say: ['hi', 'again'], waitMs: 8000 });
      assert.deepEqual(heard.filter(message => message.source === 'ai').map(message => message.message), ['I am chatty.', 'Hello there']);
      assert.deepEqual(parts, [['start', ''], ['delta', 'Hello'], ['delta', ' there'], ['stop', '']]);
      assert.deepEqual(asked[1].messages, [{ role: 'assistant', content: 'I am chatty.' }, { role: 'user', content: 'hi' }, { role: 'assistant', content: 'Hello there' }, { role: 'user', content: 'again' }]);
      assert.match(events.find(event => event.error).error, /The agent cannot be reached at the moment\./);
      assert.ok(!events.some(event => event.disconnect), 'the conversation goes on');
    } finally {
      chat.close();
    }
  });

  test('is told why it is refused', async () => {
    const url = await signedUrl('agent_echo');
    const forged = url.slice(0, -2) + (url.at(-2) === 'A' ? 'B' : 'A') + url.at(-1);
    assert.match((await talk({ signedUrl: forged })).events[0].refused, /Could not authorize the conversation\./);
    assert.match((await talk({ agentId: 'agent_none', connectionType: 'websocket', origin: postern.http.replace('http', 'ws') })).events[0].refused, /does not exist/);
    const closed = await createAgent('closed');
    assert.match((await talk({ agentId: closed, connectionType: 'websocket', origin: postern.http.replace('http', 'ws') })).events[0].refused, /This agent is private: mint a signed URL/);
  });

  test('talks to a public agent by its id', async () => {
    const id = await createAgent('open', { enableAuth: false });
    const { heard } = await talk({ agentId: id, connectionType: 'websocket', origin: postern.http.replace('http', 'ws'), say: ['public'] });
    assert.ok(heard.some(message => /echo: public/.test(message.message)));
  });

  test('may not override what the agent does not permit', async () => {
    const id = await createAgent('strict');
    const { events } = await talk({ signedUrl: await signedUrl(id), overrides: { agent: { firstMessage: 'Yo' } } });
    assert.match(events[0].refused, /Override for field 'first_message' is not allowed by config\./);
  });

  test('is told when the longest duration is reached', async () => {
    const id = await createAgent('short', undefined, { maxDurationSeconds: 3 });
    const { events } = await talk({ signedUrl: await signedUrl(id), hangUp: false, waitMs: 9000 });
    const end = events.find(event => event.disconnect)?.disconnect;
    assert.equal(end?.context?.type, 'max_duration_exceeded', JSON.stringify(events));
  });
});

describe('@elevenlabs/client in Chromium', () => {
  let browser, site, page;
  before(async () => {
    const script = readFileSync(join(here, 'node_modules', '@elevenlabs', 'client', 'dist', 'lib.iife.js'));
    site = createServer((request, response) => {
      if (request.url === '/client.js') return response.writeHead(200, { 'content-type': 'text/javascript' }).end(script);
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>t</title><script src="/client.js"></script>');
    });
    await new Promise(resolve => site.listen(0, '127.0.0.1', resolve));
    browser = await launchChromium({ microphone: true });
    page = await browser.newPage({ ignoreHTTPSErrors: true });
    await page.goto(`http://localhost:${site.address().port}/`);
  });
  after(async () => { await browser?.close(); site?.close(); });

  const inPage = (options, on = page) => on.evaluate(async ({ say, listenMs, ...session }) => {
    const told = { messages: [], errors: [], modes: [], audio: 0 };
    let conversation;
    try {
      conversation = await ElevenLabsClient.Conversation.startSession({
        ...session, onMessage: message => told.messages.push(message), onError: message => told.errors.push(message),
        onModeChange: mode => told.modes.push(mode.mode ?? mode), onAudio: () => { told.audio++; },
        onDisconnect: details => { told.disconnect = { reason: details.reason, message: details.message, closeCode: details.closeCode }; },
      });
    } catch (error) {
      return { ...told, refused: error.message, closeCode: error.closeCode };
    }
    told.id = conversation.getId();
    if (say) conversation.sendUserMessage(say);
    const until = Date.now() + (listenMs ?? 15_000);
    const enough = () => (say ? told.messages.some(m => m.message.includes(`echo: ${say}`)) : told.audio > 3 && told.modes.includes('speaking'));
    while (Date.now() < until && !enough()) await new Promise(resolve => setTimeout(resolve, 50));
    await conversation.endSession();
    return told;
  }, options);

  test('holds a text conversation over ws and over wss', async () => {
    assert.ok((await inPage({ signedUrl: await signedUrl('agent_echo'), textOnly: true, say: 'browser' })).messages.some(m => m.message === 'echo: browser'));
    const secure = await page.request.get(`${postern.https}/v1/convai/conversation/get-signed-url?agent_id=agent_echo`, { headers: { 'xi-api-key': postern.apiKey } });
    const { signed_url: wss } = await secure.json();
    assert.match(wss, /^wss:/);
    const told = await inPage({ signedUrl: wss, textOnly: true, say: 'secure' });
    assert.ok(told.messages.some(m => m.message === 'echo: secure'), JSON.stringify(told));
  });

  // Chromium opens a WebSocket inside an HTTP/2 connection when it has one to that origin: from a page of Postern's own.
  test('holds a text conversation over wss with HTTP/2', async () => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, bypassCSP: true });
    const own = await context.newPage();
    await own.goto(`${postern.https}/try`);
    await own.addScriptTag({ path: join(here, 'node_modules', '@elevenlabs', 'client', 'dist', 'lib.iife.js') });
    assert.equal(await own.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol), 'h2');
    const devtools = await context.newCDPSession(own);
    const opened = new Promise(resolve => devtools.once('Network.webSocketHandshakeResponseReceived', resolve));
    await devtools.send('Network.enable');
    const answer = await own.request.get(`${postern.https}/v1/convai/conversation/get-signed-url?agent_id=agent_echo`, { headers: { 'xi-api-key': postern.apiKey } });
    const told = await inPage({ signedUrl: (await answer.json()).signed_url, textOnly: true, say: 'secure' }, own);
    assert.ok(told.messages.some(m => m.message === 'echo: secure'), JSON.stringify(told));
    const { response } = await opened;
    assert.equal(response.status, 200, `by HTTP/1.1 it would be 101: ${JSON.stringify(response)}`);
    await context.close();
  });

  test('speaks, and hears itself', async () => {
    const told = await inPage({ signedUrl: await signedUrl('agent_echo'), listenMs: 30_000 });
    assert.ok(told.audio > 3, JSON.stringify(told));
    assert.ok(told.modes.includes('speaking'));
  });

  test('is refused by an allowlist that does not name its host, readably', async () => {
    const id = await createAgent('listed', { allowlist: [{ hostname: 'app.example.com' }], enableAuth: false });
    const host = `localhost:${site.address().port}`;
    const told = await inPage({ agentId: id, connectionType: 'websocket', origin: postern.http.replace('http', 'ws'), textOnly: true });
    assert.equal(told.refused, `Host ${host} is not allowed to connect to this agent`);
    await api.conversationalAi.agents.update(id, { platformSettings: { auth: { allowlist: [{ hostname: host }] } } });
    const admitted = await inPage({ agentId: id, connectionType: 'websocket', origin: postern.http.replace('http', 'ws'), textOnly: true, say: 'listed' });
    assert.ok(admitted.messages.some(m => m.message === 'echo: listed'), JSON.stringify(admitted));
  });
});

describe('@elevenlabs/cli', () => {
  test('init, add, push, pull and list take an allowlist there and back', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-cli-'));
    const cli = (...args) => run(process.execPath, [join(here, 'node_modules', '@elevenlabs', 'cli', cliEntry()), ...args],
      { cwd: folder, env: { ...process.env, ELEVENLABS_API_KEY: postern.apiKey, ELEVENLABS_BASE_URL: postern.http, HOME: folder } });
    try {
      const steps = [await cli('agents', 'init', '.'), await cli('agents', 'add', 'Gate Agent', '--template', 'minimal')];
      assert.deepEqual(steps.map(step => step.code), [0, 0], JSON.stringify(steps));
      const file = join(folder, 'agent_configs', readdirSync(join(folder, 'agent_configs'))[0]);
      const config = JSON.parse(readFileSync(file, 'utf8'));
      config.platform_settings = { ...config.platform_settings, auth: { enable_auth: true, allowlist: [{ hostname: 'shop.example.com' }] }, unknown_to_all: { kept: 1.50 } };
      writeFileSync(file, JSON.stringify(config, null, 2));
      const push = await cli('agents', 'push');
      assert.equal(push.code, 0, push.stdout + push.stderr);
      const { agents: [{ id }] } = JSON.parse(readFileSync(join(folder, 'agents.json'), 'utf8'));
      const remote = await (await fetch(`${postern.http}/v1/convai/agents/${id}`, { headers: { 'xi-api-key': postern.apiKey } })).json();
      assert.deepEqual(remote.platform_settings.auth.allowlist, [{ hostname: 'shop.example.com' }]);
      assert.deepEqual(remote.platform_settings.unknown_to_all, { kept: 1.5 });
      await api.conversationalAi.agents.update(id, { platformSettings: { auth: { enableAuth: true, allowlist: [{ hostname: 'changed.example.com' }] } } });
      const pull = await cli('agents', 'pull', '--all', '--update', '--yes');
      assert.equal(pull.code, 0, pull.stdout + pull.stderr);
      const pulled = readdirSync(join(folder, 'agent_configs')).map(name => readFileSync(join(folder, 'agent_configs', name), 'utf8'));
      assert.ok(pulled.some(text => text.includes('changed.example.com')));
      const list = await cli('agents', 'list');
      assert.ok(list.stdout.includes(id), list.stdout + list.stderr);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

function cliEntry() {
  const { bin } = JSON.parse(readFileSync(join(here, 'node_modules', '@elevenlabs', 'cli', 'package.json'), 'utf8'));
  return typeof bin === 'string' ? bin : Object.values(bin)[0];
}
