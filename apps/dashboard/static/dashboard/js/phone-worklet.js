// A telephone in an audio thread: the microphone as 20 ms frames of mu-law 8 kHz, the other side's
// audio played as Twilio plays it: in the order received, with marks, and emptied at once by clear.
//
// In: { media }, { mark }, { clear }, { typed }, { muted }.
// Out: { sent, heard } every 20 ms: what went out, and what was played meanwhile, both mu-law;
// { mark } when all before it was played; { gap }: ms for which there was nothing to play.

import { EXPAND, SILENCE, compress } from "./mulaw.js";
import { Resampler } from "./resampler.js";

const RATE = 8_000;
const FRAME = RATE / 50;
const BLOCK = 16; // samples that are brought to the device's rate at a time
const FADE = RATE / 200; // 5 ms: what is cut off harder clicks
const MS = RATE / 1_000;
// How much has to be there before it is played. Each gap adds a step: the network is that uneven.
const WAIT = { least: 20 * MS, step: 20 * MS, most: 120 * MS };
// Silence between two pieces of sound that is shorter is a gap; longer, somebody fell silent.
const GAP = 600 * MS;

/** Samples in the order received; marks between them. */
class Playout {
  constructor(tell) {
    this.tell = tell;
    this.pieces = [];
    this.head = 0; // samples of the first piece that are played
    this.queued = 0;
    this.marks = []; // { name, left: samples to be played before it }
    this.wait = WAIT.least;
    this.waited = 0;
    this.playing = false;
    this.dry = null; // samples since it ran out; null: it has not
  }

  add(bytes) {
    this.pieces.push(Float32Array.from(bytes, (byte) => EXPAND[byte]));
    this.queued += bytes.length;
  }

  mark(name) {
    if (this.queued) this.marks.push({ name, left: this.queued });
    else this.tell({ mark: name });
  }

  clear() {
    const rest = new Float32Array(this.playing ? Math.min(FADE, this.queued) : 0);
    this.#take(rest);
    rest.forEach((sample, at) => (rest[at] = sample * (1 - (at + 1) / rest.length)));
    this.pieces = rest.length ? [rest] : [];
    this.head = 0;
    this.queued = rest.length;
    for (const { name } of this.marks.splice(0)) this.tell({ mark: name });
  }

  /** Fill a block; returns nothing. */
  play(block) {
    block.fill(0);
    if (!this.playing) this.#begin(block.length);
    if (!this.playing) return;
    const played = this.#take(block);
    for (const mark of this.marks) mark.left -= played;
    while (this.marks.length && this.marks[0].left <= 0) this.tell({ mark: this.marks.shift().name });
    if (!this.queued) {
      this.playing = false;
      this.dry = this.waited = 0;
    }
  }

  #begin(length) {
    if (this.dry !== null) this.dry += length;
    if (!this.queued) return;
    this.waited += length;
    if (this.queued < this.wait && this.waited < this.wait) return;
    this.playing = true;
    if (this.dry !== null && this.dry < GAP) {
      this.tell({ gap: Math.round(this.dry / MS) });
      this.wait = Math.min(WAIT.most, this.wait + WAIT.step);
    }
    this.dry = null;
  }

  #take(out) {
    let at = 0;
    while (at < out.length && this.pieces.length) {
      const piece = this.pieces[0];
      const part = piece.subarray(this.head, this.head + out.length - at);
      out.set(part, at);
      at += part.length;
      this.head += part.length;
      if (this.head === piece.length) {
        this.pieces.shift();
        this.head = 0;
      }
    }
    this.queued -= at;
    return at;
  }
}

/** What was typed, as mu-law: said a frame at a time instead of what the microphone hears. */
class Typed {
  constructor() {
    this.pieces = [];
    this.head = 0; // bytes of the first piece that are said
  }

  /** @param {Uint8Array} bytes of any length */
  add(bytes) {
    if (bytes.length) this.pieces.push(bytes);
  }

  /** Fill a frame, the rest of it with silence. With nothing to say it is left as it is. */
  take(frame) {
    if (!this.pieces.length) return;
    frame.fill(SILENCE);
    let at = 0;
    while (at < frame.length && this.pieces.length) {
      const part = this.pieces[0].subarray(this.head, this.head + frame.length - at);
      frame.set(part, at);
      at += part.length;
      this.head += part.length;
      if (this.head === this.pieces[0].length) {
        this.pieces.shift();
        this.head = 0;
      }
    }
  }
}

class PhoneProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.playout = new Playout((message) => this.port.postMessage(message));
    this.down = new Resampler(sampleRate, RATE);
    this.up = new Resampler(RATE, sampleRate);
    this.frame = new Uint8Array(FRAME);
    this.filled = 0;
    this.typed = new Typed();
    this.muted = false;
    this.heard = [];
    this.block = new Float32Array(BLOCK);
    this.ready = [];
    this.port.onmessage = ({ data }) => this.#take(data);
  }

  #take({ media, mark, clear, typed, muted }) {
    if (media) this.playout.add(media);
    if (mark !== undefined) this.playout.mark(mark);
    if (clear) this.playout.clear();
    if (typed) this.typed.add(typed);
    if (muted !== undefined) this.muted = muted;
  }

  process([input], [output]) {
    const length = output[0].length;
    this.#play(output, length);
    for (const sample of this.down.push(input[0] ?? new Float32Array(length))) this.#say(sample);
    return true;
  }

  #play(output, length) {
    while (this.ready.length < length) {
      this.playout.play(this.block);
      for (const sample of this.block) this.heard.push(compress(sample));
      this.ready.push(...this.up.push(this.block));
    }
    const samples = this.ready.splice(0, length);
    for (const channel of output) channel.set(samples);
  }

  #say(sample) {
    this.frame[this.filled++] = this.muted ? SILENCE : compress(sample);
    if (this.filled < FRAME) return;
    this.typed.take(this.frame);
    this.port.postMessage({ sent: this.frame.slice(), heard: Uint8Array.from(this.heard) });
    this.heard.length = this.filled = 0;
  }
}

registerProcessor("phone", PhoneProcessor);
