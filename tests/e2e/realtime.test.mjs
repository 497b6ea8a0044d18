// OpenAI's and xAI's unmodified packages, pointed at Postern: over wss with the development certificate, over ws where the client can.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { launchChromium } from './browser.mjs';
import { startPostern } from './postern.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const node = join(here, 'node_modules', 'node', 'bin', 'node');   // the packages need a newer one than the tests
const model = 'gpt-realtime';
let postern;
before(async () => { postern = await startPostern({ env: { POSTERN__REALTIME__MODELS: 'gpt-realtime=agent_echo,grok-voice=agent_echo', POSTERN__AGENTS__ALLOWPRIVATEUPSTREAMS: 'true' } }); });
after(() => postern.stop());

function run(client, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [join(here, 'clients', 'realtime-node.mjs'), client, JSON.stringify({ base: postern.https, apiKey: postern.apiKey, model, ...options })],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_EXTRA_CA_CERTS: postern.caFile } });
    let stdout = '', stderr = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), 40_000);
    child.stdout.on('data', data => { stdout += data; });
    child.stderr.on('data', data => { stderr += data; });
    child.on('close', code => {
      clearTimeout(timer);
      if (code === 0) resolve(JSON.parse(stdout.trim().split('\n').at(-1)));
      else reject(new Error(`${client} ended with ${code}\n${stderr}`));
    });
  });
}

async function mint(body = {}) {
  const answer = await fetch(`${postern.http}/v1/realtime/client_secrets`, {
    method: 'POST', headers: { authorization: `Bearer ${postern.apiKey}`, 'content-type': 'application/json' }, body: JSON.stringify({ session: { type: 'realtime', model }, ...body }),
  });
  assert.equal(answer.status, 200);
  return (await answer.json()).value;
}

const locked = { fixed: ['instructions'], session: { type: 'realtime', model, instructions: 'Be kind.' } };

function assertOpenAITalk(told) {
  assert.equal(told.text, 'echo: hi there', JSON.stringify(told));
  assert.ok(told.audio > 10_000, JSON.stringify(told));
  assert.ok(told.events.includes('input_audio_buffer.speech_started') && told.events.includes('response.output_audio.done'));
}

function assertAgentsTalk(told) {
  assert.ok(told.history.includes('user: hi there') && told.history.includes('assistant: echo: hi there'), JSON.stringify(told.history));
  assert.ok(told.history.some(text => /^assistant: echo: \(0\.\d seconds of speech\)$/.test(text)), JSON.stringify(told.history));
  assert.ok(told.audio > 10_000);
}

function assertXaiTalk(told) {
  assert.equal(told.text, 'echo: hi there', JSON.stringify(told));
  assert.ok(told.audio > 10_000 && told.protocol, JSON.stringify(told));
  assert.deepEqual(told.errors, []);
}

const assertLocked = told => {
  const error = told.errors.find(one => one.code === 'session_field_locked');
  assert.equal(error?.param, 'session.instructions', JSON.stringify(told.errors));
  assert.equal(told.session.instructions, 'Be kind.');
};

describe('openai in Node', () => {
  test('mints, and is told in its own errors what is wrong', async () => {
    const { minted } = await run('mint', { mint: { expires_after: { anchor: 'created_at', seconds: 60 } } });
    assert.match(minted.value, /^ek_/);
    assert.equal(minted.session.model, model);
    const unknown = await run('mint', { apiKey: 'not-a-key' });
    assert.deepEqual([unknown.name, unknown.status, unknown.code], ['AuthenticationError', 401, 'invalid_api_key']);
    const short = await run('mint', { mint: { expires_after: { anchor: 'created_at', seconds: 5 } } });
    assert.deepEqual([short.name, short.param], ['BadRequestError', 'expires_after.seconds']);
    assert.match(short.message, /between 10 and 7200/);
    const twice = await run('mint', { mint: { user_id: 'a' }, headers: { 'OpenAI-Safety-Identifier': 'b' } });
    assert.equal(twice.param, 'user_id');
  });

  for (const client of ['ws', 'websocket']) {
    test(`${client} holds a text turn and an audio turn over wss`, async () => assertOpenAITalk(await run(client)));

    test(`${client} is shown the lock and goes on`, async () => {
      const told = await run(client, { mint: locked, lock: 'Be rude.' });
      assertLocked(told);
      assertOpenAITalk(told);
    });

    test(`${client} is refused readably`, async () => {
      const told = await run(client, { secret: 'ek_wrong', refused: true });
      assert.equal(told.errors[0].code, 'invalid_api_key', JSON.stringify(told));
      assert.deepEqual(told.closed, { code: 3000, reason: 'invalid_request_error.token_invalid' });
    });
  }
});

describe('@openai/agents-realtime in Node', () => {
  for (const scheme of ['https', 'http']) {
    test(`holds a text turn and an audio turn over ${scheme === 'https' ? 'wss' : 'ws'}`, async () =>
      assertAgentsTalk(await run('agents', { base: postern[scheme], secret: await mint() })));
  }

  test('is shown the lock and goes on', async () => {
    const told = await run('agents', { secret: await mint(locked), lock: 'Be rude.' });
    assertLocked(told);
    assertAgentsTalk(told);
  });

  test('is refused readably', async () => {
    const told = await run('agents', { secret: 'ek_wrong', refused: true });
    assert.equal(told.errors[0].reason, 'token_invalid', JSON.stringify(told));
  });
});

describe('@ai-sdk/xai in Node', () => {
  test('mints by its own call and holds a text turn and an audio turn over wss', async () =>
    assertXaiTalk(await run('xai', { model: 'grok-voice', headers: { 'Postern-Agent-Id': 'agent_echo', 'Postern-User-Id': 'ann' } })));

  test('is refused readably', async () => {
    const told = await run('xai', { model: 'grok-voice', token: { token: 'ek_wrong', url: `${postern.https.replace('http', 'ws')}/v1/realtime?model=grok-voice` }, refused: true });
    assert.equal(told.errors[0].code, 'invalid_api_key', JSON.stringify(told));
    assert.deepEqual(told.closed, { code: 3000, reason: 'invalid_request_error.token_invalid' });
  });
});

describe('relayed to an upstream that speaks the protocol', () => {
  let agent;
  const call = async (method, path, body) => {
    const answer = await fetch(postern.http + path, { method, headers: { 'xi-api-key': postern.apiKey, 'content-type': 'application/json' }, body: JSON.stringify(body) });
    assert.ok(answer.ok, await answer.clone().text());
    return answer.json();
  };
  before(async () => {
    // The upstream is this server's own echo agent, reached with the customer's key as any vendor's would be.
    ({ agent_id: agent } = await call('POST', '/v1/convai/agents/create', { name: 'relayed', conversation_config: {} }));
    const url = `${postern.http.replace('http', 'ws')}/v1/realtime?model=agent_echo`;
    await call('PUT', `/api/agents/${agent}/upstream`, { kind: 'relay', url, headers: { Authorization: `Bearer ${postern.apiKey}` } });
  });

  test('openai is shown the lock, and holds a text turn and an audio turn', async () => {
    const told = await run('ws', { model: agent, mint: { ...locked, session: { ...locked.session, model: agent } }, lock: 'Be rude.' });
    assertLocked(told);
    assertOpenAITalk(told);
  });

  test('@openai/agents-realtime is shown the lock, and holds a text turn and an audio turn', async () => {
    const told = await run('agents', { model: agent, secret: await mint({ ...locked, session: { ...locked.session, model: agent } }), lock: 'Be rude.' });
    assertLocked(told);
    assertAgentsTalk(told);
  });
});

describe('in Chromium', () => {
  let browser, site, page;
  before(async () => {
    const { outputFiles: [script] } = await build({ entryPoints: [join(here, 'clients', 'realtime-page.mjs')], bundle: true, format: 'iife', platform: 'browser', write: false, logLevel: 'silent' });
    site = createServer((request, response) => {
      if (request.url === '/client.js') return response.writeHead(200, { 'content-type': 'text/javascript; charset=utf-8' }).end(script.contents);
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>t</title><script src="/client.js"></script>');
    });
    await new Promise(resolve => site.listen(0, '127.0.0.1', resolve));
    browser = await launchChromium();
    page = await browser.newPage({ ignoreHTTPSErrors: true });
    await page.goto(`http://localhost:${site.address().port}/`);
  });
  after(async () => { await browser?.close(); site?.close(); });

  const inPage = (client, options) => page.evaluate(([name, given]) => globalThis.realtime[name](given), [client, { base: postern.https, model, ...options }]);

  test('openai holds a text turn and an audio turn, and is shown the lock', async () => {
    const told = await inPage('websocket', { secret: await mint(locked), lock: 'Be rude.' });
    assertOpenAITalk(told);
    assertLocked(told);
  });

  test('@openai/agents-realtime holds a text turn and an audio turn over wss and ws', async () => {
    assertAgentsTalk(await inPage('agents', { secret: await mint() }));
    assertAgentsTalk(await inPage('agents', { base: postern.http, secret: await mint() }));
  });

  test('@ai-sdk/xai holds a text turn and an audio turn', async () => {
    const token = { token: await mint(), url: `${postern.https.replace('http', 'ws')}/v1/realtime?model=grok-voice` };
    assertXaiTalk(await inPage('xai', { model: 'grok-voice', token }));
  });

  test('a refusal can be read: event, code and reason', async () => {
    for (const client of ['websocket', 'xai']) {
      const token = { token: 'ek_wrong', url: `${postern.https.replace('http', 'ws')}/v1/realtime?model=${model}` };
      const told = await inPage(client, { secret: 'ek_wrong', token, refused: true });
      assert.equal(told.errors[0].code, 'invalid_api_key', JSON.stringify(told));
      assert.deepEqual(told.closed, { code: 3000, reason: 'invalid_request_error.token_invalid' });
    }
    const told = await inPage('agents', { secret: 'ek_wrong', refused: true });
    assert.equal(told.errors[0].reason, 'token_invalid', JSON.stringify(told));
  });

  test('WebRTC is told that there is none, readably', async () => {
    const answer = await page.evaluate(async base => {
      const response = await fetch(`${base}/v1/realtime/calls`, { method: 'POST', headers: { authorization: 'Bearer ek_x', 'content-type': 'application/sdp', 'x-openai-agents-sdk': 'x' }, body: 'v=0' });
      return { status: response.status, body: await response.json() };
    }, postern.https);
    assert.deepEqual([answer.status, answer.body.error.code], [400, 'webrtc_unavailable']);
  });
});
