"""Makes sound files of what was spooled, one stream's or a whole call's. Knows no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from django.core.files import File

from apps.calls.recordings.files import Ranged
from apps.voice.placement import RATE
from apps.voice.stereo import (
    FRAME_BYTES,
    HEADER_BYTES,
    Log,
    pcm_write,
    silence,
    tracks_of,
    wav_header,
)

# Between two streams of a call the caller is brought back within seconds. Where gateways' clocks
# differ by more than this, they are wrong.
LONGEST_GAP = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Made:
    """A file in the storage. samples: of each channel; early: those before the stream's start."""

    path: str
    samples: int
    complete: bool = True
    early: int = 0

    @property
    def early_s(self) -> float:
        return self.early / RATE

    @property
    def duration_s(self) -> float:
        return self.samples / RATE

    @property
    def bytes(self) -> int:
        return HEADER_BYTES + self.samples * FRAME_BYTES


@dataclass(frozen=True, slots=True)
class Part:
    """A stream's file in the storage, and when its first sample was."""

    path: str
    started_at: datetime
    duration_s: float

    @property
    def samples(self) -> int:
        return round(self.duration_s * RATE)


def stream_make(log: Log, path: str, storage: Ranged, workplace: Path) -> Made:
    """Lay out a stream's log and store it as ``path``. workplace: a folder with room for it.

    16-bit PCM: every browser plays it, and where a second lies in it is known without looking.
    Raises OSError and what the storage raises.
    """
    tracks = tracks_of(log)
    with TemporaryFile(dir=workplace) as file:
        file.write(wav_header(tracks.samples))
        pcm_write(log, tracks, file.write)
        path = _stored(file, path, storage)
        return Made(path, tracks.samples, tracks.complete, tracks.early)


def whole_make(parts: Sequence[Part], path: str, storage: Ranged) -> Made:
    """Put the parts of a call one behind the other, silence between them, and store it as ``path``.

    Raises OSError and what the storage raises.
    """
    gaps = _gaps(parts)
    samples = sum(gaps) + sum(part.samples for part in parts)
    with TemporaryFile() as file:
        file.write(wav_header(samples))
        for part, gap in zip(parts, gaps, strict=True):
            for second in range(0, gap, RATE):
                file.write(silence(min(RATE, gap - second)))
            for piece in storage.reading(part.path, HEADER_BYTES, part.samples * FRAME_BYTES):
                file.write(piece)
        return Made(_stored(file, path, storage), samples)


def offsets_s(parts: Sequence[Part]) -> list[float]:
    """Return where in the whole each part begins, in seconds."""
    found, at = [], 0
    for part, gap in zip(parts, _gaps(parts), strict=True):
        found.append((at + gap) / RATE)
        at += gap + part.samples
    return found


def _gaps(parts: Sequence[Part]) -> list[int]:
    """Return the samples of silence before each part."""
    return [0, *(_gap(before, after) for before, after in pairwise(parts))][: len(parts)]


def _gap(before: Part, after: Part) -> int:
    """Return the samples of silence between two parts; none where they overlap."""
    passed = after.started_at - before.started_at - timedelta(seconds=before.duration_s)
    return round(max(0.0, min(passed, LONGEST_GAP).total_seconds()) * RATE)


def _stored(file: IO[bytes], path: str, storage: Ranged) -> str:
    file.seek(0)
    return storage.save(path, File(file))
