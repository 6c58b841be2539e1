// Lets a person hear a call that is on: the caller left, the bot right.

import { loudness } from "./mulaw.js";

/** Plays the `sound` events of a CallWatch. Made in a click, else the browser keeps it silent. */
export class CallAudio extends EventTarget {
  /** @param {EventTarget} watch */
  constructor(watch) {
    super();
    this.context = new AudioContext({ latencyHint: "interactive" });
    this.playing = this.#start(watch);
  }

  async #start(watch) {
    await this.context.audioWorklet.addModule(new URL("./voices-worklet.js", import.meta.url));
    this.node = new AudioWorkletNode(this.context, "voices", { numberOfInputs: 0, outputChannelCount: [2] });
    this.gain = new GainNode(this.context);
    this.node.connect(this.gain).connect(this.context.destination);
    this.onSound = ({ detail }) => this.#take(detail);
    watch.addEventListener("sound", this.onSound);
    this.watch = watch;
    await this.context.resume();
  }

  /** @param {number} volume 0..1 */
  set volume(volume) {
    this.gain?.gain.setTargetAtTime(volume, this.context.currentTime, 0.01);
  }

  /** Stop, and give the device back. */
  async close() {
    this.watch?.removeEventListener("sound", this.onSound);
    await this.context.close();
  }

  #take({ side, atMs, audio }) {
    this.node.port.postMessage({ side, atMs, audio: audio.slice() });
    if (side < 2) this.dispatchEvent(new CustomEvent("level", { detail: { side, level: loudness(audio) } }));
  }
}
