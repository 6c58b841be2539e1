"""Writes calls: the journal's batches become rows."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from apps.calls.entries import CallBegan, CallFinished, Entry, Happened, TurnTaken
from apps.calls.models import Call, CallEvent, Turn


def entries_write(entries: Sequence[Entry]) -> None:
    """Write a batch in one transaction.

    A call whose stream was replaced goes on under its new stream: only that one's end ends it.
    Turns that stand already are left as they are, so a batch may be written again after a
    failure that left its outcome unknown.
    """
    with transaction.atomic():
        _calls_begin([entry for entry in entries if isinstance(entry, CallBegan)])
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
    status = Call.Status.FAILED if entry.failed else Call.Status.COMPLETED
    Call.objects.filter(
        id=entry.call_id, stream_sid=entry.stream_sid, status=Call.Status.IN_PROGRESS
    ).update(status=status, end_reason=entry.reason, ended_at=entry.at)
