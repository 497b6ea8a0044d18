// The microphone and the loudspeaker, in the formats that the conversation announces.

/** Why there is no microphone, or null. Browsers give it to https and to the own machine only. */
export function whyNoMicrophone() {
  if (!window.isSecureContext) return 'The microphone works on https or on localhost only: browsers give it to no other page. Text works everywhere.';
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) return 'This browser offers no microphone. Text works.';
  return null;
}

/** The samples a second of a format such as pcm_16000, or null for one that this page does not speak. */
export const rateOf = format => (/^pcm_\d+$/.test(format ?? '') ? Number(format.slice(4)) : null);

/** Listens until stopped; gives base64 of 16-bit PCM and the loudness from 0 to 1. */
export async function listen(rate, onChunk) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
  const context = new AudioContext();
  const stop = () => { for (const track of stream.getTracks()) track.stop(); context.close(); };
  try {
    await context.audioWorklet.addModule('/try/worklet.js');
    await context.resume();
  } catch (error) {
    stop();
    throw error;
  }
  const capture = new AudioWorkletNode(context, 'capture', { processorOptions: { rate } });
  capture.port.onmessage = ({ data }) => onChunk(encode(data.samples), data.peak);
  // Only what leads to the destination is run; the processor writes nothing, so nothing is heard of it.
  context.createMediaStreamSource(stream).connect(capture).connect(context.destination);
  return stop;
}

/** Plays pieces of sound one after the other. */
export class Loudspeaker {
  #context;
  #playing = new Map();
  #next = 0;

  constructor(rate, onChange) {
    this.#context = new AudioContext({ sampleRate: rate });
    this.#context.resume();
    this.onChange = onChange;
  }

  play(base64, eventId) {
    const samples = decode(base64);
    if (samples.length === 0) return;
    const buffer = this.#context.createBuffer(1, samples.length, this.#context.sampleRate);
    buffer.copyToChannel(samples, 0);
    const piece = this.#context.createBufferSource();
    piece.buffer = buffer;
    piece.connect(this.#context.destination);
    this.#next = Math.max(this.#next, this.#context.currentTime + 0.05);
    piece.start(this.#next);
    this.#next += buffer.duration;
    this.#playing.set(piece, eventId);
    piece.onended = () => { this.#playing.delete(piece); this.onChange(this.#playing.size > 0); };
    this.onChange(true);
  }

  /** The agent was interrupted: what it said before that event is not to be heard any more. */
  drop(eventId) {
    for (const [piece, id] of this.#playing) if (id < eventId) piece.stop();
    this.#next = 0;
  }

  close() {
    this.#playing.clear();
    this.#context.close();
    this.onChange(false);
  }
}

function encode(samples) {
  const bytes = new Uint8Array(samples.buffer);
  return btoa(String.fromCharCode(...bytes));
}

function decode(base64) {
  const text = atob(base64);
  const samples = new Float32Array(text.length >> 1);
  for (let i = 0; i < samples.length; i++) {
    const value = text.charCodeAt(2 * i) | (text.charCodeAt(2 * i + 1) << 8);
    samples[i] = (value > 32767 ? value - 65536 : value) / 32768;
  }
  return samples;
}
