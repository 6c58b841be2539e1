// The transcript of a call as it grows, out of the events of a CallWatch.

const STAGES = {
  endpointing: "Hearing that you were done",
  transcription: "Words",
  tools: "Tools",
  model: "Model's first word",
  sentence: "First sentence",
  voice: "Voice",
  line: "Sending",
  lead_in: "Silence before its first sound",
  network: "Network, there and back",
};
const SOURCES = {
  greeting: "greeting",
  consent: "notice of the recording",
  operator: "said by an operator",
  filler: "filler",
  apology: "apology",
  idle: "are you there?",
  resume: "after a broken line",
};

/** @param {string} tag @param {string} look @param {(Node|string)[]} [content] */
function element(tag, look, ...content) {
  const found = document.createElement(tag);
  if (look) found.className = look;
  found.append(...content);
  return found;
}

const clock = (ms) => {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
};

/** The text, with what the caller did not hear of it struck through. */
function spoken(said, heard, interrupted) {
  const text = element("p", "bc-turn-text");
  if (!interrupted || !said.startsWith(heard)) {
    text.append(said || heard);
    return text;
  }
  const missed = element("del", "", said.slice(heard.length));
  text.append(heard, element("span", "bc-visually-hidden", " (not heard:)"), missed);
  return text;
}

/** How long the caller waited, and for what. */
function latency(turn) {
  const stages = Object.entries(turn.stages_ms ?? {});
  const list = element("dl", "bc-stages");
  for (const [name, ms] of stages) {
    const meter = element("meter", "");
    meter.max = turn.latency_ms;
    meter.value = ms;
    meter.setAttribute("aria-hidden", "true");
    list.append(element("dt", "", STAGES[name] ?? name), element("dd", "bc-number", meter, ` ${Math.round(ms)} ms`));
  }
  const clockFace = element("span", "material-symbols-outlined md-18", "timer");
  clockFace.setAttribute("aria-hidden", "true");
  const words = element("span", "bc-visually-hidden", "Answered after");
  const summary = element("summary", "bc-number", clockFace, words, ` ${Math.round(turn.latency_ms)} ms`);
  summary.title = "From the end of the caller's speech to the answer's first sound";
  return element("details", "bc-latency", summary, list);
}

/** Fills `log` with turns; `now` shows what is being said and is not settled yet. */
export class CallTranscript {
  /** @param {HTMLElement} log an <ol> in what has the role "log" @param {HTMLElement} now beneath it */
  constructor(log, now) {
    this.log = log;
    this.partial = element("p", "bc-turn-now bc-turn-caller");
    this.saying = element("p", "bc-turn-now bc-turn-bot");
    now.append(this.partial, this.saying);
    this.turns = new Map();
    this.streams = [];
  }

  /** Take an event; others than it shows are passed over. */
  take(event) {
    ({
      "caller.partial": () => this.#say(this.partial, event.text),
      "caller.final": () => this.#say(this.partial, event.text),
      "bot.says": () => this.#says(event),
      turn: () => this.#turn(event),
      event: () => this.#note(event),
      "stream.ended": () => this.#quiet(),
    })[event.kind]?.();
  }

  #quiet() {
    this.#say(this.partial, "");
    this.saying.replaceChildren();
  }

  #say(where, text) {
    where.replaceChildren(text);
  }

  #says({ said, heard }) {
    const rest = said.startsWith(heard) ? said.slice(heard.length) : said;
    const told = said.startsWith(heard) ? heard : "";
    this.saying.replaceChildren(element("span", "bc-heard", told), element("span", "bc-unheard", rest));
  }

  #turn(turn) {
    const key = `${turn.stream}:${turn.index}`;
    if (this.turns.has(key)) return;
    if (!this.streams.includes(turn.stream)) this.streams.push(turn.stream);
    if (turn.role === "caller") this.#say(this.partial, "");
    else this.saying.replaceChildren();
    const item = this.#item(turn);
    this.turns.set(key, item);
    item.place = this.streams.indexOf(turn.stream) * 1e6 + turn.index;
    const next = [...this.log.children].find((other) => other.place > item.place);
    this.log.insertBefore(item, next ?? null);
    this.#follow();
  }

  #item(turn) {
    const head = element("div", "bc-turn-head", element("strong", "", turn.role === "bot" ? "Bot" : "Caller"));
    if (turn.started_ms !== undefined) head.append(element("span", "bc-number", clock(turn.started_ms)));
    if (SOURCES[turn.source]) head.append(element("span", "", SOURCES[turn.source]));
    if (turn.interrupted) head.append(element("span", "bc-badge bc-badge-warn", "interrupted"));
    if (turn.latency_ms !== null) head.append(latency(turn));
    return element("li", `bc-turn bc-turn-${turn.role}`, head, spoken(turn.said, turn.heard, turn.interrupted));
  }

  #note({ name, data, at_ms: atMs }) {
    const words = NOTES[name]?.(data ?? {});
    if (!words) return;
    const item = element("li", "bc-turn-note", element("span", "bc-number", clock(atMs)), ` ${words}`);
    item.place = this.log.lastElementChild?.place ?? 0;
    this.log.append(item);
    this.#follow();
  }

  /** Keep the newest in view, unless somebody has scrolled back. */
  #follow() {
    const box = this.log.closest("[data-follows]");
    if (box && box.scrollHeight - box.scrollTop - box.clientHeight < 200) box.scrollTop = box.scrollHeight;
  }
}

const NOTES = {
  dtmf: () => "A key was pressed.",
  "tool.ran": ({ tool, ms, outcome }) => `Tool ${tool || "of an unknown name"}: ${outcome}, ${ms} ms.`,
  "provider.failed": ({ provider, reason }) => `Failed: ${provider} (${reason}).`,
  "provider.missing": ({ provider }) => `This server cannot run ${provider}.`,
  "provider.switched": ({ from, to, reason }) => `${to} took over for ${from} (${reason}).`,
  "call.transferring": () => "The call is being put through.",
  "call.transfer_failed": () => "It could not be put through.",
  "playout.underrun": ({ gap_ms: gap }) => `The bot's voice had a gap of ${gap} ms: its audio came too late.`,
  "audio.lost": ({ messages }) => `${messages} pieces of the caller's audio got lost on the way.`,
};
