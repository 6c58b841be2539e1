// The bot editor: rows, pickers, the prompt's variables, hearing the voice, and not losing work.

import { NoAnswer, asked } from "./asking.js";
import { draftOf, forget, keep, keepSent, putBack } from "./drafts.js";

const form = document.getElementById("bot-form");
const editable = !form.querySelector("fieldset.bc-plain").disabled;
let next = 1000;
let saved = "";

// --- work that is not saved ---

/** What would be sent, as one text; what is only tried does not count. */
function state() {
  const pairs = [...new FormData(form)].filter(([name]) => name !== "csrfmiddlewaretoken");
  return JSON.stringify(pairs);
}

/** The same for the page as the server wrote it, whatever the browser put back into it. */
function stateWritten() {
  const pairs = [];
  for (const one of form.elements) {
    if (!one.name || one.name === "csrfmiddlewaretoken" || one.matches(":disabled, button")) continue;
    if (one.type === "checkbox" && !one.defaultChecked) continue;
    const option = one.options && ([...one.options].find((it) => it.defaultSelected) ?? one.options[0]);
    pairs.push([one.name, one.options ? option?.value : one.type === "checkbox" ? one.value : one.defaultValue]);
  }
  return JSON.stringify(pairs);
}

function isUnsaved() {
  return "unsaved" in form.dataset || state() !== saved;
}

function showUnsaved() {
  document.getElementById("unsaved").hidden = !isUnsaved();
}

addEventListener("beforeunload", (event) => {
  if (editable && !form.dataset.sent && isUnsaved()) event.preventDefault();
});

// The session may be over: then the login comes instead of an answer.
form.addEventListener("submit", () => keepSent(form));
addEventListener("pagehide", () => {
  if (editable && !form.dataset.gone && isUnsaved()) keep(form);
});

/** Offer what was typed here before and never saved. */
function offerDraft() {
  const note = document.getElementById("draft");
  const draft = note && !("unsaved" in form.dataset) && draftOf(form);
  if (!draft) return;
  note.querySelector("time").textContent = new Date(draft.at).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
  note.hidden = false;
  note.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button) return;
    note.hidden = true;
    if (button.value === "back") {
      form.dataset.gone = form.dataset.sent = "1";
      putBack(form, draft);
    } else forget();
  });
}

addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s" && editable) {
    event.preventDefault();
    form.requestSubmit(document.getElementById("save"));
  }
});

// --- rows ---

/** Add a copy of a blank row, and put the keyboard into its first field. */
function addRow(list, blank, replacements) {
  const holder = document.createElement("template");
  holder.innerHTML = Object.entries(replacements).reduce(
    (text, [from, to]) => text.replaceAll(from, to), blank.innerHTML);
  const row = holder.content.querySelector("li");
  list.append(row);
  globalThis.htmx?.process(row);
  row.querySelector("input:not([type=hidden]), select").focus();
  return row;
}

function addOf(sort, name = "") {
  const list = form.querySelector(`[data-rows="${sort}"]`);
  const row = addRow(list, form.querySelector(`template[data-blank="${sort}"]`), { __n__: next++ });
  const field = row.querySelector(`[name$="-name"]`);
  if (name) field.value = name;
  changed();
  return row;
}

function removeRow(button) {
  const row = button.closest(".bc-row");
  const list = row.parentElement;
  const neighbour = row.nextElementSibling ?? row.previousElementSibling;
  row.remove();
  const focus = neighbour?.querySelector("[data-removes], input:not([type=hidden])")
    ?? list.parentElement.querySelector("[data-adds], [data-adds-header]");
  focus?.focus();
  changed();
}

form.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.adds) addOf(button.dataset.adds);
  else if (button.dataset.addsHeader) {
    const list = button.parentElement.querySelector("[data-rows]");
    addRow(list, document.getElementById("blank-header"),
      { __base__: button.dataset.addsHeader, __n__: next++ });
    changed();
  } else if ("removes" in button.dataset) removeRow(button);
  else if (button.dataset.declares) addOf("variables", button.dataset.declares);
  else if (button.dataset.hear) hear(button);
});

// --- pickers: the text beside them is what counts ---

function showPickers() {
  for (const picker of form.querySelectorAll(".bc-known")) picker.hidden = false;
}

form.addEventListener("change", (event) => {
  const field = document.getElementById(event.target.dataset.picks ?? "");
  if (!field || !event.target.value) return;
  field.value = event.target.value;
  event.target.value = "";
  field.focus();
  changed();
});

// --- a slot's fields: another provider brings its own, and finds what was typed for it before ---

/** By slot and provider: the values of its controls, by name. */
const typed = new Map();

/** @param {Element} slot what a provider's fields stand in */
function providerOf(slot) {
  const shown = slot.querySelector(`[name^="for."]`);
  return shown && `${shown.name} ${shown.value}`;
}

/** The controls that are a provider's own; the language is the bot's, and goes along. */
function controlsOf(slot) {
  return slot.querySelectorAll(`[name^="config."]:not([name$=".language"])`);
}

document.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
  if (!target.matches(".bc-slot")) return;
  typed.set(providerOf(target), new Map([...controlsOf(target)].map((one) => [one.name, one.value])));
});

document.addEventListener("htmx:afterSwap", ({ detail: { target } }) => {
  const before = target.matches(".bc-slot") && typed.get(providerOf(target));
  if (!before) return;
  for (const one of controlsOf(target)) one.value = before.get(one.name) ?? one.value;
});

document.addEventListener("htmx:afterSettle", () => {
  showPickers();
  changed();
});

// --- the prompt ---

const PLACE = /\{\{\s*([A-Za-z_][A-Za-z0-9_]{0,63})\s*\}\}/g;

/** The names of the variables that the bot's texts use. */
function used() {
  const texts = [...form.querySelectorAll("textarea")]
    .filter((one) => /^config\.(llm\.(prompt|messages)|greeting|lines|recording)/.test(one.name));
  return new Set(texts.flatMap((one) => [...one.value.matchAll(PLACE)].map((found) => found[1])));
}

function declared() {
  const fields = form.querySelectorAll(`[name^="variables-"][name$="-name"]`);
  return new Set([...fields].map((field) => field.value.trim()));
}

function badge(name, known, builtIn) {
  const shown = document.createElement("span");
  shown.className = known ? "bc-badge bc-badge-good" : "bc-badge bc-badge-warn";
  shown.textContent = builtIn ? `${name} (built in)` : known ? name : `${name} is not declared`;
  return shown;
}

function declareButton(name) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "bc-link bc-declare";
  button.dataset.declares = name;
  button.textContent = `Declare ${name}`;
  return button;
}

function showPrompt() {
  const prompt = document.getElementById("f-config-llm-prompt");
  document.getElementById("prompt-count").textContent =
    `${prompt.value.length.toLocaleString("en")} of 100,000 characters`;
  const builtIn = new Set(form.dataset.builtIn.split(" "));
  const known = declared();
  const parts = [...used()].flatMap((name) => {
    const is = known.has(name) || builtIn.has(name);
    const shown = badge(name, is, builtIn.has(name) && !known.has(name));
    return is || !editable ? [shown] : [shown, declareButton(name)];
  });
  document.getElementById("prompt-variables").replaceChildren(...parts);
}

let waiting = 0;
function changed() {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    showPrompt();
    showUnsaved();
  }, 150);
}
form.addEventListener("input", (event) => {
  const row = event.target.name?.match(/^tools-\w+-name$/) && event.target.closest(".bc-row");
  if (row) row.querySelector("[data-row-name]").textContent = event.target.value || "New tool";
  changed();
});

// --- hearing the voice ---

const told = document.getElementById("hear-told");
const audio = document.getElementById("hear-audio");
const FAILED = "That did not work. Reload the page and try again.";

async function hear(button) {
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  told.textContent = "Speaking…";
  try {
    await play(await asked(button.dataset.hear, {
      method: "POST", body: new FormData(form), headers: { Accept: "audio/wav" },
    }));
  } catch (error) {
    told.textContent = error instanceof NoAnswer ? error.message : FAILED;
  }
  button.removeAttribute("aria-busy");
  button.disabled = false;
  button.focus();
}

/** @param {Response} response a WAV, or JSON with ``error`` in words */
async function play(response) {
  if (!response.headers.get("Content-Type")?.startsWith("audio/")) {
    const found = response.ok ? await response.json() : {};
    audio.hidden = true;
    told.textContent = found.error ?? FAILED;
    return;
  }
  if (audio.src) URL.revokeObjectURL(audio.src);
  audio.src = URL.createObjectURL(await response.blob());
  audio.hidden = false;
  told.textContent = "";
  await audio.play().catch(() => { told.textContent = "Press play to hear it."; });
}

// --- the first look ---

showPickers();
showPrompt();
saved = stateWritten();
showUnsaved();
if (editable) offerDraft();
// Once the browser has put back what it remembers.
addEventListener("pageshow", changed);
const wrong = form.querySelector("[aria-invalid=true]");
if (wrong) {
  for (let at = wrong.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
  wrong.focus();
}
