"""Gateway processes, and how the rest knows that one has died with its calls.

Times are the database's: one clock, whatever the machines think.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models.functions import Now

from apps.calls.models import GatewayProcess

BEAT_S = 2.0
# Five beats missed.
LOST_AFTER = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Pulse:
    """Which processes live. silent: those that stopped saying so, and when they last did."""

    alive: frozenset[uuid.UUID] = frozenset()
    silent: Mapping[uuid.UUID, datetime] = field(default_factory=dict)


def process_beat(process_id: uuid.UUID, *, host: str) -> None:
    """Say that a process lives. One query, and one more the first time."""
    if not GatewayProcess.objects.filter(pk=process_id).update(beat_at=Now()):
        GatewayProcess.objects.create(
            pk=process_id, host=host[:200], started_at=Now(), beat_at=Now()
        )


def process_end(process_id: uuid.UUID) -> None:
    """Say that a process has ended its calls, and itself."""
    GatewayProcess.objects.filter(pk=process_id).delete()


def pulse_take(*, now: datetime | None = None) -> Pulse:
    """Look which processes have said so lately. now: instead of the database's clock."""
    rows = GatewayProcess.objects.annotate(now=Now()).values_list("id", "beat_at", "now")
    silent = {found: beat for found, beat, at in rows if (now or at) - beat > LOST_AFTER}
    alive = frozenset(found for found, _, _ in rows if found not in silent)
    return Pulse(alive, silent)
