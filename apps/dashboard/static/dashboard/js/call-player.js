// The player of a call's recording: both voices drawn, and the transcript in step with the sound.

const STEP_S = 5;
const PAGE_S = 30;

/** @param {number} seconds */
function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = `${String(rest).padStart(2, "0")}`;
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** Draws two rows of peaks, the caller's above the bot's, and the place that is played. */
class Wave {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.peaks = { caller: [], bot: [] };
    this.share = 0;
  }

  draw() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext("2d");
    const look = getComputedStyle(canvas);
    pen.clearRect(0, 0, width, height);
    pen.fillStyle = look.getPropertyValue("--bc-line");
    pen.fillRect(0, Math.round(height / 2), width, Math.max(1, Math.round(ratio)));
    this.row(pen, this.peaks.caller, look.getPropertyValue("--bc-caller"), height * 0.25, height * 0.23);
    this.row(pen, this.peaks.bot, look.getPropertyValue("--bc-bot"), height * 0.75, height * 0.23);
    pen.fillStyle = look.getPropertyValue("--bc-strong");
    const at = Math.min(width - 2 * ratio, Math.round(this.share * width));
    pen.fillRect(at, 0, Math.max(1, Math.round(1.5 * ratio)), height);
  }

  /** One bar for each pixel of the screen; what has been played is in full colour. */
  row(pen, peaks, colour, middle, reach) {
    const { width } = pen.canvas;
    const played = Math.round(this.share * width);
    pen.fillStyle = colour;
    for (let x = 0; x < width; x++) {
      const peak = loudest(peaks, (x / width) * peaks.length, ((x + 1) / width) * peaks.length);
      // The root lifts what is quiet, so that a soft voice is seen too.
      const half = Math.max(0.5, Math.sqrt(peak / 255) * reach);
      pen.globalAlpha = x < played ? 1 : 0.55;
      pen.fillRect(x, middle - half, 1, 2 * half);
    }
    pen.globalAlpha = 1;
  }
}

function loudest(peaks, from, to) {
  let found = 0;
  for (let at = Math.floor(from); at < Math.max(to, Math.floor(from) + 1) && at < peaks.length; at++) {
    found = Math.max(found, peaks[at]);
  }
  return found;
}

/** One player: the sound, its picture, its controls, and the turns of the page. */
class Player {
  constructor(root) {
    this.root = root;
    this.audio = root.querySelector("[data-audio]");
    this.slider = root.querySelector("[data-wave]");
    this.button = root.querySelector("[data-play]");
    this.wave = new Wave(root.querySelector("[data-canvas]"));
    this.trouble = root.querySelector("[data-trouble]");
    this.turns = [...document.querySelectorAll(".bc-turn[data-from]")];
    this.listen();
    this.load();
  }

  get length() {
    return Number.isFinite(this.audio.duration) ? this.audio.duration : Number(this.root.dataset.duration);
  }

  listen() {
    const { audio, slider } = this;
    this.button.addEventListener("click", () => this.toggle());
    for (const skip of this.root.querySelectorAll("[data-skip]")) {
      skip.addEventListener("click", () => this.seek(audio.currentTime + Number(skip.dataset.skip)));
    }
    this.root.querySelector("[data-speed]").addEventListener("change", (event) => {
      audio.playbackRate = Number(event.target.value);
    });
    slider.addEventListener("pointerdown", (event) => this.drag(event));
    slider.addEventListener("keydown", (event) => this.key(event));
    for (const name of ["timeupdate", "seeked", "loadedmetadata", "seeking"]) {
      audio.addEventListener(name, () => this.show());
    }
    audio.addEventListener("error", () => this.lost());
    if (audio.error) this.lost(); // before this was listened to
    for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, () => this.showPlaying());
    document.addEventListener("click", (event) => {
      const button = event.target.closest?.("button[data-at]");
      if (button) this.playFrom(Number(button.dataset.at));
    });
    new ResizeObserver(() => this.wave.draw()).observe(slider);
    new MutationObserver(() => this.wave.draw()).observe(document.documentElement, { attributeFilter: ["class"] });
  }

  async load() {
    const wait = this.root.querySelector("[data-wait]");
    try {
      const answer = await fetch(this.root.dataset.peaks);
      if (!answer.ok) throw new Error(String(answer.status));
      this.wave.peaks = await answer.json();
      wait.remove();
      this.slider.dataset.drawn = "";
    } catch {
      wait.textContent = "The picture of the sound could not be loaded.";
    }
    this.wave.draw();
  }

  /** There is no sound, or no more of it. */
  lost() {
    this.button.disabled = true;
    this.trouble.textContent = "The recording cannot be loaded now. Reload the page to try again.";
  }

  toggle() {
    if (this.audio.paused) this.play();
    else this.audio.pause();
  }

  playFrom(seconds) {
    this.seek(seconds);
    this.play();
  }

  async play() {
    try {
      await this.audio.play();
    } catch (error) {
      // Whoever presses pause before the sound has come breaks it off, which is no trouble.
      if (error.name === "NotSupportedError") this.lost();
      else if (error.name !== "AbortError") this.trouble.textContent = "The browser held it back. Press Play again.";
    }
  }

  seek(seconds) {
    this.audio.currentTime = Math.min(Math.max(0, seconds), this.length);
    this.show();
  }

  drag(event) {
    if (event.button !== 0) return;
    const move = (at) => {
      const box = this.slider.getBoundingClientRect();
      this.seek(((at.clientX - box.left) / box.width) * this.length);
    };
    this.slider.setPointerCapture(event.pointerId);
    move(event);
    this.slider.addEventListener("pointermove", move);
    const stop = () => this.slider.removeEventListener("pointermove", move);
    this.slider.addEventListener("lostpointercapture", stop, { once: true });
  }

  key(event) {
    const now = this.audio.currentTime;
    const places = {
      ArrowLeft: now - STEP_S, ArrowDown: now - STEP_S, ArrowRight: now + STEP_S, ArrowUp: now + STEP_S,
      PageDown: now - PAGE_S, PageUp: now + PAGE_S, Home: 0, End: this.length,
    };
    if (event.key in places) this.seek(places[event.key]);
    else if (event.key === " " || event.key === "Enter") this.toggle();
    else return;
    event.preventDefault();
  }

  show() {
    const now = this.audio.currentTime;
    const words = `${clock(now)} / ${clock(this.length)}`;
    this.root.querySelector("[data-time]").textContent = words;
    this.slider.setAttribute("aria-valuenow", String(Math.round(now)));
    this.slider.setAttribute("aria-valuetext", words.replace("/", "of"));
    this.wave.share = this.length ? now / this.length : 0;
    this.wave.draw();
    this.mark(now);
  }

  showPlaying() {
    const paused = this.audio.paused;
    if (!paused) this.trouble.textContent = "";
    this.button.firstElementChild.textContent = paused ? "play_arrow" : "pause";
    this.button.setAttribute("aria-label", paused ? "Play" : "Pause");
    this.show();
  }

  /** Say which turn is heard now: the last that has begun, as long as it lasts. */
  mark(now) {
    const heard = this.turns.filter(({ dataset }) => Number(dataset.from) <= now + 0.15 && now <= Number(dataset.to) + 0.3).at(-1);
    for (const turn of this.turns) {
      if (turn !== heard) turn.removeAttribute("aria-current");
      else if (!turn.hasAttribute("aria-current")) {
        turn.setAttribute("aria-current", "true");
        if (!this.audio.paused) keepInView(turn);
      }
    }
  }
}

/** Scroll to a turn only if the reader is at the transcript, and the turn has left it. */
function keepInView(turn) {
  const list = turn.parentElement.getBoundingClientRect();
  const box = turn.getBoundingClientRect();
  const reading = list.top < innerHeight * 0.6 && list.bottom > 0;
  if (reading && (box.bottom > innerHeight || box.top < 0)) turn.scrollIntoView({ block: "nearest" });
}

for (const root of document.querySelectorAll("[data-player]")) new Player(root);
