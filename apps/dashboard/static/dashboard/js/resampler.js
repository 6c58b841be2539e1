// Changes a sample rate by a windowed-sinc filter: what the lower rate cannot hold is cut off
// before it can fold back into the voice.

// Zero crossings of the filter on each side: at 8 kHz it passes 3.3 kHz whole, leaves -60 dB at 4,
// and delays by 3 ms.
const CROSSINGS = 24;
const CUT_OFF = 0.913;
const BETA = 6;

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

/** The Kaiser window's Bessel function. */
function bessel(x) {
  let sum = 1;
  let term = 1;
  for (let n = 1; n < 32; n++) {
    term *= (x / (2 * n)) ** 2;
    sum += term;
  }
  return sum;
}

/** A stream of samples at one rate, brought to another. Rates: whole numbers. */
export class Resampler {
  constructor(from, to) {
    const common = divisor(from, to);
    this.up = to / common; // phases of the filter
    this.down = from / common;
    // The filter reaches this far into the input on each side.
    this.reach = Math.ceil((CROSSINGS * Math.max(from, to)) / to);
    this.filters = Array.from({ length: this.up }, (_, phase) => this.#filter(phase / this.up, from, to));
    this.kept = new Float32Array(2 * this.reach); // input that later output needs
    this.phase = 0;
    this.at = 0; // of the next output in the input, counted from the start of `kept`
  }

  /** @param {Float32Array} input @returns {Float32Array} all that can be made of it so far */
  push(input) {
    const all = new Float32Array(this.kept.length + input.length);
    all.set(this.kept);
    all.set(input, this.kept.length);
    const output = [];
    while (this.at + 2 * this.reach <= all.length) {
      const filter = this.filters[this.phase];
      let sum = 0;
      for (let tap = 0; tap < filter.length; tap++) sum += filter[tap] * all[this.at + tap];
      output.push(sum);
      this.phase += this.down;
      this.at += Math.floor(this.phase / this.up);
      this.phase %= this.up;
    }
    this.kept = all.slice(this.at);
    this.at = 0;
    return Float32Array.from(output);
  }

  #filter(fraction, from, to) {
    const cut = CUT_OFF * Math.min(1, to / from); // of the input's half rate
    const filter = new Float32Array(2 * this.reach);
    let sum = 0;
    for (let tap = 0; tap < filter.length; tap++) {
      const x = tap - this.reach + 1 - fraction;
      const edge = x / this.reach;
      if (Math.abs(edge) >= 1) continue;
      const sinc = x === 0 ? cut : Math.sin(Math.PI * cut * x) / (Math.PI * x);
      filter[tap] = (sinc * bessel(BETA * Math.sqrt(1 - edge * edge))) / bessel(BETA);
      sum += filter[tap];
    }
    return filter.map((value) => value / sum);
  }
}
