"""A call's turns in time: when in the recording each was said, and where the gap before it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from apps.calls.models import Call, Recording, RecordingSegment, Turn
from apps.calls.recordings.making import offsets_s
from apps.calls.recordings.services import parts_of
from apps.dashboard.calls.words import SOURCES, STAGE_WORDS

# The recording has the bot's sound where it was heard; what is clicked begins just before.
_BEFORE_S = 0.1
# A bar's axis has a mark at about so many places.
_MARKS = 5


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of a gap. left, width: percent of the waterfall's width."""

    key: str
    ms: float
    left: float
    width: float

    @property
    def name(self) -> str:
        return STAGE_WORDS[self.key].name if self.key in STAGE_WORDS else self.key


@dataclass(slots=True)
class Said:
    """A turn as the page shows it. at_s, to_s: from the beginning of the recording, or of the call.

    heard: what the other side heard; unheard: what was said beyond that. left, width: percent of
    the timeline.
    """

    number: int
    turn: Turn
    at_s: float
    to_s: float
    heard: str
    unheard: str
    stages: list[Stage] = field(default_factory=list)
    left: float = 0.0
    width: float = 0.0

    @property
    def is_bot(self) -> bool:
        return self.turn.role == Turn.Role.BOT

    @property
    def play_s(self) -> float:
        return round(max(0.0, self.at_s - _BEFORE_S), 2)

    @property
    def source(self) -> str:
        return SOURCES.get(self.turn.source, "")


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of the waterfall's axis."""

    ms: int
    left: float


@dataclass(frozen=True, slots=True)
class Story:
    """All turns of a call, and how long it is."""

    turns: Sequence[Said]
    length_s: float
    marks: Sequence[Mark]
    middle_ms: float | None

    @property
    def answers(self) -> list[Said]:
        return [said for said in self.turns if said.stages]

    @property
    def stages(self) -> list[str]:
        """The stages that some answer went through, in order."""
        found = {stage.key for said in self.turns for stage in said.stages}
        return [key for key in STAGE_WORDS if key in found]

    @property
    def table(self) -> list[tuple[Said, list[float | None]]]:
        """Each answer, and its parts by ``stages``; None for one that it did not go through."""
        return [
            (said, [said.turn.stages_ms.get(key) for key in self.stages]) for said in self.answers
        ]

    @property
    def count(self) -> int:
        return len(self.turns)


def story_of(call: Call, now: datetime) -> Story:
    """Return a call's story. Its turns, and its recording's segments, are read."""
    turns = list(call.turns.all())
    clock = _Clock(call, turns)
    longest = max((turn.latency_ms or 0.0 for turn in turns), default=0.0)
    said = [_said(number, turn, clock, longest) for number, turn in enumerate(turns, start=1)]
    end_s = max((one.to_s for one in said), default=0.0)
    over_s = clock.at("", call.ended_at or now)
    length_s = clock.length_s if clock.length_s is not None else max(end_s, over_s)
    for one in said:
        one.left = round(100 * one.at_s / max(length_s, 0.1), 3)
        one.width = round(max(0.3, 100 * (one.to_s - one.at_s) / max(length_s, 0.1)), 3)
    gaps = sorted(turn.latency_ms for turn in turns if turn.latency_ms is not None)
    middle = gaps[(len(gaps) - 1) // 2] if gaps else None
    return Story(said, max(length_s, 0.1), axis(longest), middle)


def axis(longest_ms: float) -> list[Mark]:
    """Return the marks of an axis that is as long as the longest gap: round, and at most five."""
    if longest_ms <= 0:
        return []
    steps = (50, 100, 200, 250, 500, 1_000, 2_000, 5_000, 10_000, 30_000)
    step = next((step for step in steps if longest_ms / step <= _MARKS), steps[-1])
    marks = range(0, int(longest_ms) + 1, step)
    return [Mark(ms, round(100 * ms / longest_ms, 2)) for ms in marks]


class _Clock:
    """From moments to seconds of the recording, or of the call where there is none."""

    def __init__(self, call: Call, turns: Sequence[Turn]) -> None:
        first = min((turn.started_at for turn in turns), default=call.started_at)
        self._streams: Mapping[str, tuple[datetime, float]] = {}
        self._began = min(call.answered_at or call.started_at, first)
        self.length_s: float | None = None
        recording = getattr(call, "recording", None)
        if recording is not None and recording.status == Recording.Status.READY:
            self._began, self.length_s = recording.started_at, recording.duration_s
            self._streams = _streams(recording)

    def at(self, stream_sid: str, moment: datetime) -> float:
        began, offset_s = self._streams.get(stream_sid, (self._began, 0.0))
        found = max(0.0, offset_s + (moment - began).total_seconds())
        return round(found if self.length_s is None else min(found, self.length_s), 3)


def _streams(recording: Recording) -> dict[str, tuple[datetime, float]]:
    stored: list[RecordingSegment] = [one for one in recording.segments.all() if one.stored_at]
    offsets = offsets_s(parts_of(stored))
    return {
        one.stream_sid: (one.started_at, offset)
        for one, offset in zip(stored, offsets, strict=True)
    }


def _said(number: int, turn: Turn, clock: _Clock, longest_ms: float) -> Said:
    heard, unheard = _heard(turn)
    return Said(
        number,
        turn,
        clock.at(turn.stream_sid, turn.started_at),
        clock.at(turn.stream_sid, turn.ended_at),
        heard,
        unheard,
        _stages(turn, longest_ms),
    )


def _heard(turn: Turn) -> tuple[str, str]:
    heard, said = turn.text_heard.strip(), turn.text_said.strip()
    if said.startswith(heard):
        return heard, said[len(heard) :].strip()
    return heard, "" if heard == said else said


def _stages(turn: Turn, longest_ms: float) -> list[Stage]:
    found, at_ms = [], 0.0
    for key, ms in turn.stages.items():
        shown = max(0.0, ms)
        left, width = (100 * part / max(longest_ms, 1.0) for part in (at_ms, shown))
        found.append(Stage(key, ms, round(left, 3), round(width, 3)))
        at_ms += shown
    return found
