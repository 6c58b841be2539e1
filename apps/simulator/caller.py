"""The caller's mouth: speech when there is some, the hiss of a quiet line when there is none."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from apps.simulator.audio import sound_bounds
from apps.voice import g711

FRAME_MS = 20
NOISE_DB = -60.0
_NOISE_FRAMES = 100


@dataclass(frozen=True, slots=True)
class Speech:
    """One utterance, cut into frames once, so that many calls can share it.

    audio: mu-law, whole frames. sound_ms: from when to when there is sound in it. label: what is
    said, for a person to read.
    """

    audio: bytes = field(repr=False)
    payloads: tuple[str, ...] = field(repr=False)
    sound_ms: tuple[float, float]
    frame_ms: int = FRAME_MS
    label: str = field(default="", repr=False)

    @classmethod
    def of(cls, audio: bytes, *, frame_ms: int = FRAME_MS, label: str = "") -> Speech:
        """Cut mu-law audio of any length; its last frame is filled up with silence."""
        size = frame_ms * g711.BYTES_PER_MS
        bounds = sound_bounds(audio) or (0.0, len(audio) / g711.BYTES_PER_MS)
        audio = audio.ljust(-(-len(audio) // size) * size, g711.SILENCE)
        return cls(audio, payloads(audio, frame_ms), bounds, frame_ms, label)


@dataclass(frozen=True, slots=True)
class Said:
    """An utterance in the caller's track. from_ms, to_ms: where its sound begins and ends."""

    speech: Speech
    from_ms: float
    to_ms: float


class CallerAudio:
    """Hands out one frame after the other and remembers what was said where."""

    def __init__(self, *, frame_ms: int = FRAME_MS, noise_db: float = NOISE_DB) -> None:
        self.frame_ms = frame_ms
        self.frames = 0
        self.said: list[Said] = []
        self._noise = line_noise(noise_db, frame_ms)
        self._hiss = payloads(self._noise, frame_ms)
        self._speech: Speech | None = None
        self._next = 0

    @property
    def talking(self) -> bool:
        return self._speech is not None

    def say(self, speech: Speech) -> Said:
        """Begin to speak with the next frame. What was being said is broken off."""
        if speech.frame_ms != self.frame_ms:
            raise ValueError(f"speech in frames of {speech.frame_ms} ms, not {self.frame_ms}")
        start_ms = self.frames * self.frame_ms
        said = Said(speech, start_ms + speech.sound_ms[0], start_ms + speech.sound_ms[1])
        self.said.append(said)
        self._speech, self._next = speech, 0
        return said

    def next_payload(self) -> str:
        """Return the next frame as base64."""
        self.frames += 1
        if self._speech is None:
            return self._hiss[(self.frames - 1) % len(self._hiss)]
        payload = self._speech.payloads[self._next]
        self._next += 1
        if self._next == len(self._speech.payloads):
            self._speech = None
        return payload

    def track(self) -> bytes:
        """Return everything that left the caller's mouth, as mu-law."""
        length = self.frames * self.frame_ms * g711.BYTES_PER_MS
        track = bytearray((self._noise * (length // len(self._noise) + 1))[:length])
        for said in self.said:
            at = round((said.from_ms - said.speech.sound_ms[0]) * g711.BYTES_PER_MS)
            track[at : at + len(said.speech.audio)] = said.speech.audio
        return bytes(track[:length])


def payloads(audio: bytes, frame_ms: int) -> tuple[str, ...]:
    """Cut whole frames of mu-law and write each as base64."""
    size = frame_ms * g711.BYTES_PER_MS
    return tuple(
        base64.b64encode(audio[at : at + size]).decode() for at in range(0, len(audio), size)
    )


@cache
def line_noise(level_db: float, frame_ms: int) -> bytes:
    """Make the hiss of a quiet line, 100 frames of it: white noise of that level, mu-law."""
    count = _NOISE_FRAMES * frame_ms * g711.BYTES_PER_MS
    noise = np.random.default_rng(8_000).normal(0.0, 10 ** (level_db / 20), count)
    return g711.encode_float(noise)
