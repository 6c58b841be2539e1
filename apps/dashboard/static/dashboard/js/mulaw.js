// G.711 mu-law, both ways, as apps/voice/g711.py; samples are floats in -1..1.

const BIAS = 132;
const CLIP = 32_635;
export const SILENCE = 0xff;

/** The sample of each code. @type {Float32Array} */
export const EXPAND = Float32Array.from({ length: 256 }, (_, byte) => {
  const code = ~byte & 0xff;
  const magnitude = ((((code & 15) << 3) + BIAS) << ((code >> 4) & 7)) - BIAS;
  return (code & 0x80 ? -magnitude : magnitude) / 32_768;
});

/** The code of a sample; what lies outside -1..1 is clipped. @param {number} sample */
export function compress(sample) {
  const pcm = Math.max(-32_768, Math.min(32_767, Math.round(sample * 32_768)));
  const magnitude = Math.min(Math.abs(pcm), CLIP) + BIAS;
  const exponent = 31 - Math.clz32(magnitude) - 7;
  const mantissa = (magnitude >> (exponent + 3)) & 15;
  return ~((pcm < 0 ? 0x80 : 0) | (exponent << 4) | mantissa) & 0xff;
}

/** @param {Uint8Array} bytes @returns {Float32Array} */
export function decode(bytes) {
  const samples = new Float32Array(bytes.length);
  for (let at = 0; at < bytes.length; at++) samples[at] = EXPAND[bytes[at]];
  return samples;
}

/** How loud, 0..1 on a scale of 60 dB that an ear takes for even. @param {Uint8Array} bytes */
export function loudness(bytes) {
  if (!bytes.length) return 0;
  let sum = 0;
  for (const byte of bytes) sum += EXPAND[byte] ** 2;
  const db = 10 * Math.log10(sum / bytes.length + 1e-9);
  return Math.max(0, Math.min(1, (db + 60) / 55));
}
