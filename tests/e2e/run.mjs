// Runs every *.test.mjs beside this file, one after the other, and says what really ran.
// usage: node run.mjs [--report FILE] [part of a file name …]
import { readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const words = process.argv.slice(2);
const at = words.indexOf('--report');
const report = at < 0 ? undefined : words.splice(at, 2)[1];

const files = readdirSync(here).filter(name => name.endsWith('.test.mjs'))
  .filter(name => words.length === 0 || words.some(word => name.includes(word)))
  .sort().map(name => join(here, name));

const count = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const seen = new Set();
const began = Date.now();

function line(mark, event) {
  const file = relative(here, event.file ?? event.name);
  console.log(`${mark} ${file}: ${event.name} (${Math.round(event.details.duration_ms)} ms)`);
}

function fail(event, message) {
  count.failed++;
  failures.push(`${relative(here, event.file ?? event.name)}: ${event.name}\n${message}`);
  line('failed ', event);
}

// A file without tests is reported by the runner as one passing test that bears the file's name.
const isFile = event => files.includes(event.name);

await new Promise(done => {
  // Not in parallel: each file starts its own server, and some of them measure time.
  run({ files, concurrency: 1, timeout: 180_000 })
    .on('test:pass', event => {
      if (event.details.type === 'suite') return;
      if (isFile(event)) return seen.has(event.name) ? undefined : fail(event, 'no test in this file');
      if (event.file) seen.add(event.file);
      if (event.skip !== undefined || event.todo !== undefined) { count.skipped++; line('skipped', event); return; }
      count.passed++;
      line('passed ', event);
    })
    .on('test:fail', event => {
      if (event.details.type === 'suite' && event.details.error?.failureType === 'subtestsFailed') return;
      if (isFile(event) && seen.has(event.name) && event.details.error?.failureType === 'subtestsFailed') return;
      if (event.file) seen.add(event.file);
      const error = event.details.error;
      fail(event, String(error?.cause?.stack ?? error?.cause ?? error?.message ?? error));
    })
    .on('test:stdout', event => process.stdout.write(event.message))
    .on('test:stderr', event => process.stderr.write(event.message))
    .on('end', done)
    .resume();
});

for (const text of failures) console.log(`\n--- ${text}`);
console.log(`\ne2e: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped in ${((Date.now() - began) / 1000).toFixed(1)} s`);
if (report) writeFileSync(report, JSON.stringify({ ...count, failures }));
process.exit(count.failed > 0 || count.passed === 0 ? 1 : 0);
