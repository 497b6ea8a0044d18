// The unmodified @elevenlabs/client in Node: one text conversation, told as JSON on standard output.
// usage: node --experimental-websocket elevenlabs-text.mjs '{"signedUrl": …, "say": […], …}'
import { Conversation } from '@elevenlabs/client';

const { say = [], waitMs = 8000, hangUp = true, ...session } = JSON.parse(process.argv[2]);
const heard = [];
const events = [];
const parts = [];
let conversation;
const done = new Promise(resolve => {
  const timer = setTimeout(resolve, waitMs);
  const next = async () => {
    if (say.length > 0) conversation.sendUserMessage(say.shift());
    else if (hangUp) await conversation.endSession();
  };
  Conversation.startSession({
    textOnly: true, ...session,
    onConnect: props => events.push({ connect: props }),
    onMessage: message => { heard.push(message); if (message.source === 'ai' && conversation) next(); },
    onAgentChatResponsePart: part => parts.push([part.type, part.text]),
    onError: (message, context) => events.push({ error: message, context }),
    onDisconnect: details => { events.push({ disconnect: details }); clearTimeout(timer); resolve(); },
  }).then(started => {
    conversation = started;
    if (heard.some(message => message.source === 'ai')) next();
    else if (session.silent) next();
  }, error => { events.push({ refused: String(error?.message ?? error), code: error?.closeCode }); clearTimeout(timer); resolve(); });
});
await done;
const plain = (key, value) => (typeof Event !== 'undefined' && value instanceof Event ? { type: value.type, code: value.code, reason: value.reason } : value);
console.log(JSON.stringify({ heard, events, parts }, plain));
process.exit(0);
