// What every page has: the viewer's time zone, confirmations, copying, forms that submit themselves.

/** Tell the server the zone that times are shown in; it counts from the next page on. */
function tellZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.includes(`tz=${encodeURIComponent(zone)}`)) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `tz=${encodeURIComponent(zone)}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
    showTimesIn(zone);
  }
}

/** The first page of all was made before the zone was known: set its times right here. */
function showTimesIn(zone) {
  for (const time of document.querySelectorAll("time[datetime][data-form]")) {
    const form = time.dataset.form === "clock" ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" };
    time.textContent = new Date(time.dateTime).toLocaleString("en-GB", { ...form, timeZone: zone });
  }
}

/** Ask before a button with data-confirm does what it does. Resolves to whether to go on. */
function confirmed(text, verb = "Go on") {
  const dialog = document.createElement("dialog");
  dialog.className = "bc-dialog";
  dialog.setAttribute("aria-labelledby", "bc-dialog-text");
  const form = document.createElement("form");
  form.method = "dialog";
  const words = document.createElement("p");
  words.id = "bc-dialog-text";
  words.textContent = text;
  const buttons = document.createElement("div");
  buttons.className = "bc-actions";
  for (const [value, label, look] of [["no", "Cancel", ""], ["yes", verb, "bc-button-danger"]]) {
    const button = document.createElement("button");
    button.value = value;
    button.textContent = label;
    button.className = `bc-button ${look}`;
    buttons.append(button);
  }
  form.append(words, buttons);
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
  });
}

/**
 * Find the button that was pressed in what its page may have become meanwhile.
 * @param {HTMLButtonElement} button
 * @param {string | null} action of its form
 * @returns {HTMLButtonElement | undefined} one that asks the same about the same, if there is just one
 */
function standIn(button, action) {
  if (button.form?.isConnected) return button;
  const same = [...document.querySelectorAll("form button[data-confirm]")].filter(
    (one) => one.dataset.confirm === button.dataset.confirm && one.form.getAttribute("action") === action,
  );
  return same.length === 1 ? same[0] : undefined;
}

document.addEventListener(
  "submit",
  async (event) => {
    const button = event.submitter;
    const text = button?.dataset.confirm;
    if (!text || event.target.dataset.confirmed) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const action = event.target.getAttribute("action");
    if (!(await confirmed(text, button.textContent.trim() || "Go on"))) return;
    const found = standIn(button, action);
    if (!found) {
      const { tell } = await import("./renewal.js"); // where nothing renews itself, it is not loaded
      tell("The page changed meanwhile, and nothing was done. Try again.");
      return setTimeout(tell, 10_000, "");
    }
    found.form.dataset.confirmed = "1";
    found.form.requestSubmit(found);
    delete found.form.dataset.confirmed;
  },
  { capture: true },
);

// A form that changes something is sent once, however often it is clicked.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "1";
  const button = event.submitter;
  if (!button) return;
  button.setAttribute("aria-busy", "true");
  if (!button.dataset.busy) return;
  button.dataset.idle = button.textContent;
  button.textContent = button.dataset.busy; // says what is waited for
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    const button = form.querySelector("[aria-busy]");
    button?.removeAttribute("aria-busy");
    if (button?.dataset.idle) button.textContent = button.dataset.idle;
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});

/** Copy the text of what data-copy names by its id, by the clipboard or by a selection. */
async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  const text = source.value ?? source.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    if (!document.execCommand("copy")) return say(button, "Press Ctrl+C");
  }
  say(button, "Copied");
}

function say(button, text) {
  const before = button.dataset.label ?? button.textContent;
  button.dataset.label = before;
  button.textContent = text;
  button.setAttribute("aria-live", "polite");
  setTimeout(() => (button.textContent = before), 2000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});

/** What unfold writes as a link that leads nowhere is a button: for the keyboard, too. */
function makeButtons() {
  for (const link of document.querySelectorAll("a:not([href])")) {
    link.setAttribute("role", "button");
    link.tabIndex = 0;
  }
}
document.addEventListener("keydown", (event) => {
  if (!event.target.matches?.('a[role="button"]:not([href])') || !["Enter", " "].includes(event.key)) return;
  event.preventDefault();
  event.target.click();
});

makeButtons();
tellZone();
