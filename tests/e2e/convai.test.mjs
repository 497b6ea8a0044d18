// Convai's unmodified web SDK in a real browser, as far as its LiveKit connection; the token is judged by LiveKit's own server package.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { TokenVerifier } from 'livekit-server-sdk';
import { WebSocketServer } from 'ws';
import { launchChromium } from './browser.mjs';
import { startPostern } from './postern.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const media = { key: 'devkey', secret: 'a-secret-of-the-media-server-of-32' };
let postern, room, knocks, site, browser, page;

async function post(path, body, headers = {}) {
  const answer = await fetch(postern.http + path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
  return { status: answer.status, body: await answer.json() };
}

const mint = async (binding = {}) => (await post('/user/connect', binding, { 'CONVAI-API-KEY': postern.apiKey })).body.apiAuthToken;

before(async () => {
  postern = await startPostern({ args: ['--allowed-hosts', 'api.convai.com'] });

  // Stands where LiveKit would: writes down who knocks, and shuts the door.
  knocks = [];
  const rtc = createServer((_, response) => response.writeHead(401, { 'access-control-allow-origin': '*' }).end('no'));
  room = new WebSocketServer({ server: rtc });
  room.on('connection', (socket, request) => { knocks.push(new URL(request.url, 'ws://room')); socket.close(1011, 'stand-in'); });
  await new Promise(resolve => rtc.listen(0, '127.0.0.1', resolve));
  room.http = rtc;
  const set = await fetch(`${postern.http}/api/agents/agent_echo/media`, {
    method: 'PUT', headers: { 'content-type': 'application/json', 'xi-api-key': postern.apiKey }, body: JSON.stringify({ url: `ws://127.0.0.1:${rtc.address().port}`, ...media }),
  });
  assert.equal(set.status, 200, await set.text());

  const bundle = await build({
    stdin: { contents: "import { ConvaiClient } from '@convai/web-sdk/core'; globalThis.ConvaiClient = ConvaiClient;", resolveDir: here },
    bundle: true, write: false, format: 'iife', platform: 'browser', logLevel: 'silent', define: { 'process.env.NODE_ENV': '"production"' },
  });
  site = createServer((request, response) => request.url === '/client.js'
    ? response.writeHead(200, { 'content-type': 'text/javascript' }).end(bundle.outputFiles[0].text)
    : response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>t</title><script src="/client.js"></script>'));
  await new Promise(resolve => site.listen(0, '127.0.0.1', resolve));
  // The SDK asks its vendor's own host for a speaker id; that name leads here.
  browser = await launchChromium({ microphone: true, more: [`--host-resolver-rules=MAP api.convai.com:443 ${new URL(postern.https).host}`] });
  page = await browser.newPage({ ignoreHTTPSErrors: true });
  await page.goto(`http://localhost:${site.address().port}/`);
});
after(async () => {
  await browser?.close();
  site?.close();
  room?.close();
  room?.http.close();
  await postern?.stop();
});

const connect = config => page.evaluate(async config => {
  const client = new ConvaiClient();
  try {
    await Promise.race([client.connect(config), new Promise((_, reject) => setTimeout(() => reject(new Error('no end within 20 s')), 20_000))]);
    return 'connected';
  } catch (error) {
    return `${error.message}`;
  }
}, config);

describe('@convai/web-sdk in Chromium', () => {
  test('opens its LiveKit connection with a token that LiveKit believes', async () => {
    knocks.length = 0;
    const refused = await connect({ apiKey: await mint({ character_id: 'agent_echo', end_user_id: 'ann' }), characterId: 'agent_echo', url: postern.http });

    assert.match(refused, /signal connection/, refused);   // the stand-in's closed door, not ours
    assert.ok(knocks.length > 0);
    assert.equal(knocks[0].pathname, '/rtc/v1');
    const claims = await new TokenVerifier(media.key, media.secret).verify(knocks[0].searchParams.get('access_token'));
    assert.equal(claims.sub, 'ann');
    assert.match(claims.video.room, /^conv_[0-9A-Za-z]{30}$/);
    assert.equal(claims.video.roomJoin, true);
    assert.equal(JSON.parse(claims.metadata).agent_id, 'agent_echo');
    await assert.rejects(new TokenVerifier(media.key, 'another-secret-of-a-media-server').verify(knocks[0].searchParams.get('access_token')));
  });

  test('is given a speaker id for its end user first', async () => {
    knocks.length = 0;
    const refused = await connect({ apiKey: await mint({ end_user_id: 'bea' }), characterId: 'agent_echo', url: postern.http, endUserId: 'bea' });

    assert.match(refused, /signal connection/, refused);
    const claims = await new TokenVerifier(media.key, media.secret).verify(knocks[0].searchParams.get('access_token'));
    assert.equal(claims.sub, 'bea');
  });

  test('cannot be another end user than the token names', async () => {
    knocks.length = 0;
    const refused = await connect({ apiKey: await mint({ end_user_id: 'ann' }), characterId: 'agent_echo', url: postern.http, endUserId: 'bob' });

    assert.match(refused, /403|does not match the token/, refused);
    assert.equal(knocks.length, 0);
  });

  test('is told why it is refused', async () => {
    assert.match(await connect({ apiKey: 'pat_nothing', characterId: 'agent_echo', url: postern.http }), /Invalid API key/);
    assert.match(await connect({ apiKey: await mint(), characterId: 'agent_none', url: postern.http }), /Character not found/);
    const revoked = await mint();
    assert.equal((await post('/user/revoke-token', { apiAuthToken: revoked }, { 'CONVAI-API-KEY': postern.apiKey })).status, 200);
    assert.match(await connect({ apiKey: revoked, characterId: 'agent_echo', url: postern.http }), /Invalid API key/);
  });

  test('a page mints nothing, neither with the key nor with a token', async () => {
    const token = await mint();
    const tried = await page.evaluate(async ({ url, texts }) => Promise.all(texts.map(text =>
      fetch(`${url}/user/connect`, { method: 'POST', headers: { 'content-type': 'application/json', 'CONVAI-API-KEY': text }, body: '{}' }).then(answer => answer.status, error => error.name))),
    { url: postern.http, texts: [postern.apiKey, token] });
    assert.deepEqual(tried, ['TypeError', 'TypeError']);   // the browser lets no page read it
  });
});
