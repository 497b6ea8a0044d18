// What the other tests stand on: the vendors' packages, unmodified and at the version of the contract, and a browser.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { launchChromium } from './browser.mjs';

const read = path => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));

test('every package is installed at exactly the version asked for', () => {
  // A package may stand under another name beside an older one of its own, or in a folder of ours that keeps it apart.
  const folders = ['.', 'clients/ai-sdk-4'];
  for (const folder of folders) {
    const { devDependencies, dependencies } = read(`${folder}/package.json`);
    for (const [name, version] of Object.entries({ ...devDependencies, ...dependencies })) {
      if (folders.includes(version.replace('file:', ''))) continue;
      const [, exact] = version.match(/^(?:npm:.+@)?(\d+\.\d+\.\d+)$/) ?? assert.fail(`${name} is not pinned`);
      const nested = `${folder}/node_modules/${name}/package.json`;
      assert.equal(read(existsSync(new URL(nested, import.meta.url)) ? nested : `node_modules/${name}/package.json`).version, exact, name);
    }
  }
});

test('the lock file names no host and no machine', () => {
  const text = readFileSync(new URL('package-lock.json', import.meta.url), 'utf8');
  assert.doesNotMatch(text, /"resolved": "(?!clients\/)|file:(?!clients\/)|localhost/);
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
