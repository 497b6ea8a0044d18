// Reads user tokens, one a line, and says of each whom two widely used packages take it for: a line of two JSON values, null for a
// refusal. Both are used as their documentation shows: the algorithm named, the key found by kid, half a minute of tolerance.
// usage: node verify-tokens.mjs NOW KID=SECRET …   (seconds since 1970)
import { createSecretKey } from 'node:crypto';
import { createInterface } from 'node:readline';
import { jwtVerify } from 'jose';
import jsonwebtoken from 'jsonwebtoken';

const [now, ...pairs] = process.argv.slice(2);
const secrets = new Map(pairs.map(pair => [pair.slice(0, pair.indexOf('=')), Buffer.from(pair.slice(pair.indexOf('=') + 1))]));
const forJsonwebtoken = new Map([...secrets].map(([kid, secret]) => [kid, createSecretKey(secret)]));
const forJose = new Map(await Promise.all([...secrets].map(async ([kid, secret]) =>
  [kid, await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])])));

// Every application needs a user's id and an end: a token without them is of no use to it.
const user = payload => typeof payload?.sub === 'string' && payload.sub.length > 0 && payload.exp !== undefined ? payload.sub.toWellFormed() : null;

function byJsonwebtoken(token) {
  let found = null;
  const find = (header, done) => forJsonwebtoken.has(header.kid) ? done(null, forJsonwebtoken.get(header.kid)) : done(new Error('no such key'));
  try {
    jsonwebtoken.verify(token, find, { algorithms: ['HS256'], clockTimestamp: Number(now), clockTolerance: 30 }, (error, payload) => { found = error ? null : user(payload); });
  } catch {
    return null; // a header that is no object throws past the callback
  }
  return found;
}

const joseOptions = { algorithms: ['HS256'], currentDate: new Date(now * 1000), clockTolerance: 30 };
async function byJose(token) {
  try {
    const find = header => forJose.get(header.kid) ?? Promise.reject(new Error('no such key'));
    return user((await jwtVerify(token, find, joseOptions)).payload);
  } catch {
    return null;
  }
}

const answer = async lines => {
  const others = await Promise.all(lines.map(byJose));
  const text = lines.map((token, i) => `[${JSON.stringify(byJsonwebtoken(token))},${JSON.stringify(others[i])}]\n`).join('');
  if (!process.stdout.write(text)) await new Promise(done => process.stdout.once('drain', done));
};

let lines = [];
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  lines.push(line);
  if (lines.length === 1000) { await answer(lines); lines = []; }
}
await answer(lines);
