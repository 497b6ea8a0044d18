// Starts the built server as its users do: a process, a data folder, an API key, ports of the system's choosing.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const alive = new Set();
process.on('exit', () => { for (const child of alive) child.kill('SIGKILL'); });

/** The server's assembly: POSTERN_DLL, else whichever configuration was built last. */
export function posternDll() {
  if (process.env.POSTERN_DLL) return process.env.POSTERN_DLL;
  const built = ['Release', 'Debug']
    .map(name => join(root, 'src', 'Postern.Server', 'bin', name, 'net10.0', 'postern.dll'))
    .filter(existsSync).sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  if (built.length === 0) throw new Error('The server is not built. Run: dotnet build');
  return built[0];
}

/** Runs one subcommand to its end, for instance postern(['keys', 'list', '--json']). */
export function postern(args, { env = {}, timeoutMs = 30_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn('dotnet', [posternDll(), ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    alive.add(child);
    let stdout = '', stderr = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    child.stdout.on('data', data => { stdout += data; });
    child.stderr.on('data', data => { stderr += data; });
    child.on('error', reject);
    child.on('close', code => { clearTimeout(timer); alive.delete(child); resolve({ code, stdout, stderr }); });
  });
}

/**
 * Starts a server and waits until it listens.
 * @returns {Promise<{http: string, https: string, apiKey: string, caFile: string, caPem: string, data: string, pid: number,
 *   output: () => string, stop: () => Promise<number>, kill: () => Promise<void>}>} base addresses without a trailing slash;
 *   stop() asks by SIGTERM and gives the exit code, kill() does not ask.
 */
export async function startPostern({
  apiKey = 'e2e' + randomBytes(32).toString('hex'), data, args = [], env = {}, readyMs = 30_000, stopMs = 20_000 } = {}) {
  const ownData = data === undefined;
  data ??= mkdtempSync(join(tmpdir(), 'postern-e2e-'));
  const child = spawn('dotnet',
    [posternDll(), 'serve', '--http', '127.0.0.1:0', '--https', '127.0.0.1:0', '--data', data, ...args],
    { cwd: data, env: { ...process.env, POSTERN_WATCH_SOCKET_THREADS: '1', POSTERN_API_KEY: apiKey, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  alive.add(child);

  let output = '';
  const ended = new Promise(resolve => child.on('close', (code, signal) => { alive.delete(child); resolve({ code, signal }); }));
  child.stderr.on('data', text => { output += text; });

  const clean = () => { if (ownData) rmSync(data, { recursive: true, force: true }); };
  const addresses = {};
  await new Promise((resolve, reject) => {
    const fail = why => { clearTimeout(timer); child.kill('SIGKILL'); reject(new Error(`${why}\n${output}`)); };
    const timer = setTimeout(() => fail(`Postern did not listen within ${readyMs} ms.`), readyMs);
    child.on('error', error => fail(error.message));
    child.on('close', code => fail(`Postern ended with exit code ${code} before it listened.`));
    createInterface({ input: child.stdout }).on('line', text => {
      output += text + '\n';
      const found = /^Listening on (https?):\/\/(\S+?)\/?$/.exec(text.trim());
      if (found) addresses[found[1]] = `${found[1]}://${found[2]}`;
      if (addresses.http && addresses.https) { clearTimeout(timer); resolve(); }
    });
  }).catch(error => { clean(); throw error; });

  const caFile = join(data, 'dev-ca.pem');
  return {
    ...addresses, apiKey, data, caFile, pid: child.pid,
    get caPem() { return readFileSync(caFile, 'utf8'); },
    output: () => output,
    async stop() {
      const timer = setTimeout(() => child.kill('SIGKILL'), stopMs);
      child.kill('SIGTERM');
      const { code, signal } = await ended;
      clearTimeout(timer);
      clean();
      if (signal) throw new Error(`Postern did not stop within ${stopMs} ms of SIGTERM.\n${output}`);
      return code;
    },
    async kill() { child.kill('SIGKILL'); await ended; clean(); },
  };
}
