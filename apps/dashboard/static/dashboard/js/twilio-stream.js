// Twilio's side of Media Streams: https://www.twilio.com/docs/voice/media-streams/websocket-messages

const FRAME_MS = 20;
// So much that the network has not taken, and audio is dropped: late audio is worth nothing. The
// chunks' numbers tell the other side.
const BACKLOG = 16_384;

const toBase64 = (bytes) => btoa(String.fromCharCode(...bytes));
const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/**
 * One stream. Dispatches `media` (detail: mu-law bytes), `mark` (detail: its name), `clear`, and
 * `close` (detail: the socket's code).
 */
export class TwilioStream extends EventTarget {
  /**
   * @param {string} url of the media socket
   * @param {object} start what Twilio's `start` message tells
   */
  constructor(url, start) {
    super();
    this.url = url;
    this.start = start;
    this.sequence = 0;
    this.chunk = 0;
  }

  /** Connect, and say `connected` and `start`. Rejects if the server does not take the socket. */
  open() {
    return new Promise((resolve, reject) => {
      this.socket = new WebSocket(this.url);
      this.socket.onopen = () => {
        this.socket.send(JSON.stringify({ event: "connected", protocol: "Call", version: "1.0.0" }));
        this.#send("start", { start: this.start });
        resolve();
      };
      this.socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
      this.socket.onclose = ({ code }) => {
        reject(new Error(`closed ${code}`));
        this.dispatchEvent(new CustomEvent("close", { detail: code }));
      };
    });
  }

  /** 20 ms of the caller's voice. @param {Uint8Array} audio mu-law */
  media(audio) {
    const timestamp = String(this.chunk * FRAME_MS);
    this.chunk += 1;
    if (this.socket.bufferedAmount > BACKLOG) return;
    this.#send("media", {
      media: { track: "inbound", chunk: String(this.chunk), timestamp, payload: toBase64(audio) },
    });
  }

  /** All audio before this mark was played, or dropped. @param {string} name */
  mark(name) {
    this.#send("mark", { mark: { name } });
  }

  /** A key was pressed. @param {string} digit */
  dtmf(digit) {
    this.#send("dtmf", { dtmf: { track: "inbound_track", digit } });
  }

  /** The caller hangs up. */
  stop() {
    this.#send("stop", { stop: { accountSid: this.start.accountSid, callSid: this.start.callSid } });
    this.socket.close(1000);
  }

  #send(event, body) {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.sequence += 1;
    const { streamSid } = this.start;
    this.socket.send(JSON.stringify({ event, sequenceNumber: String(this.sequence), ...body, streamSid }));
  }

  #take(message) {
    const detail = {
      media: () => fromBase64(message.media.payload),
      mark: () => message.mark.name,
      clear: () => null,
    }[message.event]?.();
    if (detail !== undefined) this.dispatchEvent(new CustomEvent(message.event, { detail }));
  }
}
