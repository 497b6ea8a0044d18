// Stands where a chat endpoint would: says "You said: …" back in pieces, and waits for leave before the second one when told "slowly".
import { createServer } from 'node:http';

/** @returns {Promise<{url: string, asked: object[], release: () => void, close: () => void}>} asked: the bodies of its requests. */
export async function startChat() {
  const asked = [];
  const waiting = new Set(); // a page may post its first turn twice
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += piece;
    const body = JSON.parse(text);
    asked.push(body);
    const said = body.messages.filter(message => message.role === 'user').at(-1).content;
    if (said === 'fail') return response.writeHead(500).end('{"error":{"message":"inside"}}');
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const say = content => response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`);
    say('You said: ');
    if (said.includes('slowly')) await new Promise(resolve => waiting.add(resolve));
    say(said);
    response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: { prompt_tokens: 3, completion_tokens: 4 } })}\n\n`);
    response.end('data: [DONE]\n\n');
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/v1`, asked, release: () => { waiting.forEach(resolve => resolve()); waiting.clear(); }, close: () => { server.closeAllConnections(); server.close(); } };
}
