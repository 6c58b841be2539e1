// The card of live calls: swapped as the socket sends it; by asking again where no socket comes up.
// What renews itself otherwise (htmx) is let be while somebody looks at it closely.

import { isInUse } from "./renewal.js";

const FIRST_MS = 1000;
const LONGEST_MS = 30_000;
const ASK_EVERY_MS = 5000;
// So many sockets in a row that never opened, and it is asked instead; a socket is still tried for.
const TRIES = 3;

/** Keeps one card as it is on the server. */
class LiveCard {
  /** @param {HTMLElement} card @param {HTMLElement} state says how it goes, politely */
  constructor(card, state) {
    this.card = card;
    this.state = state;
    this.failures = 0;
    this.asking = 0;
    this.connect();
  }

  connect() {
    const url = new URL(this.card.dataset.socket, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(url);
    let opened = false;
    this.socket.addEventListener("open", () => {
      opened = true;
      this.failures = 0;
      this.stopAsking();
      this.say("");
    });
    this.socket.addEventListener("message", (event) => this.show(event.data));
    this.socket.addEventListener("close", (event) => this.closed(event.code, opened));
  }

  /** @param {number} code @param {boolean} opened */
  closed(code, opened) {
    if (code === 4403) {
      this.say("You may not see this any more. Reload the page.");
      return;
    }
    this.failures += 1;
    if (opened || this.failures < TRIES) this.say("Reconnecting …");
    else this.ask();
    const pause = Math.min(LONGEST_MS, FIRST_MS * 2 ** (this.failures - 1));
    setTimeout(() => this.connect(), pause * (0.75 + Math.random() / 2));
  }

  /** Ask for the card by HTTP, again and again, until a socket is there. */
  ask() {
    if (this.asking) return;
    const once = () => htmx.ajax("GET", this.card.dataset.fallback, { target: this.card, swap: "innerHTML" });
    this.asking = setInterval(once, ASK_EVERY_MS);
    this.say("No live connection: asking every five seconds.");
    once();
  }

  stopAsking() {
    clearInterval(this.asking);
    this.asking = 0;
  }

  /** @param {string} html as our own template has made it */
  show(html) {
    const focused = this.card.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    this.card.innerHTML = html;
    if (focused) this.card.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
  }

  /** @param {string} text */
  say(text) {
    if (this.state.textContent !== text) this.state.textContent = text;
  }
}

const card = document.getElementById("live-calls");
if (card) new LiveCard(card, document.getElementById("live-state"));

// Who reads a picture or its table keeps it; the next renewal brings it up to date.
document.body.addEventListener("htmx:oobBeforeSwap", (event) => {
  const target = event.detail.target;
  if (target.matches(":hover, :focus-within") || target.querySelector("details[open]") || isInUse(target)) {
    event.detail.shouldSwap = false;
  }
});

// Whoever was logged out meanwhile is shown the login, and not within a card.
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const answered = event.detail.xhr.responseURL;
  if (!answered || new URL(answered).pathname === event.detail.requestConfig.path) return;
  event.detail.shouldSwap = false;
  location.reload();
});
