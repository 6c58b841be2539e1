// A secret that is shown once. A reload would make another one: it shows where it belongs instead.

const card = document.querySelector("[data-onward]");
history.replaceState(null, "", card.dataset.onward);
// From the browser's memory of pages, too.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.replace(card.dataset.onward);
});
document.querySelector("[data-copy]").focus();
