// Ways not to get in, each one knocked at the door for real.
import { knock } from './conversation.js';
import { decode, forAnotherAgent, read, tamper, withoutCredential } from './credential.js';
import { byId, element } from './view.js';

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

const attempts = [
  ['tamper', 'Change one character', async ({ url, tell, frame }) => {
    const changed = tamper(url());
    tell(`“${changed.from}” became “${changed.to}” …`);
    return knock(changed.url, frame);
  }],
  ['agent', 'Ask for another agent', ({ url, frame }) => knock(forAnotherAgent(url()), frame)],
  ['none', 'Leave the signature out', ({ url, frame }) => knock(withoutCredential(url()), frame)],
  ['twice', 'Use a single use twice', async ({ mint, tell, frame }) => {
    const { signed_url: single } = (await mint({ uses: 1 })).answer;
    const first = await knock(single, frame);
    if (!first.admitted) return first;
    tell('let in once; once more …');
    return knock(single, frame);
  }],
  ['late', 'Come too late', async ({ mint, tell, frame }) => {
    const { answer, now } = await mint({ start_within: 10 });
    const seconds = decode(read(answer.signed_url).claims).exp - now / 1000;
    for (let left = Math.ceil(seconds + 0.5); left > 0; left--) {
      tell(`minted for 10 seconds; knocking in ${left} …`);
      await pause(1000);
    }
    return knock(answer.signed_url, frame);
  }],
];

/** Lists the attempts. `means` has url(), mint(options), frame(sent, message). */
export function offerAttempts(means) {
  for (const [name, label, run] of attempts) {
    const button = element('button', { type: 'button', id: `attempt-${name}` }, label);
    const result = element('p', { role: 'status', class: 'result' });
    byId('attempts').append(element('li', {}, button, result));
    button.addEventListener('click', async () => {
      button.disabled = true;
      result.className = 'result';
      const tell = text => { result.textContent = text; };
      try {
        tell('knocking …');
        const { admitted, code, reason } = await run({ ...means, tell });
        result.classList.add(admitted ? 'in' : 'out');
        result.replaceChildren(...(admitted ? ['Let in.'] : [element('b', {}, `Refused, ${code}`), ` ${reason}`]));
      } catch (error) {
        tell(error.message);
      } finally {
        button.disabled = false;
      }
    });
  }
}
