// Plays both voices of a call that is listened to, in step: left the caller, right the bot.

import { decode } from "./mulaw.js";
import { Resampler } from "./resampler.js";

const RATE = 8_000;
// So far behind the newest sound it plays: the gateway sends ten times a second, over a network.
const DELAY_S = 0.35;
// One that has fallen behind further than that has missed something, and goes on at once.
const BEHIND_S = 1.2;
const [CALLER, BOT, CLEARED] = [0, 1, 2];

/** One voice's samples by their place in the call. */
class Voice {
  constructor() {
    this.pieces = []; // { at, samples }, in order, not overlapping
  }

  put(at, samples) {
    const last = this.pieces.at(-1);
    const end = last ? last.at + last.samples.length : -Infinity;
    // Whole ms are told: what is so near belongs together.
    this.pieces.push({ at: Math.abs(at - end) < RATE / 100 ? end : Math.max(at, end), samples });
  }

  /** What lies at or after `at` was never played. */
  cut(at) {
    this.pieces = this.pieces
      .filter((piece) => piece.at < at)
      .map((piece) => ({ ...piece, samples: piece.samples.subarray(0, at - piece.at) }));
  }

  /** Fill `out` with what lies from `at` on, and forget it. */
  take(at, out) {
    out.fill(0);
    for (const piece of this.pieces) {
      const from = Math.max(at, piece.at);
      const to = Math.min(at + out.length, piece.at + piece.samples.length);
      if (from < to) out.set(piece.samples.subarray(from - piece.at, to - piece.at), from - at);
    }
    while (this.pieces.length && this.pieces[0].at + this.pieces[0].samples.length <= at + out.length) {
      this.pieces.shift();
    }
  }
}

class VoicesProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.voices = [new Voice(), new Voice()];
    this.resamplers = [new Resampler(RATE, sampleRate), new Resampler(RATE, sampleRate)];
    this.ready = [[], []];
    this.at = null; // the sample of the call that is played next
    this.newest = 0;
    this.port.onmessage = ({ data }) => this.#take(data);
  }

  #take({ side, atMs, audio }) {
    const at = Math.round((atMs * RATE) / 1_000);
    if (side === CLEARED) return this.voices[BOT].cut(at);
    this.voices[side].put(at, decode(audio));
    // The bot's is known before it is heard; the caller's tells what time it is there.
    if (side === CALLER) this.newest = at + audio.length;
    else if (this.at === null) this.newest = Math.max(this.newest, at);
    if (this.at === null || this.newest - this.at > BEHIND_S * RATE) this.at = this.newest - DELAY_S * RATE;
  }

  process(_inputs, [output]) {
    // Nothing has come for a while: what comes next is played with its delay again.
    if (this.at !== null && this.at - this.newest > RATE / 2) this.at = null;
    if (this.at === null) return true;
    const piece = new Float32Array(80);
    while (this.ready[CALLER].length < output[0].length) {
      for (const side of [CALLER, BOT]) {
        this.voices[side].take(this.at, piece);
        this.ready[side].push(...this.resamplers[side].push(piece));
      }
      this.at += piece.length;
    }
    output.forEach((channel, side) => channel.set(this.ready[side].splice(0, channel.length)));
    return true;
  }
}

registerProcessor("voices", VoicesProcessor);
