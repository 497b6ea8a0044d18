// The page: exchanges the link's code, mints, shows what was minted and why it is accepted, and converses.
import { offerAttempts } from './attempts.js';
import { converse } from './conversation.js';
import { decode, read } from './credential.js';
import { listen, Loudspeaker, rateOf, whyNoMicrophone } from './sound.js';
import { append, byId, element, Frames } from './view.js';

const frames = new Frames();
let minted;          // the last answer of the mint
let live;            // the conversation, while there is one
let door;            // resolves when the door has answered
let stopListening;   // ends the microphone
let clock;           // counts down
const said = new Map(); // bubbles of this conversation by event id
const invitation = byId('sound').textContent;

async function call(path, body) {
  const answer = await fetch(path, body === undefined ? {} : { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  const detail = told.detail;
  throw new Error(typeof detail === 'string' ? detail : detail?.message ?? detail?.[0]?.msg ?? `The server answered ${answer.status}.`);
}

// The code leaves the address bar before anything else happens: no history, screenshot or shoulder keeps it.
async function enter() {
  const code = location.hash.slice(1);
  history.replaceState(null, '', location.pathname);
  let why = 'You came without one, or your hour is over.';
  try {
    if (code) return await open(await call('/try/session', { code }));
  } catch (error) {
    why = error.message;
  }
  const session = await call('/try/session').catch(() => ({ live: false }));
  if (session.live) return open(session);
  byId('closed-why').textContent = why;
  byId('closed').hidden = false;
  byId('open').hidden = true;
}

async function open({ ends_at: endsAt }) {
  const pill = byId('session');
  pill.textContent = `This page is open until ${timeOf(endsAt)}`;
  pill.hidden = false;
  byId('closed').hidden = true;
  byId('open').hidden = false;
  await mintAgain();
}

const mint = options => call('/try/mint', options);

async function mintAgain() {
  const problem = byId('mint-problem');
  problem.hidden = true;
  const options = {};
  if (byId('within').value) options.start_within = Number(byId('within').value);
  if (byId('uses').value) options.uses = Number(byId('uses').value);
  try {
    minted = await mint(options);
    showMinted();
    showDoor('', 'not presented yet');
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
}

function showMinted() {
  const { answer, key, agent, explain, now } = minted;
  const parts = read(answer.signed_url);
  const header = decode(parts.header), claims = decode(parts.claims);
  byId('key').textContent = key;
  byId('agent').textContent = agent.name;
  byId('url').replaceChildren(
    element('span', { class: 'address' }, parts.before), element('span', { class: 'prefix' }, parts.prefix),
    element('span', { class: 'header' }, parts.header), '.', element('span', { class: 'said' }, parts.claims), '.',
    element('span', { class: 'mac' }, `${parts.mac.slice(0, 4)}…${parts.mac.slice(-4)}`), parts.after);
  byId('claims').replaceChildren(...[
    ['header', 'kid', header.kid, 'signing key'],
    ['said', 'agt', claims.agt, 'the only agent'],
    ['said', 'exp', timeOf(claims.exp), 'start before, in your time'],
    ['said', 'use', claims.use ?? 'absent', claims.use === undefined ? 'any number of uses' : 'uses'],
    ['said', 'jti', claims.jti, 'its name in the audit'],
    ['mac', 'signature', '32 bytes', header.alg],
  ].flatMap(([part, name, value, meaning]) => [
    element('dt', { class: part }, name),
    element('dd', {}, element('code', {}, value), element('span', {}, meaning)),
  ]));
  byId('checks').replaceChildren(...explain.map(({ check, sentence }) => element('li', {}, element('b', {}, check), element('span', {}, sentence))));
  countDown(claims, now);
}

function countDown({ iat, exp }, serverNow) {
  clearInterval(clock);
  const ahead = serverNow - Date.now();
  const tick = () => {
    const left = Math.max(0, exp - (Date.now() + ahead) / 1000);
    byId('left').value = left / (exp - iat);
    byId('countdown').textContent = left > 0 ? `${Math.floor(left / 60)}:${String(Math.floor(left % 60)).padStart(2, '0')} left to start` : 'too late to start';
    byId('countdown').classList.toggle('over', left === 0);
    if (left === 0) clearInterval(clock);
  };
  clock = setInterval(tick, 250);
  tick();
}

function showDoor(state, text) {
  byId('door').className = `pill ${state}`;
  byId('door').textContent = text;
  byId('checks').className = `checks ${state}`;
}

function connect() {
  if (live) return door;
  frames.begin();
  said.clear();
  byId('connect').disabled = true;
  showDoor('', 'knocking …');
  let loudspeaker, greeted; // what one says stands after the greeting, where there is one
  door = new Promise(resolve => {
    const conversation = live = converse(minted.answer.signed_url, {
      frame: (sent, message) => frames.add(sent, message),
      admitted(metadata) {
        showDoor('in', 'admitted');
        note(`Conversation ${metadata.conversation_id}`);
        byId('disconnect').disabled = false;
        greeted = () => resolve(metadata);
        setTimeout(greeted, 500);
        const rate = rateOf(metadata.agent_output_audio_format);
        if (rate) loudspeaker = new Loudspeaker(rate, playing => byId('talk').classList.toggle('playing', playing));
      },
      message(message) {
        hear(message, loudspeaker);
        if (message.type === 'agent_response') greeted();
      },
      ended({ admitted, code, reason }) {
        if (!admitted) showDoor('out', `refused, ${code}`);
        note(admitted ? `Ended: ${code}${reason ? `, ${reason}` : ''}` : `Refused: ${reason || `code ${code}`}`, admitted ? '' : 'out');
        if (live === conversation) live = undefined;
        loudspeaker?.close();
        stopTalking();
        byId('connect').disabled = false;
        byId('disconnect').disabled = true;
        resolve(null);
      },
    });
  });
  return door;
}

function hear(message, loudspeaker) {
  switch (message.type) {
    case 'agent_response':
      return bubble('agent', message.agent_response_event.agent_response, message.agent_response_event.event_id);
    case 'agent_chat_response_part':
      return message.text_response_part.type === 'delta' && bubble('agent', message.text_response_part.text, message.text_response_part.event_id);
    case 'user_transcript':
      return bubble('user', message.user_transcription_event.user_transcript);
    case 'audio':
      return loudspeaker?.play(message.audio_event.audio_base_64, message.audio_event.event_id);
    case 'interruption':
      return loudspeaker?.drop(message.interruption_event.event_id);
    case 'error':
      return note(message.error_event.message ?? message.error_event.error_type, 'out');
  }
}

// An answer may come in parts and then whole, under one event id: it stays one bubble.
function bubble(who, text, eventId) {
  const before = said.get(eventId);
  if (before) return void (before.lastChild.textContent = text);
  const item = element('li', { class: who }, element('span', { class: 'hidden' }, who === 'user' ? 'You: ' : 'Agent: '), element('span', {}, text));
  if (eventId !== undefined) said.set(eventId, item);
  append(byId('transcript'), item);
}

const note = (text, state = '') => append(byId('transcript'), element('li', { class: `note ${state}` }, text));

async function talk() {
  if (stopListening) return stopTalking();
  const metadata = await connect();
  const rate = metadata && rateOf(metadata.user_input_audio_format);
  if (!metadata) return;
  if (!rate) return void (byId('sound').textContent = `This page does not speak ${metadata.user_input_audio_format}.`);
  try {
    stopListening = await listen(rate, (chunk, loudness) => {
      live?.hear(chunk);
      byId('level').style.transform = `scaleX(${Math.min(1, loudness * 1.5)})`;
    });
  } catch (error) {
    return void (byId('sound').textContent = error.name === 'NotAllowedError' ? 'The browser was not allowed to use the microphone.' : `No microphone: ${error.message}`);
  }
  byId('talk').setAttribute('aria-pressed', 'true');
  byId('talk').lastChild.textContent = 'Stop';
  byId('sound').textContent = 'Listening. Pause, and the agent says it back.';
}

function stopTalking() {
  stopListening?.();
  stopListening = undefined;
  byId('level').style.transform = 'scaleX(0)';
  byId('talk').setAttribute('aria-pressed', 'false');
  byId('talk').lastChild.textContent = 'Talk';
  if (!byId('talk').disabled) byId('sound').textContent = invitation;
}

const timeOf = seconds => new Date(seconds * 1000).toLocaleTimeString('en-GB');

function wire() {
  byId('mint').addEventListener('submit', event => { event.preventDefault(); mintAgain(); });
  byId('copy').addEventListener('click', async ({ target }) => {
    await navigator.clipboard?.writeText(minted.answer.signed_url);
    target.textContent = navigator.clipboard ? 'Copied' : 'Needs https';
    setTimeout(() => { target.textContent = 'Copy URL'; }, 1500);
  });
  byId('connect').addEventListener('click', connect);
  byId('disconnect').addEventListener('click', () => live?.close());
  byId('say').addEventListener('submit', async event => {
    event.preventDefault();
    const text = byId('text').value.trim();
    if (!text || !await connect()) return;
    byId('text').value = '';
    bubble('user', text);
    live?.say(text);
  });
  byId('talk').addEventListener('click', talk);
  const silent = whyNoMicrophone();
  if (silent) {
    byId('talk').disabled = true;
    byId('sound').textContent = silent;
  }
  offerAttempts({ url: () => minted.answer.signed_url, mint, frame: (sent, message) => frames.add(sent, message) });
  addEventListener('hashchange', () => location.hash.length > 1 && enter());
}

wire();
await enter();
