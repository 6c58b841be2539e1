// Recordings as files.

import { EXPAND } from "./mulaw.js";

const RATE = 8_000;

/** Join pieces. @param {Uint8Array[]} pieces */
function joined(pieces) {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/**
 * A stereo WAV file of two mu-law tracks at 8 kHz.
 * @param {Uint8Array[]} left @param {Uint8Array[]} right @returns {Blob}
 */
export function wav(left, right) {
  const [one, other] = [joined(left), joined(right)];
  const samples = Math.max(one.length, other.length);
  const file = new DataView(new ArrayBuffer(44 + 4 * samples));
  const text = (at, letters) => [...letters].forEach((letter, n) => file.setUint8(at + n, letter.charCodeAt(0)));
  text(0, "RIFF");
  file.setUint32(4, 36 + 4 * samples, true);
  text(8, "WAVEfmt ");
  file.setUint32(16, 16, true);
  file.setUint16(20, 1, true); // linear
  file.setUint16(22, 2, true); // channels
  file.setUint32(24, RATE, true);
  file.setUint32(28, RATE * 4, true);
  file.setUint16(32, 4, true);
  file.setUint16(34, 16, true);
  text(36, "data");
  file.setUint32(40, 4 * samples, true);
  for (let at = 0; at < samples; at++) {
    file.setInt16(44 + 4 * at, EXPAND[one[at] ?? 0xff] * 32_768, true);
    file.setInt16(46 + 4 * at, EXPAND[other[at] ?? 0xff] * 32_768, true);
  }
  return new Blob([file], { type: "audio/wav" });
}
