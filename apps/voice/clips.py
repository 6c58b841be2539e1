"""Sentences whose audio is ready before they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from apps.voice.settings import LineName, Lines


@dataclass(frozen=True, slots=True)
class Clip:
    """A sentence whose audio is ready: mu-law 8 kHz. Without audio, a voice has to speak it."""

    text: str
    audio: bytes = field(default=b"", repr=False)

    @property
    def seconds(self) -> float:
        return len(self.audio) / 8_000


def line_clip(name: LineName, lines: Lines, clips: Mapping[LineName, Clip]) -> Clip | None:
    """Return one of the platform's sentences, recorded if it can be; None if it is switched off."""
    text: str = getattr(lines, name)
    return clips.get(name, Clip(text)) if text else None
