// The page of a call that is on: what is said right now, the transcript as it grows, and its sound.

import { CallAudio } from "./call-audio.js";
import { CallWatch } from "./call-watch.js";

/** The transcript is asked for at once when one of these happens; else every two seconds. */
const NEWS = new Set(["call", "turn", "event", "stream.ended", "over"]);
const WAIT_MS = 150;

const STATES = {
  connecting: "",
  open: "",
  lost: "The live connection broke; it is being made again.",
  refused: "Nothing live comes. The transcript is looked for every two seconds.",
  over: "The call is over.",
};

/** Shows who speaks, and the words as they come. */
class Now {
  constructor(root) {
    this.who = root.querySelector("[data-now-who]");
    this.words = root.querySelector("[data-now-words]");
  }

  /** @param {{kind: string}} event */
  take(event) {
    switch (event.kind) {
      case "caller.partial":
      case "caller.final":
        return this.show("Caller", event.text);
      case "bot.says":
        return this.show("Bot", event.heard || event.said);
      case "tools":
        return event.running.length ? this.show("Bot", `uses ${event.running.join(", ")} …`) : undefined;
      case "phase":
        return this.phase(event.phase);
      case "over":
        return this.show("", "The call is over.");
    }
  }

  phase(phase) {
    const words = { listening: "Nobody speaks.", hearing: "…", transcribing: "…", thinking: "…", transferring: "The caller is being put through." }[phase];
    const who = { hearing: "Caller", transcribing: "Caller", thinking: "Bot" }[phase] ?? "";
    if (words) this.show(who, words);
  }

  show(who, words) {
    this.who.textContent = who;
    this.words.textContent = words;
  }
}

/** Lets an operator hear both voices. Begins in a click, else the browser keeps it silent. */
class Listening {
  constructor(button, levels, watch, tell) {
    Object.assign(this, { button, levels, watch, tell });
    button.disabled = false;
    button.addEventListener("click", () => (this.audio ? this.stop() : this.start()));
    watch.addEventListener("event", ({ detail }) => {
      if (detail.kind === "listening" && detail.why) this.refused(detail.why);
      if (detail.kind === "over") this.stop();
    });
  }

  async start() {
    this.audio = new CallAudio(this.watch);
    this.audio.addEventListener("level", ({ detail }) => this.level(detail));
    this.watch.listen(true);
    this.show(true);
    try {
      await this.audio.playing;
    } catch {
      this.refused("This browser does not play live sound.");
    }
  }

  stop() {
    this.watch.listen(false);
    this.audio?.close();
    this.audio = undefined;
    this.show(false);
  }

  refused(why) {
    this.stop();
    this.tell(why);
  }

  show(on) {
    this.button.setAttribute("aria-pressed", String(on));
    this.button.querySelector("[data-listen-words]").textContent = on ? "Stop listening" : "Listen in";
    this.levels.toggleAttribute("data-on", on);
  }

  level({ side, level }) {
    const meter = this.levels.querySelector(`[data-level="${side}"]`);
    if (meter) meter.value = level;
  }
}

/** When the news come, what a reader has unfolded stays so, and the transcript where it was read. */
function keepPlace(news) {
  const turns = () => news.querySelector("[data-turns]");
  let [open, top] = [[], Infinity];
  const show = () => turns()?.scrollTo({ top: top === Infinity ? turns().scrollHeight : top });
  news.addEventListener("htmx:beforeSwap", () => {
    open = [...news.querySelectorAll("details")].map((details) => details.open);
    const list = turns();
    const atEnd = !list || list.scrollTop + list.clientHeight > list.scrollHeight - 8;
    top = atEnd ? Infinity : list.scrollTop;
  });
  news.addEventListener("htmx:afterSwap", () => {
    news.querySelectorAll("details").forEach((details, at) => (details.open = open[at] ?? false));
    show();
  });
  show();
}

function begin(root) {
  const news = document.getElementById("call-news");
  const state = root.querySelector("[data-live-state]");
  const now = new Now(root);
  const watch = new CallWatch(root.dataset.live);
  let due;
  keepPlace(news);
  watch.addEventListener("state", ({ detail }) => (state.textContent = STATES[detail] ?? ""));
  watch.addEventListener("event", ({ detail }) => {
    now.take(detail);
    if (detail.kind === "unreachable") state.textContent = detail.why;
    if (!NEWS.has(detail.kind)) return;
    clearTimeout(due);
    due = setTimeout(() => news.dispatchEvent(new CustomEvent("news")), WAIT_MS);
  });
  const button = document.querySelector("[data-listen]");
  if (button) new Listening(button, document.querySelector("[data-levels]"), watch, (why) => (state.textContent = why));
  watch.open();
  addEventListener("pagehide", () => watch.close());
}

for (const root of document.querySelectorAll("[data-live]")) begin(root);
