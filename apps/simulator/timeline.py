"""What was played, and when: runs of unbroken audio, the talk spurts they make, the holes between.

A *run* is audio without a break. A *talk spurt* is a row of runs in which no break is as long as
``SPURT_GAP_S``. A break inside a spurt is an *underrun*: the buffer ran dry in the middle of a
bot's utterance and the listener heard a hole. Speech itself pauses up to about 300 ms at
boundaries of phrases, but those pauses are silence *inside* the audio; a stream that runs dry and
comes back within 400 ms was late, and one that stays away longer has, to a listener, stopped
talking. A ``clear`` ends a spurt: what comes after it is a new utterance, however soon.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from apps.voice import g711

SPURT_GAP_S = 0.4
_BYTES_PER_S = g711.BYTES_PER_MS * 1_000
# Below the length of one sample, a break is an error of rounding.
_SAMPLE_S = 1 / _BYTES_PER_S


@dataclass(frozen=True, slots=True)
class Hole:
    """An underrun. start_s is on the clock of the playout."""

    start_s: float
    length_s: float


@dataclass(slots=True)
class Spurt:
    """The bot talking. cut_s: audio that ``clear`` or the call's end kept from being heard."""

    start_s: float
    end_s: float
    cut_s: float = 0.0
    cleared: bool = False
    underruns: int = 0

    @property
    def cut(self) -> bool:
        return self.cut_s > 0


class _Arrived(enum.Enum):
    FIRST = 1
    NEXT = 2
    LATE = 3


class Timeline:
    """The log of one playout. Times are seconds of its clock."""

    FIRST, NEXT, LATE = _Arrived.FIRST, _Arrived.NEXT, _Arrived.LATE

    def __init__(self, *, keep_audio: bool = True) -> None:
        self.spurts: list[Spurt] = []
        self.underruns: list[Hole] = []
        self.runs = 0
        self.dry_at = float("-inf")
        self._pieces: list[tuple[float, bytes]] | None = [] if keep_audio else None

    def add(self, now: float, audio: bytes) -> _Arrived:
        """Log audio (mu-law) that arrived now and is played as soon as its turn comes."""
        arrived = self._place(now)
        start = now if arrived is not self.NEXT else self.dry_at
        self.dry_at = start + len(audio) / _BYTES_PER_S
        if arrived is self.FIRST:
            self.spurts.append(Spurt(start, self.dry_at))
        self.spurts[-1].end_s = self.dry_at
        self.runs += arrived is not self.NEXT
        if self._pieces is not None:
            self._pieces.append((start, audio))
        return arrived

    def cut(self, now: float) -> float:
        """Take back what is not played yet. Returns how many seconds that was."""
        if not self.spurts:
            return 0.0
        spurt = self.spurts[-1]
        spurt.cleared = True
        lost = self.dry_at - now
        if lost <= 0:
            return 0.0
        spurt.end_s = self.dry_at = now
        spurt.cut_s += lost
        self._drop_after(now)
        return lost

    def talking(self, now: float) -> bool:
        """Say whether audio is being played."""
        return self.dry_at > now

    def heard(self, start_s: float, end_s: float) -> bytes:
        """Return what was played in that time as mu-law, with silence where nothing was."""
        track = bytearray(g711.SILENCE * max(0, _at(end_s - start_s)))
        for piece_start, audio in self._pieces or ():
            offset = _at(piece_start - start_s)
            if offset >= len(track) or offset + len(audio) <= 0:
                continue
            audio = audio[max(0, -offset) : len(track) - offset]
            offset = max(0, offset)
            track[offset : offset + len(audio)] = audio
        return bytes(track)

    def _place(self, now: float) -> _Arrived:
        if not self.spurts or self.spurts[-1].cleared:
            return self.FIRST
        gap = now - self.dry_at
        if gap < _SAMPLE_S:
            return self.NEXT
        if gap >= SPURT_GAP_S:
            return self.FIRST
        self.spurts[-1].underruns += 1
        self.underruns.append(Hole(self.dry_at, gap))
        return self.LATE

    def _drop_after(self, now: float) -> None:
        pieces = self._pieces or []
        while pieces and pieces[-1][0] >= now:
            pieces.pop()
        if pieces:
            start, audio = pieces[-1]
            pieces[-1] = (start, audio[: _at(now - start)])


def _at(seconds: float) -> int:
    return round(seconds * _BYTES_PER_S)


def spurts_between(spurts: Sequence[Spurt], start_s: float, end_s: float) -> list[Spurt]:
    """List the spurts that began in that time."""
    return [spurt for spurt in spurts if start_s <= spurt.start_s < end_s]
