// What the other tests stand on: the vendors' packages, unmodified and at the version of the contract, and a browser.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { launchChromium } from './browser.mjs';

const read = path => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));

test('every package is installed at exactly the version asked for', () => {
  const wanted = read('package.json').devDependencies;
  for (const [name, version] of Object.entries(wanted)) {
    assert.match(version, /^\d+\.\d+\.\d+$/, `${name} is not pinned`);
    assert.equal(read(`node_modules/${name}/package.json`).version, version, name);
  }
});

test('the lock file names no host and no machine', () => {
  const text = readFileSync(new URL('package-lock.json', import.meta.url), 'utf8');
  assert.doesNotMatch(text, /"resolved"|file:|localhost/);
});

test('chromium starts, runs a page and stops', async () => {
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.setContent('<title>ready</title>');
    assert.equal(await page.title(), 'ready');
  } finally {
    await browser.close();
  }
});
