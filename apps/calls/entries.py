"""What the journal takes: facts about calls, as values."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class CallBegan:
    """A stream was admitted."""

    call_id: uuid.UUID
    account_id: str
    config_id: str
    version_id: int
    call_sid: str
    stream_sid: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CallFinished:
    """A stream is over. failed: the call could not be held."""

    call_id: uuid.UUID
    stream_sid: str
    at: datetime
    reason: str
    failed: bool = False


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


Entry = CallBegan | CallFinished | TurnTaken | Happened
