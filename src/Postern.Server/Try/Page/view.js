// Small means to build what is shown. Text is always set as text: nothing that comes over the wire is ever read as markup.

export const byId = id => document.getElementById(id);

/** An element with attributes and children; strings become text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Keeps a list's end in view, unless somebody has scrolled up to read. */
export function append(list, item, most = 500) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(item);
  while (list.children.length > most) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

/** The log of what went over the wire. Sound is counted, not listed: it comes thirty times a second. */
export class Frames {
  #list = byId('frames');
  #count = 0;
  #began = 0;
  #run = null;

  begin() { this.#began = performance.now(); this.#run = null; }

  add(sent, message) {
    byId('count').textContent = ++this.#count;
    const type = message.type ?? Object.keys(message)[0];
    const sound = message.user_audio_chunk ?? message.audio_event?.audio_base_64;
    if (sound !== undefined && this.#run?.type === type) {
      this.#run.times++;
      this.#run.bytes += bytesOf(sound);
      this.#run.text.textContent = tell(this.#run);
      return;
    }
    this.#run = sound === undefined ? null : { type, times: 1, bytes: bytesOf(sound) };
    const text = element('span', {}, this.#run ? tell(this.#run) : JSON.stringify(message));
    if (this.#run) this.#run.text = text;
    const seconds = ((performance.now() - this.#began) / 1000).toFixed(2);
    append(this.#list, element('li', { class: sent ? 'sent' : 'received' },
      element('time', {}, `${seconds} s`), element('b', {}, `${sent ? '→' : '←'} ${type}`), text), 300);
  }
}

const bytesOf = base64 => Math.floor(base64.length * 3 / 4);
const tell = run => `${run.times} ${run.times === 1 ? 'piece' : 'pieces'} of sound, ${run.bytes.toLocaleString('en')} bytes`;
