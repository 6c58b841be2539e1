"""The end of a call: the one place that makes it final, and tells so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from apps.bots.models import TwilioConfigVersion
from apps.calls.entries import TRANSFERRED
from apps.calls.models import Call, Transfer, Turn
from apps.webhooks.services import event_publish

ENDED = ("status", "end_reason", "ended_at", "reap_at", "first_word_ms")
# Why a call ended that we had Twilio end: its stream and its callback say what they saw of it.
HUNG_UP = "hung_up"


def call_close(call: Call, *, status: str, reason: str, at: datetime) -> bool:
    """End a call for good and publish ``call.ended`` with its transcript.

    Call it in a transaction that holds the row's lock. Returns whether this ended it: a call that
    is over stays as it is.
    """
    if call.is_over:
        return False
    call.status = status
    if reason == TRANSFERRED and not _was_connected(call):
        reason = "caller_hung_up"
    ended_by_us = status == Call.Status.COMPLETED and "hang_up" in call.asked
    call.end_reason = HUNG_UP if ended_by_us else reason
    call.ended_at = max(at, call.started_at)
    call.reap_at = None
    told = ended_data(call)
    first_ms = told["latency"]["first_word_ms"]
    call.first_word_ms = None if first_ms is None else round(first_ms)
    call.save(update_fields=ENDED)
    _transfers_end(call, call.ended_at)
    event_publish(
        account_id=call.account_id,
        kind="call.ended",
        data={"call": told},
        key=str(call.id),
    )
    return True


def _was_connected(call: Call) -> bool:
    """Whether a call that was put through reached anybody, as far as that was followed."""
    known = list(Transfer.objects.filter(call=call).values_list("bridged_at", flat=True))
    return not known or any(known)


def _transfers_end(call: Call, at: datetime) -> None:
    """A call that is over is put through to nobody any more, whatever was not told of it."""
    for transfer in Transfer.objects.filter(call=call, ended_at=None):
        reached = transfer.answered_at is not None or transfer.bridged_at is not None
        transfer.status = Call.Status.COMPLETED if reached else Call.Status.CANCELED
        transfer.ended_at = max(at, transfer.started_at)
        transfer.save(update_fields=["status", "ended_at"])


def call_started(call: Call) -> None:
    """Publish ``call.started``, once a call, in the transaction that wrote it down."""
    event_publish(
        account_id=call.account_id,
        kind="call.started",
        data={"call": started_data(call)},
        key=str(call.id),
    )


def started_data(call: Call) -> dict[str, Any]:
    return {
        "id": call.id,
        "call_sid": call.call_sid,
        "direction": call.direction,
        "medium": call.medium,
        "from": call.from_number,
        "to": call.to_number,
        "status": call.status,
        "config_id": call.config_id,
        # Without the version's secrets.
        "config_version": TwilioConfigVersion.objects.values_list("number", flat=True).get(
            pk=call.version_id
        ),
        "metadata": call.metadata,
        "started_at": call.started_at,
    }


def ended_data(call: Call) -> dict[str, Any]:
    """Return what is told of a call that is over; two queries."""
    turns = list(Turn.objects.filter(call=call).order_by("id"))
    assert call.ended_at is not None
    return {
        **started_data(call),
        "end_reason": call.end_reason,
        "ended_at": call.ended_at,
        "duration_s": call.duration_s,
        "cost_usd": None if call.cost_usd is None else f"{call.cost_usd:.8f}",
        "cost_is_complete": call.cost_is_complete,
        "latency": latency_of(call, turns),
        "turns": [
            {
                "role": turn.role,
                "text_said": turn.text_said,
                "text_heard": turn.text_heard,
                "started_at": turn.started_at,
                "latency_ms": turn.latency_ms,
            }
            for turn in turns
        ],
    }


def latency_of(call: Call, turns: Sequence[Turn]) -> dict[str, float | None]:
    """Return how quickly a call's bot spoke, in ms; null where it did not.

    first_word_ms: from when somebody could speak to the bot's first audio. The percentiles are of
    its answers, by nearest rank.
    """
    gaps = sorted(turn.latency_ms for turn in turns if turn.latency_ms is not None)
    spoken = [turn.started_at for turn in turns if turn.role == Turn.Role.BOT]
    since = call.answered_at or call.started_at
    first = round(max(0.0, (min(spoken) - since).total_seconds()) * 1_000, 1) if spoken else None
    return {"first_word_ms": first, "p50_ms": _rank(gaps, 0.5), "p95_ms": _rank(gaps, 0.95)}


def _rank(sorted_values: Sequence[float], share: float) -> float | None:
    return sorted_values[math.ceil(share * len(sorted_values)) - 1] if sorted_values else None
