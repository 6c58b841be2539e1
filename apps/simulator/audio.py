"""Audio in and out of files: any WAV to the phone's mu-law, a call to a stereo WAV.

Sources: Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, WAVE)
and its "WAVEFORMATEXTENSIBLE". The standard library's reader takes neither float nor extensible.
"""

from __future__ import annotations

import io
import struct
import wave
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from apps.voice import g711
from apps.voice.resampling import MulawResampler

Samples = npt.NDArray[np.float32]

# Quieter than this is no sound, and so is what lies this far below the loudest moment.
SOUND_DB = -50.0
SOUND_BELOW_PEAK_DB = 35.0
_WINDOW = 20 * g711.BYTES_PER_MS
_PCM, _FLOAT, _MULAW, _EXTENSIBLE = 1, 3, 7, 0xFFFE


class AudioFileError(ValueError):
    """A file that cannot be played. The text says why and what would do."""


@dataclass(frozen=True, slots=True)
class _Format:
    tag: int
    channels: int
    rate: int
    bits: int


def wav_read(path: Path) -> bytes:
    """Read a WAV of any rate and channels as mu-law, 8,000 Hz, mono.

    Takes integers of 8, 16, 24 and 32 bits, floats of 32 and 64, and mu-law; channels are mixed.
    Raises AudioFileError for anything else, an empty file included.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AudioFileError(f"{path}: {error.strerror or 'cannot be read'}.") from error
    try:
        return wav_decode(content)
    except AudioFileError as error:
        raise AudioFileError(f"{path}: {error}") from error


def wav_decode(content: bytes) -> bytes:
    """Turn a WAV file's bytes into mu-law, 8,000 Hz, mono. Raises AudioFileError."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise AudioFileError("not a WAV file. Convert it, for example: ffmpeg -i in.mp3 out.wav")
    form: _Format | None = None
    for name, body in _chunks(content):
        if name == b"fmt ":
            form = _format(body)
        elif name == b"data" and form is not None:
            return _mulaw(_samples(body, form), form.rate)
    raise AudioFileError("a WAV file without audio in it.")


def stereo_write(path: Path, *, caller: bytes, bot: bytes) -> float:
    """Write a call as 16-bit stereo WAV, 8,000 Hz: caller left, bot right.

    Both are mu-law; the shorter is filled up with silence. Returns the length in seconds.
    Raises AudioFileError if the file cannot be written.
    """
    try:
        path.write_bytes(stereo_encode(caller=caller, bot=bot))
    except OSError as error:
        raise AudioFileError(f"{path}: {error.strerror or 'cannot be written'}.") from error
    return max(len(caller), len(bot)) / g711.SAMPLE_RATE


def stereo_encode(*, caller: bytes, bot: bytes) -> bytes:
    """Return a call as the bytes of a stereo WAV; see ``stereo_write``."""
    length = max(len(caller), len(bot))
    left, right = (g711.decode(side.ljust(length, g711.SILENCE)) for side in (caller, bot))
    both = np.stack([np.frombuffer(left, "<i2"), np.frombuffer(right, "<i2")], axis=1)
    raw = io.BytesIO()
    with wave.open(raw, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(g711.SAMPLE_RATE)
        file.writeframes(both.tobytes())
    return raw.getvalue()


def sound_bounds(mulaw: bytes) -> tuple[float, float] | None:
    """Say from when to when there is sound, in ms to 20 ms; None if there is none.

    A recording's silent head and tail are no speech: latencies count from where the sound ends.
    """
    windows = len(mulaw) // _WINDOW
    if not windows:
        return None
    shaped = g711.decode_float(mulaw[: windows * _WINDOW]).reshape(windows, _WINDOW)
    levels = 10 * np.log10(np.mean(np.square(shaped), axis=1) + 1e-12)
    loud = np.flatnonzero(levels > max(SOUND_DB, float(levels.max()) - SOUND_BELOW_PEAK_DB))
    if not loud.size:
        return None
    window_ms = _WINDOW / g711.BYTES_PER_MS
    return float(loud[0]) * window_ms, (float(loud[-1]) + 1) * window_ms


# --- RIFF ---------------------------------------------------------------------------------------


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        # A file written to a pipe claims a length it never learned: take what is there.
        yield name, content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _format(body: bytes) -> _Format:
    if len(body) < 16:
        raise AudioFileError("a WAV file with a broken format chunk.")
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
    if tag == _EXTENSIBLE and len(body) >= 26:
        tag = int.from_bytes(body[24:26], "little")
    if not channels or not 1_000 <= rate <= 768_000:
        raise AudioFileError(f"{channels} channels at {rate} Hz make no sense.")
    return _Format(tag, channels, rate, bits)


def _samples(body: bytes, form: _Format) -> Samples:
    reader = _READERS.get((form.tag, form.bits))
    if reader is None:
        raise AudioFileError(
            f"WAV format {form.tag} with {form.bits} bits is not supported: "
            "use 8, 16, 24 or 32-bit PCM, 32 or 64-bit float, or mu-law."
        )
    frame = form.channels * form.bits // 8
    body = body[: len(body) // frame * frame]
    if not body:
        raise AudioFileError("a WAV file without audio in it.")
    samples = reader(body).astype(np.float32).reshape(-1, form.channels)
    return np.asarray(np.nan_to_num(samples).mean(axis=1), np.float32)


def _mulaw(samples: Samples, rate: int) -> bytes:
    audio = MulawResampler(rate).push(samples, last=True)
    if not audio:
        raise AudioFileError("a WAV file without audio in it.")
    return audio


def _int24(body: bytes) -> npt.NDArray[Any]:
    # Each 24-bit sample becomes the upper three bytes of a 32-bit one.
    wide = np.zeros((len(body) // 3, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
    return wide.view("<i4").reshape(-1) / 2.0**31


_READERS: Mapping[tuple[int, int], Callable[[bytes], npt.NDArray[Any]]] = {
    (_PCM, 8): lambda body: (np.frombuffer(body, np.uint8).astype(np.float32) - 128) / 128,
    (_PCM, 16): lambda body: np.frombuffer(body, "<i2") / 2.0**15,
    (_PCM, 24): _int24,
    (_PCM, 32): lambda body: np.frombuffer(body, "<i4") / 2.0**31,
    (_FLOAT, 32): lambda body: np.frombuffer(body, "<f4"),
    (_FLOAT, 64): lambda body: np.frombuffer(body, "<f8"),
    (_MULAW, 8): g711.decode_float,
}
