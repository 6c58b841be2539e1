"""Writes calls: the journal's batches become rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db import transaction

from apps.calls.endings import call_close, call_started
from apps.calls.entries import (
    BROKEN,
    TRANSFERRED,
    CallBegan,
    CallFinished,
    Entry,
    Happened,
    RecordingBegan,
    RecordingDropped,
    TurnTaken,
)
from apps.calls.models import Call, CallEvent, Turn
from apps.calls.news import verdict_given
from apps.calls.recordings.services import recording_drop, recordings_begin


def entries_write(entries: Sequence[Entry]) -> None:
    """Write a batch in one transaction.

    A call whose stream was replaced goes on under its new stream: only that one's end ends it.
    What is over stays over, and a line that broke leaves its call open: the caller may come back.
    Turns that stand already are left as they are, so a batch may be written again
    after a failure that left its outcome unknown.
    """
    with transaction.atomic():
        _calls_begin([entry for entry in entries if isinstance(entry, CallBegan)])
        recordings_begin([entry for entry in entries if isinstance(entry, RecordingBegan)])
        Turn.objects.bulk_create(
            [_turn(entry) for entry in entries if isinstance(entry, TurnTaken)],
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


def _turn(entry: TurnTaken) -> Turn:
    turn = Turn(call_id=entry.call_id, stream_sid=entry.stream_sid, **entry.values)
    turn.answer_ms = None if turn.latency_ms is None else max(0, round(turn.latency_ms))
    return turn


def _calls_begin(entries: Sequence[CallBegan]) -> None:
    # One statement may not touch a row twice, so of two streams of one call the later counts.
    latest = {entry.call_id: entry for entry in entries}
    if not latest:
        return
    Call.objects.bulk_create([_new(entry) for entry in latest.values()], ignore_conflicts=True)
    calls = Call.objects.select_for_update().filter(pk__in=latest).order_by("pk")
    for call in calls:
        _stream_begin(call, latest[call.pk])


def _new(entry: CallBegan) -> Call:
    return Call(
        id=entry.call_id,
        account_id=entry.account_id,
        config_id=entry.config_id,
        version_id=entry.version_id,
        call_sid=entry.call_sid,
        stream_sid=entry.stream_sid,
        started_at=entry.at,
        from_number=entry.given.get("from", ""),
        to_number=entry.given.get("to", ""),
        variables={name: text for name, text in entry.given.items() if name not in _NUMBERS},
    )


_NUMBERS = ("from", "to")


def _stream_begin(call: Call, entry: CallBegan) -> None:
    """A stream of a call has begun; the call's end, and a later stream, stay what they are."""
    call.call_sid = call.call_sid or entry.call_sid
    call.twilio_account_sid = call.twilio_account_sid or entry.account_sid
    call.answered_at = call.answered_at or entry.at
    call.cap_at = call.cap_at or entry.cap_at
    # A process that was cut off from the database may write of a stream long after the next one.
    if entry.attempt >= call.attempts:
        call.stream_sid, call.gateway = entry.stream_sid, entry.gateway
        call.version_id, call.attempts = entry.version_id, entry.attempt
        if not call.is_over:
            call.stream_ended_at, call.end_reason = None, ""
    if not call.is_over:
        call.status = Call.Status.IN_PROGRESS
        call_started(call)
    call.save(update_fields=_BEGUN)
    if call.answered_by and entry.attempt <= 1:
        verdict_given(call)  # it came before there was anybody to tell


_BEGUN = (
    *("stream_sid", "gateway", "call_sid", "version", "twilio_account_sid", "attempts"),
    *("answered_at", "cap_at", "stream_ended_at", "status", "end_reason"),
)


def _call_finish(entry: CallFinished) -> None:
    call = Call.objects.select_for_update().filter(id=entry.call_id).first()
    if call is None:
        return
    if entry.costs is not None:
        _call_charge(call, entry.stream_sid, entry.costs)
    if call.stream_sid == entry.stream_sid and not call.is_over:
        _stream_end(call, entry)
    call.save(update_fields=["end_reason", "stream_ended_at", *_COSTS])


def _stream_end(call: Call, entry: CallFinished) -> None:
    call.stream_ended_at = entry.at
    # After these the call itself goes on: the caller is brought back, or talks to somebody else.
    # A browser is brought back by nobody.
    goes_on = entry.reason in BROKEN or entry.reason == TRANSFERRED
    if goes_on and not call.is_browsers:
        call.end_reason = entry.reason
        return
    status = Call.Status.FAILED if entry.failed else Call.Status.COMPLETED
    call_close(call, status=status, reason=entry.reason, at=entry.at)


_COSTS = ("costs", "cost_usd", "cost_is_complete")


def _call_charge(call: Call, stream_sid: str, costs: Sequence[Mapping[str, Any]]) -> None:
    """Add what a stream cost to its call's costs; the same stream's again replaces it."""
    call.costs = [line for line in call.costs if line["stream_sid"] != stream_sid] + [*costs]
    known = [Decimal(line["cost_usd"]) for line in call.costs if line["cost_usd"] is not None]
    call.cost_usd = sum(known, Decimal(0)) if known or not call.costs else None
    call.cost_is_complete = all(line["is_complete"] for line in call.costs)
