// Parts of a page that htmx renews: they are let be while somebody is at them, and what could not
// be had is said, in one line that moves nothing.

/** Say something that concerns the whole page; "" takes it away. @param {string} text */
export function tell(text) {
  const line = document.getElementById("bc-told");
  if (!line || line.textContent === text) return;
  const words = document.createElement("span"); // another one, as the same would be moved by its text
  words.textContent = text;
  line.replaceChildren(...(text ? [words] : []));
}

/** Whether a question is open, or text in this part is selected. @param {Element} part */
export function isInUse(part) {
  if (document.querySelector("dialog[open]")) return true;
  const selection = getSelection();
  return !selection.isCollapsed && selection.containsNode(part, true);
}

// Before the answer is looked at, as it may also order a reload. The next renewal brings it all.
document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { elt, target, xhr } = event.detail;
  const renews = elt.matches("[hx-trigger]") && !xhr.getResponseHeader("HX-Redirect");
  if (renews && isInUse(target)) event.preventDefault();
});

// Why which part could not be had, by its id; the newest is told until they all are there again.
const missing = new Map();

/** @param {Element} part @param {string} why "" where there it is */
function showMissing(part, why) {
  if (!missing.delete(part.id) && !why) return;
  if (why) missing.set(part.id, `This page is not up to date: ${why}.`);
  tell([...missing.values()].at(-1) ?? "");
}

document.addEventListener("htmx:sendError", ({ detail }) => showMissing(detail.target, "the server could not be reached"));
document.addEventListener("htmx:responseError", ({ detail }) =>
  showMissing(detail.target, `the server answered ${detail.xhr.status}`),
);
document.addEventListener("htmx:afterOnLoad", ({ detail }) => {
  if (detail.xhr.status < 400) showMissing(detail.target, "");
});
