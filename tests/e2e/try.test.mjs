// The page that the first start prints a link to, as a newcomer meets it: a browser, a microphone, nothing but this server.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launchChromium } from './browser.mjs';
import { postern as command, startPostern } from './postern.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const picture = join(root, 'docs', 'images', 'try.png');
const patience = { timeout: 15_000 };
let postern, browser;

before(async () => {
  postern = await startPostern();
  browser = await launchChromium({ microphone: true });
});
after(async () => { await browser?.close(); await postern?.stop(); });

const printedLink = () => /Try it, a link that works once: (\S+)/.exec(postern.output())[1];

async function newLink() {
  const { code, stdout, stderr } = await command(['try', '--json', '--data', postern.data]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout).link;
}

/** A page of a browser of its own that notes whatever should not happen, and every frame. */
async function visit(link, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 860 }, permissions: ['microphone'], ...options });
  const page = await context.newPage();
  const seen = { problems: [], hosts: new Set(), sent: [], received: [] };
  page.on('console', message => { if (['error', 'warning'].includes(message.type())) seen.problems.push(message.text()); });
  page.on('pageerror', error => seen.problems.push(String(error)));
  page.on('request', request => seen.hosts.add(new URL(request.url()).host));
  page.on('websocket', socket => {
    seen.hosts.add(new URL(socket.url()).host);
    socket.on('framesent', ({ payload }) => seen.sent.push(JSON.parse(payload)));
    socket.on('framereceived', ({ payload }) => seen.received.push(JSON.parse(payload)));
  });
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation', event => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`)));
  await page.goto(link);
  return { page, seen, close: () => context.close() };
}

const saidBy = (page, who) => page.locator(`#transcript li.${who} span:last-child`);
const clean = seen => {
  assert.deepEqual(seen.problems, []);
  assert.deepEqual([...seen.hosts], [new URL(postern.http).host]);
};

describe('the page to try it on', () => {
  test('the printed link mints, admits and converses by text', async () => {
    const { page, seen, close } = await visit(printedLink());
    await page.locator('#claims code').first().waitFor(patience);
    assert.equal(new URL(page.url()).hash, '');
    assert.match(await page.locator('#key').textContent(), /^key_try_/);
    assert.match(await page.locator('#countdown').textContent(), /^1[45]:\d\d left to start$/);
    assert.deepEqual(await page.locator('#checks b').allTextContents(), ['Signature', 'Agent', 'Origin', 'Start by', 'Uses']);
    const claims = await page.locator('#claims').textContent();
    assert.ok(claims.includes('agent_echo'), claims);
    assert.doesNotMatch(await page.locator('#url').textContent(), /\.[\w-]{43}$/);

    await page.getByLabel('Your message').fill('hello');
    await page.keyboard.press('Enter');
    await saidBy(page, 'agent').getByText('echo: hello', { exact: true }).waitFor(patience);
    assert.equal(await page.locator('#door').textContent(), 'admitted');
    await page.getByRole('button', { name: 'Disconnect' }).click();
    await page.getByText('Ended: 1000').waitFor(patience);
    assert.ok(await page.getByRole('button', { name: 'Connect', exact: true }).isEnabled());
    clean(seen);

    await page.reload();
    await page.locator('#claims code').first().waitFor(patience);
    clean(seen);
    await close();
  });

  test('who speaks into the microphone hears it back', async () => {
    const { page, seen, close } = await visit(await newLink());
    await page.locator('#claims code').first().waitFor(patience);
    await page.getByRole('button', { name: 'Talk' }).click();
    for (let i = 0; i < 100 && seen.sent.filter(frame => frame.user_audio_chunk).length < 60; i++) await page.waitForTimeout(100);
    const playing = page.waitForFunction(() => document.querySelector('#talk.playing'), undefined, patience); // only for as long as it sounds
    await page.getByRole('button', { name: 'Stop' }).click();
    await saidBy(page, 'agent').getByText(/echo: .*speech/).first().waitFor(patience);
    await playing;
    const chunks = seen.sent.filter(frame => frame.user_audio_chunk);
    assert.ok(chunks.length >= 60, `${chunks.length} chunks`);
    assert.ok(chunks.every(frame => Buffer.from(frame.user_audio_chunk, 'base64').length === 1024));
    const heard = Buffer.concat(seen.received.filter(frame => frame.type === 'audio').map(frame => Buffer.from(frame.audio_event.audio_base_64, 'base64')));
    assert.ok(heard.length > 3200, `${heard.length} bytes of sound came back`);
    assert.ok(heard.some(byte => byte !== 0));
    clean(seen);
    await close();
  });

  test('what must not get in is refused, with the words that a client reads', async () => {
    const { page, seen, close } = await visit(await newLink());
    const knock = async (name, text) => {
      await page.getByRole('button', { name, exact: true }).click();
      await page.locator('#attempts li', { hasText: name }).locator('.result.out').getByText(text).waitFor({ timeout: 25_000 });
    };
    await page.locator('#claims code').first().waitFor(patience);
    await knock('Change one character', 'Refused, 3000 Could not authorize the conversation.');
    await knock('Ask for another agent', 'Could not authorize the conversation.');
    await knock('Leave the signature out', 'Could not authorize the conversation.');
    await knock('Use a single use twice', 'Could not authorize the conversation: the signed URL was already used.');
    await knock('Come too late', 'Could not authorize the conversation: the signed URL has expired.');

    await page.getByLabel('Uses').selectOption('one');
    await page.getByRole('button', { name: 'Mint again' }).click();
    await page.getByText('One. It is spent').waitFor(patience);
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    await page.locator('#door.in').waitFor(patience);
    await page.getByRole('button', { name: 'Disconnect' }).click();
    await page.getByText('Ended: 1000').waitFor(patience);
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    await page.locator('#door.out').getByText('refused, 3000').waitFor(patience);
    clean(seen);
    await close();
  });

  test('a link that was used, and none at all, are explained', async () => {
    const link = await newLink();
    const first = await visit(link);
    await first.page.locator('#claims code').first().waitFor(patience);
    await first.close();
    const second = await visit(link);
    await second.page.getByText('This link was used already').waitFor(patience);
    assert.ok(await second.page.getByText('postern try', { exact: true }).isVisible());
    assert.ok(!await second.page.locator('#open').isVisible());
    await second.close();
    const none = await visit(`${postern.http}/try`);
    await none.page.getByRole('heading', { name: 'This page opens with a link' }).waitFor(patience);
    clean(none.seen);
    await none.close();
  });

  test('over https it works the same', async () => {
    const link = (await newLink()).replace(postern.http, postern.https);
    const { page, seen, close } = await visit(link, { ignoreHTTPSErrors: true });
    await page.getByLabel('Your message').fill('hello');
    await page.getByRole('button', { name: 'Send' }).click();
    await saidBy(page, 'agent').getByText('echo: hello', { exact: true }).waitFor(patience);
    assert.match(await page.locator('#url').textContent(), /^wss:/);
    assert.deepEqual(seen.problems, []);
    await close();
  });

  // Taken each time; kept when POSTERN_SCREENSHOT=1 asks for it, with the hash of the page that it was taken of.
  test('the picture of the README shows it', async () => {
    const { page, seen, close } = await visit(await newLink(), { colorScheme: 'light', deviceScaleFactor: 1.5 });
    await page.locator('#claims code').first().waitFor(patience);
    for (const text of ['hello', 'who may come in here?']) {
      await page.getByLabel('Your message').fill(text);
      await page.keyboard.press('Enter');
      await saidBy(page, 'agent').getByText(`echo: ${text}`, { exact: true }).waitFor(patience);
    }
    for (const name of ['Change one character', 'Use a single use twice']) {
      await page.getByRole('button', { name, exact: true }).click();
      await page.locator('#attempts li', { hasText: name }).locator('.result.out').waitFor(patience);
    }
    await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
    const folder = mkdtempSync(join(tmpdir(), 'postern-picture-'));
    const taken = join(folder, 'try.png');
    try {
      await page.screenshot({ path: taken });
      clean(seen);
      await close();
      if (process.env.POSTERN_SCREENSHOT === '1') {
        writeFileSync(picture, readFileSync(taken));
        writeFileSync(`${picture}.page`, `${pageHash()}\n`);
      }
      assert.deepEqual(size(picture), size(taken));
      assert.equal(readFileSync(`${picture}.page`, 'utf8').trim(), pageHash(), 'the page has changed since its picture was taken: run again with POSTERN_SCREENSHOT=1');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** Width and height out of a PNG's first chunk. */
function size(path) {
  const bytes = readFileSync(path);
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}

function pageHash() {
  const folder = join(root, 'src', 'Postern.Server', 'Try', 'Page'), hash = createHash('sha256');
  for (const name of readdirSync(folder).sort()) hash.update(name).update(readFileSync(join(folder, name)));
  return hash.digest('hex');
}
