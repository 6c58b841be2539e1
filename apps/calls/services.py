"""Writes calls: the journal's batches become rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db import transaction

from apps.calls.entries import (
    CallBegan,
    CallFinished,
    Entry,
    Happened,
    RecordingBegan,
    RecordingDropped,
    TurnTaken,
)
from apps.calls.models import Call, CallEvent, Turn
from apps.calls.recordings.services import recording_drop, recordings_begin


def entries_write(entries: Sequence[Entry]) -> None:
    """Write a batch in one transaction.

    A call whose stream was replaced goes on under its new stream: only that one's end ends it.
    Turns that stand already are left as they are, so a batch may be written again after a
    failure that left its outcome unknown.
    """
    with transaction.atomic():
        _calls_begin([entry for entry in entries if isinstance(entry, CallBegan)])
        recordings_begin([entry for entry in entries if isinstance(entry, RecordingBegan)])
        Turn.objects.bulk_create(
            [
                Turn(call_id=entry.call_id, stream_sid=entry.stream_sid, **entry.values)
                for entry in entries
                if isinstance(entry, TurnTaken)
            ],
            ignore_conflicts=True,
        )
        CallEvent.objects.bulk_create(
            [
                CallEvent(call_id=entry.call_id, at=entry.at, kind=entry.kind, data=entry.data)
                for entry in entries
                if isinstance(entry, Happened)
            ]
        )
        for entry in entries:
            if isinstance(entry, CallFinished):
                _call_finish(entry)
            elif isinstance(entry, RecordingDropped):
                recording_drop(entry)


def _calls_begin(entries: Sequence[CallBegan]) -> None:
    # One statement may not touch a row twice, so of two streams of one call the later counts.
    rows = {
        entry.call_id: Call(
            id=entry.call_id,
            account_id=entry.account_id,
            config_id=entry.config_id,
            version_id=entry.version_id,
            call_sid=entry.call_sid,
            stream_sid=entry.stream_sid,
            started_at=entry.at,
        )
        for entry in entries
    }
    Call.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["stream_sid", "status", "end_reason", "ended_at"],
    )


def _call_finish(entry: CallFinished) -> None:
    call = Call.objects.select_for_update().filter(id=entry.call_id).first()
    if call is None:
        return
    if (call.stream_sid, call.status) == (entry.stream_sid, Call.Status.IN_PROGRESS):
        call.status = Call.Status.FAILED if entry.failed else Call.Status.COMPLETED
        call.end_reason, call.ended_at = entry.reason, entry.at
    if entry.costs is not None:
        _call_charge(call, entry.stream_sid, entry.costs)
    call.save(update_fields=["status", "end_reason", "ended_at", *_COSTS])


_COSTS = ("costs", "cost_usd", "cost_is_complete")


def _call_charge(call: Call, stream_sid: str, costs: Sequence[Mapping[str, Any]]) -> None:
    """Add what a stream cost to its call's costs; the same stream's again replaces it."""
    call.costs = [line for line in call.costs if line["stream_sid"] != stream_sid] + [*costs]
    known = [Decimal(line["cost_usd"]) for line in call.costs if line["cost_usd"] is not None]
    call.cost_usd = sum(known, Decimal(0)) if known or not call.costs else None
    call.cost_is_complete = all(line["is_complete"] for line in call.costs)
