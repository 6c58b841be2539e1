// The page for talking to a bot.

import { NoAnswer, asked } from "./asking.js";
import { BrowserPhone, PhoneProblem } from "./browser-phone.js";
import { CallTranscript } from "./call-transcript.js";
import { CallWatch } from "./call-watch.js";
import { loudness } from "./mulaw.js";
import { wav } from "./wav.js";

const urls = JSON.parse(document.getElementById("talk-urls").textContent);
const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
const $ = (name) => document.querySelector(`[data-talk="${name}"]`);

const PHASES = {
  listening: "Listening",
  hearing: "Hears you",
  transcribing: "Understanding",
  thinking: "Thinking",
  speaking: "Speaking",
  overtaken: "Hears you",
  checking: "Understanding",
  "handing over": "Handing over",
  transferring: "Handing over",
  parting: "Saying goodbye",
  closing: "Saying goodbye",
  ended: "Ended",
};
const ENDS = {
  caller: "You hung up.",
  bot: "The bot has ended the call.",
  line: "The connection broke, and the call ended with it.",
  refused: "The server did not let the call in. Call again.",
  microphone: "The microphone is gone, and the call ended with it.",
  held: "The browser held the audio back (a locked screen, or another call), so the call was ended.",
};

/** Ask the server. Throws a NoAnswer, or an error with `fields` for what it refuses. */
async function ask(name, body) {
  const response = await asked(urls[name], {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": token },
    body: JSON.stringify(body),
  });
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  const why = told.info ?? told.error ?? `The server answered with ${response.status}. Reload the page.`;
  throw Object.assign(new Error(why), { fields: told.fields ?? {} });
}

// --- what is chosen before a call -----------------------------------------------------------------

const version = () => document.querySelector("[name=version]:checked")?.value ?? $("versions").dataset.only;

/** The variables that were filled in, of the version that is called. */
function variables(chosen) {
  const inputs = [...document.querySelectorAll("[data-variable]")];
  const used = inputs.filter((input) => input.dataset.versions.split(" ").includes(chosen) && input.value.trim());
  return Object.fromEntries(used.map((input) => [input.dataset.variable, input.value.trim()]));
}

function showVariables() {
  for (const input of document.querySelectorAll("[data-variable]")) {
    input.closest(".bc-field").hidden = !input.dataset.versions.split(" ").includes(version());
  }
}

/** Say at each field what is wrong with it, and go to the first. */
function showWrong(fields) {
  for (const error of document.querySelectorAll("[data-error]")) {
    const texts = fields[error.dataset.error] ?? fields.variables?.[error.dataset.error];
    error.textContent = texts ? [texts].flat().join(" ") : "";
    document.getElementById(error.dataset.for)?.setAttribute("aria-invalid", texts ? "true" : "false");
  }
  document.querySelector('[aria-invalid="true"]')?.focus();
}

// --- the call -------------------------------------------------------------------------------------

let phone = null;
let watch = null;
let began = 0;
let timer = 0;

function say(text, look = "") {
  const status = $("status");
  status.textContent = text;
  status.className = `bc-talk-status ${look}`;
}

function problem(error) {
  const note = $("problem");
  note.textContent = error?.message ?? "";
  note.hidden = !error;
}

/** calling: nobody can start another call; live: there is somebody to talk to. */
function show(state) {
  document.querySelector(".bc-talk").dataset.state = state;
  const live = state === "live";
  for (const button of document.querySelectorAll("[data-live]")) button.disabled = !live;
  $("call").hidden = $("without").hidden = state !== "idle";
  $("hang-up").hidden = $("mute").hidden = state === "idle";
  $("after").hidden = true;
}

async function call(microphone) {
  problem(null);
  showWrong({});
  const made = takePhone();
  if (!made) return say("No call");
  show("calling");
  began = 0;
  say(microphone ? "Waiting for the microphone…" : "Connecting…");
  try {
    await made.prepare({ microphone });
    if (!made.ended) await connect(made, microphone);
  } catch (error) {
    if (made.ended) return; // by who called, or a microphone that went: that was said already
    made.hangUp("failed");
    failed(error);
  }
}

/** Have the server make room for the call, and dial. Who hangs up meanwhile leaves no call behind. */
async function connect(made, microphone) {
  say("Connecting…");
  const chosen = version();
  const begun = await (await ask("begin", { version: chosen, variables: variables(chosen) })).json();
  try {
    if (!made.ended) await made.dial(begun);
  } finally {
    // Gives the line back; a call that is on, or was, stays as it is.
    if (!made.live) ask("abandon", { call: begun.call }).catch(() => {});
  }
  if (made.live) onCall(begun, microphone);
}

/** The phone has to be taken in the click itself. */
function takePhone() {
  try {
    phone = new BrowserPhone();
  } catch (error) {
    problem(error);
    return null;
  }
  phone.addEventListener("ended", ({ detail }) => ended(detail));
  phone.addEventListener("frame", ({ detail }) => levels(detail));
  phone.addEventListener("gap", () => showGaps());
  return phone;
}

function failed(error) {
  show("idle");
  say("No call");
  const known = error instanceof PhoneProblem || error instanceof NoAnswer || error.fields;
  problem(known ? error : new Error("The server did not take the call's connection. Is a proxy in between that lets no WebSocket through?"));
  showWrong(error.fields ?? {});
}

function onCall(begun, microphone) {
  follow(begun, phone);
  $("empty").hidden = true;
  began = performance.now();
  timer = setInterval(showTime, 500);
  showTime();
  showGaps();
  show("live");
  say("Connected");
  $("call-page").href = urls.call.replace("00000000-0000-0000-0000-000000000000", begun.call);
  $("mute").disabled = !microphone;
  $("mute").setAttribute("aria-pressed", "false");
  (microphone ? $("hang-up") : $("text")).focus();
}

/** Show what happens in a call in place of the call before, whose last words may still come. */
function follow(begun, made) {
  watch?.close();
  $("transcript").replaceChildren();
  $("now").replaceChildren();
  const transcript = new CallTranscript($("transcript"), $("now"));
  watch = new CallWatch(begun.call);
  watch.addEventListener("event", ({ detail }) => {
    transcript.take(detail);
    if (made === phone) happened(detail); // else another call is being made
  });
  watch.open();
}

function happened(event) {
  if (event.kind === "phase" || event.kind === "watching") showPhase(event.phase);
  if (event.latency_ms) $("latency").textContent = `${Math.round(event.latency_ms)} ms`;
  if (event.kind === "tools") showTools(event.running);
  if (event.kind === "unreachable") problem(new Error(`The transcript comes late: ${event.why}`));
}

const showPhase = (phase) => phone && !phone.ended && say(PHASES[phase] ?? phase, `bc-phase-${phase.replace(" ", "-")}`);
const showTools = (running) => running.length && say(`Using ${running.filter(Boolean).join(", ") || "a tool"}`);
const showGaps = () => ($("gaps").textContent = String(phone.gaps.length));

function showTime() {
  const seconds = Math.floor((performance.now() - began) / 1_000);
  $("time").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Two meters, ten times a second; they fall more slowly than they rise. */
let frames = 0;
const shown = { sent: 0, heard: 0 };
function levels({ sent, heard }) {
  shown.sent = Math.max(loudness(sent), shown.sent * 0.85);
  shown.heard = Math.max(loudness(heard), shown.heard * 0.85);
  if (++frames % 5) return;
  $("level-you").value = shown.sent;
  $("level-bot").value = shown.heard;
}

function ended(why) {
  clearInterval(timer);
  if (why === "failed") return;
  const talked = began > 0;
  show("idle");
  say(ENDS[why] ?? "The call is over.");
  $("level-you").value = $("level-bot").value = 0;
  $("after").hidden = !talked;
  if (!$("call").hidden) $("call").focus();
  // The last words are on their way from the database.
  setTimeout((one) => one?.close(), 8_000, watch);
}

// --- what can be done in it -----------------------------------------------------------------------

function mute() {
  const muted = $("mute").getAttribute("aria-pressed") !== "true";
  $("mute").setAttribute("aria-pressed", String(muted));
  phone.mute(muted);
}

/** Have what was typed said by the server's voice, as the caller. */
async function type(event) {
  event.preventDefault();
  const input = $("text");
  const text = input.value.trim();
  if (!text || !phone || phone.ended) return;
  const button = $("say");
  button.disabled = true;
  $("text-error").textContent = "";
  try {
    const audio = await (await ask("speech", { text })).arrayBuffer();
    phone.say(new Uint8Array(audio));
    input.value = "";
  } catch (error) {
    $("text-error").textContent = error.message;
  }
  button.disabled = phone.ended;
  input.focus();
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(wav(phone.recording.sent, phone.recording.heard));
  link.download = "call.wav";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// --- a real phone ---------------------------------------------------------------------------------

const stored = `botsconfig.phone.${urls.user}`;

async function dial(event) {
  event.preventDefault();
  const button = $("dial");
  button.setAttribute("aria-busy", "true");
  $("dial-problem").textContent = "";
  showWrong({});
  const number = $("to").value.trim();
  try {
    const { url } = await (await ask("dial", { to: number, from: $("from").value.trim(), variables: variables("published") })).json();
    remember(number);
    location.assign(url);
  } catch (error) {
    button.removeAttribute("aria-busy");
    const fields = error.fields ?? {};
    showWrong(fields);
    $("dial-problem").textContent = fields.to || fields.from ? "" : error.message;
  }
}

function remember(number) {
  try {
    localStorage.setItem(stored, number);
  } catch {
    // Typed again next time.
  }
}

function recall() {
  try {
    return localStorage.getItem(stored) ?? "";
  } catch {
    return "";
  }
}

// --- the page -------------------------------------------------------------------------------------

$("call").addEventListener("click", () => call(true));
$("without").addEventListener("click", () => call(false));
$("hang-up").addEventListener("click", () => phone?.hangUp());
$("mute").addEventListener("click", mute);
$("type").addEventListener("submit", type);
$("save").addEventListener("click", save);
$("phone-form")?.addEventListener("submit", dial);
for (const key of document.querySelectorAll("[data-key]")) {
  key.addEventListener("click", () => phone?.press(key.dataset.key));
}
for (const radio of document.querySelectorAll("[name=version]")) radio.addEventListener("change", showVariables);
addEventListener("pagehide", () => phone?.hangUp());
if ($("to")) $("to").value ||= recall();
$("call").disabled = $("without").disabled = false; // a click before now would have been lost
showVariables();
show("idle");
