// A phone in a page: microphone, loudspeaker, and the stream between them and the bot.

import { TwilioStream } from "./twilio-stream.js";

const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
const TONES = { rows: [697, 770, 852, 941], columns: [1209, 1336, 1477], keys: "123456789*0#" };
// How long the browser may hold the audio back (a locked screen, another call) before we hang up.
const HELD_MS = 10_000;
// Of what was said and heard, for the recording.
const LONGEST_FRAMES = 50 * 60 * 30;

// Twilio, too, takes the socket's end for the call's: the bot has hung up.
const CLOSED = { 1000: "bot", 1008: "refused" };

/** Why there is no call, in words for people. */
export class PhoneProblem extends Error {}

const WHY_NO_MICROPHONE = {
  NotAllowedError:
    "The browser does not let this page use the microphone. Allow it beside the address, or in the settings of the browser or the device, and call again.",
  NotFoundError: "No microphone was found. Plug one in and call again.",
  NotReadableError: "The microphone is in use by another program, or the system holds it back.",
};

/**
 * Dispatches `frame` every 20 ms (detail: { sent, heard }, mu-law), `gap` (detail: ms) and `ended`
 * (detail: why, see `hangUp`).
 */
export class BrowserPhone extends EventTarget {
  /** Take the devices. To be called in a click, before anything is awaited: phones insist. */
  constructor() {
    super();
    if (!isSecureContext || !("AudioWorkletNode" in window)) {
      throw new PhoneProblem(
        "Browsers give the microphone, and the audio of calls, to pages over https or from this very machine only. " +
          `This page came over ${location.protocol.replace(":", "")} from ${location.host}. Open the dashboard by its https address.`,
      );
    }
    // On an iPhone: both directions, also where the ringer is switched off.
    if (navigator.audioSession) navigator.audioSession.type = "play-and-record";
    this.context = new AudioContext({ latencyHint: "interactive" });
    this.context.resume();
    this.recording = { sent: [], heard: [] };
    this.gaps = [];
    this.ended = false;
  }

  /**
   * Load the audio thread, and ask for the microphone. Who hangs up meanwhile has `ended` set when
   * this returns, and neither device is kept.
   * @param {{microphone: boolean}} wish
   */
  async prepare({ microphone }) {
    try {
      await this.context.audioWorklet.addModule(new URL("./phone-worklet.js", import.meta.url));
    } catch (error) {
      throw new PhoneProblem(`The audio could not be started (${error.message}).`);
    }
    if (this.ended) return;
    this.node = new AudioWorkletNode(this.context, "phone", { outputChannelCount: [1] });
    this.node.port.onmessage = ({ data }) => this.#hear(data);
    if (microphone) await this.#listen();
    if (this.ended) return;
    this.node.connect(this.context.destination);
  }

  async #listen() {
    try {
      this.tracks = await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE });
    } catch (error) {
      const why = WHY_NO_MICROPHONE[error.name] ?? `The microphone could not be opened (${error.name}).`;
      throw new PhoneProblem(why);
    }
    if (this.ended) return this.#release();
    for (const track of this.tracks.getTracks()) track.onended = () => this.hangUp("microphone");
    this.source = new MediaStreamAudioSourceNode(this.context, { mediaStream: this.tracks });
    this.source.connect(this.node);
  }

  /**
   * Begin the call. Rejects if the server does not take it, or who called hangs up before it does.
   * @param {{path: string, start: object}} begun
   */
  async dial({ path, start }) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.stream = new TwilioStream(`${scheme}://${location.host}${path}`, start);
    this.stream.addEventListener("media", ({ detail }) => this.#post({ media: detail }));
    this.stream.addEventListener("mark", ({ detail }) => this.#post({ mark: detail }));
    this.stream.addEventListener("clear", () => this.#post({ clear: true }));
    this.stream.addEventListener("close", ({ detail }) => this.live && this.#end(CLOSED[detail] ?? "line"));
    await this.stream.open();
    this.live = true;
    await this.context.resume();
    if (this.ended) return;
    this.context.onstatechange = () => this.#held();
    document.addEventListener("visibilitychange", (this.onVisible = () => this.#wake()));
    this.#wake();
  }

  /** Say something that was typed. @param {Uint8Array} audio mu-law */
  say(audio) {
    this.#post({ typed: audio });
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.#post({ muted });
  }

  /** Press a key: the bot is told, the person hears its tone. @param {string} key */
  press(key) {
    this.stream?.dtmf(key);
    const at = TONES.keys.indexOf(key);
    const pair = [TONES.rows[Math.floor(at / 3)], TONES.columns[at % 3]];
    const now = this.context.currentTime;
    const gain = new GainNode(this.context, { gain: 0.08 });
    gain.connect(this.context.destination);
    for (const frequency of pair) {
      const tone = new OscillatorNode(this.context, { frequency });
      tone.connect(gain);
      tone.start(now);
      tone.stop(now + 0.15);
    }
  }

  /** End the call. @param {string} why "caller", "microphone", "held" … */
  hangUp(why = "caller") {
    this.#end(why);
  }

  #hear({ sent, heard, mark, gap }) {
    if (mark !== undefined) this.stream?.mark(mark);
    if (gap !== undefined && this.live) {
      this.gaps.push(gap);
      this.dispatchEvent(new CustomEvent("gap", { detail: gap }));
    }
    if (!sent || !this.live) return;
    this.stream.media(sent);
    if (this.recording.sent.length < LONGEST_FRAMES) {
      this.recording.sent.push(sent);
      this.recording.heard.push(heard);
    }
    this.dispatchEvent(new CustomEvent("frame", { detail: { sent, heard } }));
  }

  #post(message) {
    this.node?.port.postMessage(message);
  }

  /** The browser has stopped the audio: go on when it lets us, else end the call. */
  #held() {
    clearTimeout(this.heldTimer);
    if (this.context.state === "running" || this.ended) return;
    this.context.resume().catch(() => {});
    this.heldTimer = setTimeout(() => this.hangUp("held"), HELD_MS);
  }

  async #wake() {
    if (document.visibilityState !== "visible" || this.ended) return;
    this.#held();
    try {
      this.lock = await navigator.wakeLock?.request("screen");
      if (this.ended) await this.lock?.release();
    } catch {
      // A battery that is low: the screen may lock, and then the call ends.
    }
  }

  #end(why) {
    if (this.ended) return;
    this.ended = true;
    this.live = false;
    clearTimeout(this.heldTimer);
    document.removeEventListener("visibilitychange", this.onVisible);
    this.lock?.release().catch(() => {});
    this.stream?.stop();
    this.#release();
    this.context.onstatechange = null;
    this.context.close();
    this.dispatchEvent(new CustomEvent("ended", { detail: why }));
  }

  /** Give the microphone back. */
  #release() {
    for (const track of this.tracks?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
  }
}
