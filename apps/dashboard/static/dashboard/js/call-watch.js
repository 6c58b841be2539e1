// What happens in a call, as it happens: see apps/dashboard/consumers/watch.py for the events.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const NOT_ALLOWED = 4403;

/**
 * Watches one call, and connects again when the socket breaks.
 *
 * Dispatches an `event` for each event of the call (a CustomEvent whose `detail` is the event, with
 * its `kind`), `sound` for each piece of audio (`detail`: { side, atMs, audio }), and `state` when
 * the connection changes (`detail`: "connecting", "open", "lost", "over" or "refused").
 */
export class CallWatch extends EventTarget {
  /**
   * @param {string} callId
   * @param {{audio?: boolean}} [wish] audio: send both voices too; an operator may.
   */
  constructor(callId, { audio = false } = {}) {
    super();
    this.callId = callId;
    this.audio = audio;
    this.state = "";
    this.waitMs = FIRST_WAIT_MS;
    this.wasOpen = false;
    this.refusals = 0;
  }

  /** Connect, in place of what is connected or waits to be. */
  open() {
    this.close();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const query = this.audio ? "?audio=1" : "";
    this.#state("connecting");
    const socket = new WebSocket(`${scheme}://${location.host}/admin/ws/calls/${this.callId}/watch${query}`);
    this.socket = socket;
    this.wasOpen = false;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.#event(JSON.parse(data)) : this.#sound(data));
    socket.onclose = ({ code }) => this.#closed(code);
    return this;
  }

  /** Stop watching. */
  close() {
    clearTimeout(this.timer);
    if (!this.socket) return;
    // It may say something yet, and is not listened to.
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.socket = undefined;
  }

  /** Hear both voices, or no more. @param {boolean} audio */
  listen(audio) {
    if (audio === this.audio) return;
    this.audio = audio;
    if (this.state === "over" || this.state === "refused") return;
    this.open();
  }

  #opened() {
    this.waitMs = FIRST_WAIT_MS;
    this.refusals = 0;
    this.wasOpen = true;
    this.#state("open");
  }

  #event(event) {
    if (event.kind === "over") this.#state("over");
    this.dispatchEvent(new CustomEvent("event", { detail: event }));
  }

  #sound(data) {
    const head = new DataView(data);
    const detail = { side: head.getUint8(0), atMs: head.getUint32(1, true), audio: new Uint8Array(data, 5) };
    this.dispatchEvent(new CustomEvent("sound", { detail }));
  }

  #closed(code) {
    if (this.state === "over") return;
    // A handshake that is refused looks like a server that is away: three of them are enough.
    this.refusals += this.wasOpen ? 0 : 1;
    if (code === NOT_ALLOWED || this.refusals >= 3) return this.#state("refused");
    this.#state("lost");
    this.timer = setTimeout(() => this.open(), this.waitMs);
    this.waitMs = Math.min(LONGEST_WAIT_MS, this.waitMs * 2);
  }

  #state(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
