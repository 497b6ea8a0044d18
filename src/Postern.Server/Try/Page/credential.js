// What a signed URL says, read without a key: a credential is signed, not secret in what it states, and only the server can check it.

const parameters = ['conversation_signature', 'token'];

/** The parts of a signed URL. */
export function read(url) {
  const query = new URL(url).searchParams;
  const parameter = parameters.find(name => query.has(name));
  const text = query.get(parameter);
  const start = text.indexOf('_') + 1;
  const [header, claims, mac] = text.slice(start).split('.');
  return { before: url.slice(0, url.indexOf(text)), after: url.slice(url.indexOf(text) + text.length), prefix: text.slice(0, start), text, header, claims, mac };
}

/** A segment of a compact JWS (RFC 7515) as an object. */
export function decode(segment) {
  const bytes = Uint8Array.from(atob(segment.replaceAll('-', '+').replaceAll('_', '/')), letter => letter.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** The same URL with one character of the claims changed, and which. */
export function tamper(url) {
  const { before, after, prefix, header, claims, mac } = read(url);
  const at = Math.floor(claims.length / 2);
  const other = claims[at] === 'A' ? 'B' : 'A';
  return { url: `${before}${prefix}${header}.${claims.slice(0, at)}${other}${claims.slice(at + 1)}.${mac}${after}`, from: claims[at], to: other };
}

/** The same URL that asks for another agent. */
export function forAnotherAgent(url) {
  const changed = new URL(url);
  changed.searchParams.set('agent_id', 'agent_somebody_elses');
  return changed.href;
}

/** The same URL without its credential. */
export function withoutCredential(url) {
  const changed = new URL(url);
  for (const name of parameters) changed.searchParams.delete(name);
  return changed.href;
}
