// Parts of a page that htmx renews: they are let be while somebody is at them, and what could not
// be had is said, in one line that moves nothing.

/** Say something that concerns the whole page; "" takes it away. @param {string} text */
export function tell(text) {
  const line = document.getElementById("bc-told");
  if (line && line.textContent !== text) line.textContent = text;
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
