// Runs beside the page's script, in the audio thread: turns what the microphone gives into 16-bit PCM of the wanted rate.
const samplesPerChunk = 512; // 32 ms at 16 kHz, what the vendor's own client sends

class Capture extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.step = sampleRate / processorOptions.rate; // input samples an output sample stands for
    this.sum = 0;
    this.filled = 0;
    this.chunk = new Int16Array(samplesPerChunk);
    this.length = 0;
    this.peak = 0;
  }

  process([[channel]]) {
    for (const sample of channel ?? []) this.take(sample);
    return true;
  }

  // The mean over the time of an output sample: a plain low pass, so that nothing above the new rate folds back.
  take(sample) {
    for (let rest = 1; rest > 1e-9;) {
      const part = Math.min(rest, this.step - this.filled);
      this.sum += sample * part;
      this.filled += part;
      rest -= part;
      if (this.step - this.filled > 1e-9) return;
      this.put(this.sum / this.step);
      this.sum = 0;
      this.filled = 0;
    }
  }

  put(value) {
    const bounded = Math.max(-1, Math.min(1, value));
    this.peak = Math.max(this.peak, Math.abs(bounded));
    this.chunk[this.length++] = Math.round(bounded * 32767);
    if (this.length < samplesPerChunk) return;
    this.port.postMessage({ samples: this.chunk.slice(), peak: this.peak });
    this.length = 0;
    this.peak = 0;
  }
}

registerProcessor('capture', Capture);
