// Pictures by the hour: what the pointer or the arrow keys are at stands above the picture.

/** @param {Element} picture @param {Element | null} hour */
function choose(picture, hour) {
  picture.querySelector(".bc-chosen")?.classList.remove("bc-chosen");
  const hours = picture.querySelectorAll(".bc-plot-hour");
  const shown = hour ?? hours[hours.length - 1];
  hour?.classList.add("bc-chosen");
  picture.closest(".bc-chart").querySelector("[data-readout]").textContent = shown.dataset.text;
}

/** @param {Element} picture @param {string} key */
function move(picture, key) {
  const hours = [...picture.querySelectorAll(".bc-plot-hour")];
  const at = hours.findIndex((hour) => hour.classList.contains("bc-chosen"));
  const last = hours.length - 1;
  const goals = { ArrowLeft: at < 0 ? last : Math.max(0, at - 1), ArrowRight: at < 0 ? last : Math.min(last, at + 1), Home: 0, End: last };
  if (!(key in goals)) return false;
  choose(picture, hours[goals[key]]);
  return true;
}

// Delegated: the pictures are replaced again and again.
document.addEventListener("pointerover", (event) => {
  const hour = event.target.closest?.("[data-chart] .bc-plot-hour");
  if (hour) choose(hour.closest("[data-chart]"), hour);
});
document.addEventListener("pointerout", (event) => {
  const picture = event.target.closest?.("[data-chart]");
  if (picture && !picture.contains(event.relatedTarget)) choose(picture, null);
});
document.addEventListener("keydown", (event) => {
  const picture = event.target.closest?.("[data-chart]");
  if (picture && move(picture, event.key)) event.preventDefault();
});
document.addEventListener("focusout", (event) => {
  const picture = event.target.closest?.("[data-chart]");
  if (picture) choose(picture, null);
});
