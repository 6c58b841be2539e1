"""Writes down what a call sounds like, while it runs: a log of what came and went, and when.

The audio path only packs bytes: where each sound lies in the recording is worked out afterwards by
``apps.voice.tracks``, which then knows what came later. A log is a row of records: kind (1 byte),
seconds since the recorder was made (8), number (4), length (4), payload. One that breaks off is
good up to there.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable

from apps.voice.g711 import BYTES_PER_MS
from apps.voice.ports import Clock, Line

PIECE_S = 1.0
HEAD = struct.Struct("<Bdii")
NO_STAMP = -1
_LONGEST_STAMP = 2**31 - 1


class Record(enum.IntEnum):
    """The kinds of records. ``at`` is a moment of the call's clock."""

    CALLER = 1  # at: its arrival; number: the sender's timestamp in ms, or NO_STAMP; audio
    BOT = 2  # at: when it is played, if it travels in no time; audio
    CLEAR = 3  # at: when it was sent
    MARK = 4  # at: when it is passed, if it travels in no time; its name
    ECHO = 5  # at: when it came back; its name
    END = 6  # the last one
    LOST = 7  # something before this was not written


# Takes a piece of a log, at once. False: there is no room for it.
HandOver = Callable[[bytes], bool]


class Recorder:
    """One stream's log. Every method is immediate, and a piece is handed over each second.

    lost_s: seconds of the call that found no room.
    """

    def __init__(self, clock: Clock, hand_over: HandOver) -> None:
        self._clock = clock
        self._hand_over = hand_over
        self._start = clock.now()
        self._plays_until = 0.0
        self._piece = bytearray()
        self._piece_at = 0.0
        self._closed = False
        self.lost_s = 0.0

    def caller(self, audio: bytes, stamp_ms: int | None = None) -> None:
        """Take caller audio as it arrives: mu-law 8 kHz, any length."""
        if stamp_ms is None or not 0 <= stamp_ms <= _LONGEST_STAMP:
            stamp_ms = NO_STAMP
        self._put(Record.CALLER, self._now(), stamp_ms, audio)

    def bot(self, audio: bytes) -> None:
        """Take bot audio as it is sent: it is played behind what was sent before."""
        now = self._now()
        at = max(now, self._plays_until)
        self._plays_until = at + len(audio) / (BYTES_PER_MS * 1_000)
        self._put(Record.BOT, at, 0, audio)

    def bot_is_silent(self) -> bool:
        """Say whether all that was sent has been played by now."""
        return self._now() >= self._plays_until

    def cleared(self) -> None:
        """The far end is told to drop what it has not played."""
        self._plays_until = now = self._now()
        self._put(Record.CLEAR, now)

    def marked(self, name: str) -> None:
        """A mark was sent behind what was sent before."""
        self._put(Record.MARK, max(self._now(), self._plays_until), 0, name.encode())

    def echoed(self, name: str) -> None:
        """A mark came back."""
        self._put(Record.ECHO, self._now(), 0, name.encode())

    def close(self) -> None:
        """The stream is over. What comes after this is not recorded."""
        if not self._closed:
            if self.lost_s:
                self._put(Record.LOST, self._now())
            self._put(Record.END, self._now())
            self._closed = True
            self._flush(self._now())

    def _now(self) -> float:
        return self._clock.now() - self._start

    def _put(self, kind: Record, at: float, number: int = 0, payload: bytes = b"") -> None:
        if self._closed:
            return
        self._piece += HEAD.pack(kind, at, number, len(payload))
        self._piece += payload
        if at - self._piece_at >= PIECE_S:
            self._flush(at)

    def _flush(self, now: float) -> None:
        if not self._hand_over(bytes(self._piece)):
            self.lost_s += now - self._piece_at
        self._piece = bytearray()
        self._piece_at = now


class RecordedLine:
    """A line whose every word is written down. Implements ``voice.ports.Line``.

    It sends one mark of its own before each sound that comes after silence: the echo tells when
    that began, even if it is cut before any other mark is passed.
    """

    def __init__(self, line: Line, recorder: Recorder) -> None:
        self._line = line
        self._recorder = recorder
        self._silences = 0

    def play(self, audio: bytes) -> None:
        if self._recorder.bot_is_silent():
            self._silences += 1
            self.mark(f"sound.{self._silences}")
        self._line.play(audio)
        self._recorder.bot(audio)

    def mark(self, name: str) -> None:
        self._line.mark(name)
        self._recorder.marked(name)

    def clear(self) -> None:
        self._line.clear()
        self._recorder.cleared()

    def hang_up(self, reason: str) -> None:
        self._line.hang_up(reason)

    def backlog(self) -> int:
        return self._line.backlog()
