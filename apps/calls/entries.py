"""What the journal takes: facts about calls, as values."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class CallBegan:
    """A stream was admitted.

    given: the values of the bot's variables, and ``from`` and ``to`` where they are known. attempt:
    which of the call's streams by a token of ours; 0: by a Bin. gateway: the process that holds it.
    cap_at: no call lives longer.
    """

    call_id: uuid.UUID
    account_id: str
    config_id: str
    version_id: int
    call_sid: str
    stream_sid: str
    at: datetime
    account_sid: str = ""
    given: Mapping[str, str] = field(default_factory=dict, repr=False)
    attempt: int = 0
    gateway: uuid.UUID | None = None
    cap_at: datetime | None = None


# The stream ended without either side having ended the call: the caller may come back.
BROKEN = frozenset({"connection_lost", "shutdown", "line_stuck", "internal_error", "paused"})
# The stream ended on purpose, for a moment: something else is played to the caller.
PAUSED = "paused"
# The stream ended because the caller was put through to somebody else.
TRANSFERRED = "transferred"


@dataclass(frozen=True, slots=True)
class CallFinished:
    """A stream is over. failed: the call could not be held.

    costs: what it cost, a line a slot; None if nobody has reckoned.
    """

    call_id: uuid.UUID
    stream_sid: str
    at: datetime
    reason: str
    failed: bool = False
    costs: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class TurnTaken:
    """One side has had its say."""

    call_id: uuid.UUID
    stream_sid: str
    values: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Happened:
    """Anything else."""

    call_id: uuid.UUID
    at: datetime
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordingBegan:
    """A stream is being recorded."""

    call_id: uuid.UUID
    stream_sid: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordingDropped:
    """What was recorded of a stream has been thrown away."""

    call_id: uuid.UUID
    stream_sid: str


Entry = CallBegan | CallFinished | TurnTaken | Happened | RecordingBegan | RecordingDropped
