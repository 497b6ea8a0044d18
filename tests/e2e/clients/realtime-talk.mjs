// The vendors' unmodified realtime clients, in Node and in a page: one text turn, one audio turn, told as plain data.
// Each function takes {base, secret, model, lock}: base is an http(s) address, lock an instruction that may not be set.
const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

async function until(what, describe, ms = 12_000) {
  const end = Date.now() + ms;
  while (!what()) {
    if (Date.now() > end) throw new Error(`waited in vain: ${describe()}`);
    await pause(10);
  }
}

/** A tenth of a second of PCM16 at 24 kHz after the other: a loud tone, then silence. */
export function* speech(loud = 6, quiet = 9) {
  for (let at = 0; at < loud + quiet; at++) {
    const samples = new Int16Array(2400);
    if (at < loud) for (let i = 0; i < samples.length; i++) samples[i] = 8000 * Math.sin(i * 0.1);
    yield new Uint8Array(samples.buffer);
  }
}

export const base64 = bytes => {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
};

const wss = base => base.replace(/^http/, 'ws');

/** openai/realtime/ws or openai/realtime/websocket: `open` makes the client's socket. */
export async function talkOpenAI(open, { lock, refused }) {
  const told = { events: [], errors: [], text: '', audio: 0 };
  const socket = await open();
  socket.on('event', event => {
    told.events.push(event.type);
    if (event.type === 'response.output_text.delta') told.text += event.delta;
    if (event.type === 'response.output_audio.delta') told.audio += event.delta.length;
    if (event.type === 'session.updated') told.session = event.session;
  });
  socket.on('error', error => told.errors.push({ message: error.message, ...error.error }));
  const raw = socket.socket;
  raw.addEventListener('close', event => { told.closed = { code: event.code, reason: event.reason }; });
  const done = count => () => told.closed || told.events.filter(type => type === 'response.done').length >= count;
  const describe = () => JSON.stringify(told);
  if (refused) {
    await until(() => told.closed, describe);
    return told;
  }
  await until(() => told.closed || told.events.includes('session.created'), describe);
  socket.send({ type: 'session.update', session: { type: 'realtime', instructions: lock ?? 'Be brief.', output_modalities: ['text'] } });
  await until(() => told.session || told.closed, describe);
  socket.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hi there' }] } });
  socket.send({ type: 'response.create' });
  await until(done(1), describe);
  socket.send({ type: 'session.update', session: { type: 'realtime', output_modalities: ['audio'] } });
  for (const bytes of speech()) {
    socket.send({ type: 'input_audio_buffer.append', audio: base64(bytes) });
    await pause(10);
  }
  await until(done(2), describe);
  socket.close();
  return told;
}

/** @openai/agents-realtime over a WebSocket. */
export async function talkAgents({ RealtimeAgent, RealtimeSession }, { base, secret, model, lock, refused }) {
  const told = { errors: [], audio: 0, connection: [], events: [] };
  const agent = new RealtimeAgent({ name: 'tester', instructions: lock ?? 'Be brief.' });
  const session = new RealtimeSession(agent, { transport: 'websocket' });
  session.on('error', error => told.errors.push(error.error?.error ?? { message: String(error.error?.message ?? error.error) }));
  session.on('audio', event => { told.audio += event.data.byteLength; });
  session.on('transport_event', event => {
    told.events.push(event.type);
    if (event.type === 'session.updated') told.session = event.session;
  });
  session.transport.on('connection_change', state => told.connection.push(state));
  const said = () => session.history.filter(item => item.type === 'message').map(item => `${item.role}: ${item.content.map(part => part.text ?? part.transcript ?? '').join('')}`);
  const describe = () => JSON.stringify({ ...told, history: session.history });
  await session.connect({ apiKey: secret, url: `${wss(base)}/v1/realtime?model=${model}` });
  if (refused) {
    await until(() => told.errors.length > 0 && told.connection.at(-1) === 'disconnected', describe);
    return told;
  }
  await until(() => told.session, describe);
  session.sendMessage('hi there');
  await until(() => said().includes('assistant: echo: hi there') && told.events.includes('response.done'), describe);
  const before = told.audio;
  for (const bytes of speech()) {
    session.sendAudio(bytes.buffer);
    await pause(10);
  }
  await until(() => said().some(text => /^user: \(0\.\d seconds of speech\)$/.test(text)) && told.events.filter(type => type === 'response.done').length >= 2 && told.audio > before, describe);
  told.history = said();
  session.close();
  return told;
}

/** @ai-sdk/xai, which parses and writes; the socket is the runtime's own. */
export async function talkXai({ createXai }, { base, apiKey, token, model, headers, refused }) {
  const told = { events: [], errors: [], text: '', audio: 0 };
  const xai = createXai({ baseURL: `${base}/v1`, apiKey: apiKey ?? 'none', headers });
  const minted = token ?? await xai.experimental_realtime.getToken({ model, expiresAfterSeconds: 60 });
  const realtime = xai.experimental_realtime(model);
  const { url, protocols } = realtime.getWebSocketConfig(minted);
  const socket = new WebSocket(url, protocols);
  socket.addEventListener('message', ({ data }) => {
    for (const event of [realtime.parseServerEvent(JSON.parse(data))].flat()) {
      told.events.push(event.type);
      if (event.type === 'text-delta') told.text += event.delta;
      if (event.type === 'audio-delta') told.audio += event.delta.length;
      if (event.type === 'error') told.errors.push({ message: event.message, code: event.code });
    }
  });
  socket.addEventListener('close', event => { told.closed = { code: event.code, reason: event.reason }; });
  const send = event => socket.send(JSON.stringify(realtime.serializeClientEvent(event)));
  const describe = () => JSON.stringify(told);
  const done = count => () => told.closed || told.events.filter(type => type === 'response-done').length >= count;
  if (refused) {
    await until(() => told.closed, describe);
    return told;
  }
  await until(() => told.closed || told.events.includes('session-created'), describe);
  told.protocol = socket.protocol === protocols[0];
  send({ type: 'session-update', config: { voice: 'eve', turnDetection: { type: 'server-vad' } } });
  await until(() => told.closed || told.events.includes('session-updated'), describe);
  send({ type: 'conversation-item-create', item: { type: 'text-message', role: 'user', text: 'hi there' } });
  send({ type: 'response-create', options: { modalities: ['text'] } });
  await until(done(1), describe);
  for (const bytes of speech()) {
    send({ type: 'input-audio-append', audio: base64(bytes) });
    await pause(10);
  }
  await until(done(2), describe);
  socket.close();
  return told;
}
