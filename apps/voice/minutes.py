"""Writes down who said what, when, and where the time went: the conversation's own minutes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.voice.meter import Meter
from apps.voice.playout import Talk
from apps.voice.ports import Journal, Turn, Used
from apps.voice.stages import Stopwatch


class Minutes:
    """Turns of one call, in order, handed to the journal as they end.

    meter: of the bot's side. The caller's is read by who tells of a turn.
    """

    def __init__(self, journal: Journal, *, started_at: float, meter: Meter) -> None:
        self._journal = journal
        self._started_at = started_at
        self._meter = meter
        self._bot_used = self._caller_used = Used()  # by the turns so far
        self._turns = 0
        self._caller_since = started_at
        self._stages: Mapping[str, float] = {}
        self.watch: Stopwatch | None = None  # of the utterance that awaits its answer

    def caller_starts(self, at: float) -> None:
        self._caller_since = at

    def caller_said(self, text: str, *, ended_at: float, reading: Used) -> None:
        """reading: what hearing the caller has used so far."""
        used, self._caller_used = reading - self._caller_used, reading
        self._write(
            Turn(
                index=self._turns,
                role="caller",
                said=text,
                heard=text,
                started_s=self._seconds(self._caller_since),
                ended_s=self._seconds(max(ended_at, self._caller_since)),
                used=used,
            )
        )

    def bot_starts(self, watch: Stopwatch) -> None:
        """The first audio of a talk was sent. watch: the answer's, complete from here on."""
        self._stages = watch.stages_ms() if watch is self.watch else {}
        self.watch = None

    @property
    def stages_ms(self) -> Mapping[str, float]:
        """The parts of the gap before what the bot is saying; empty if it answers nothing."""
        return self._stages

    def bot_said(self, talk: Talk, now: float, *, interrupted: bool) -> None:
        started = now if talk.started_at is None else talk.started_at
        reading = self._meter.reading
        used, self._bot_used = reading - self._bot_used, reading
        self._write(
            Turn(
                index=self._turns,
                role="bot",
                said=talk.said(),
                heard=talk.heard(now),
                started_s=self._seconds(started),
                ended_s=self._seconds(now),
                source=talk.source,
                interrupted=interrupted,
                stages_ms={**self._stages, **talk.last_stages()} if self._stages else {},
                used=used,
            )
        )
        self._stages = {}

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        self._journal.event(kind, data)

    def _write(self, turn: Turn) -> None:
        self._turns += 1
        self._journal.turn(turn)

    def _seconds(self, at: float) -> float:
        return round(at - self._started_at, 3)
