"""Writes recordings: their beginning, their streams, the whole, and their end."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.models import Account
from apps.calls.entries import RecordingBegan, RecordingDropped
from apps.calls.models import Call
from apps.calls.recordings.files import Ranged, recordings_storage
from apps.calls.recordings.making import Made, Part, stream_make, whole_make
from apps.calls.recordings.models import Recording, RecordingSegment
from apps.calls.recordings.spool import Label, Unreadable, spooled
from apps.webhooks.services import event_publish

logger = logging.getLogger(__name__)

# How long a call that is over waits for a stream that is still on some gateway's disk.
PATIENCE = timedelta(minutes=10)
# After that nobody will bring it any more; and a stream of a call that nobody knows is nobody's.
GIVEN_UP = timedelta(hours=24)


def recordings_begin(entries: Sequence[RecordingBegan]) -> None:
    """Write that streams are being recorded; in the journal's transaction, after their calls."""
    Recording.objects.bulk_create(
        [Recording(call_id=entry.call_id, started_at=entry.at) for entry in entries],
        ignore_conflicts=True,
    )
    RecordingSegment.objects.bulk_create(
        [
            RecordingSegment(
                recording_id=entry.call_id, stream_sid=entry.stream_sid, started_at=entry.at
            )
            for entry in entries
        ],
        ignore_conflicts=True,
    )


def recording_drop(entry: RecordingDropped) -> None:
    """A stream's recording was thrown away before it was stored."""
    segments = RecordingSegment.objects.filter(recording=entry.call_id)
    segments.filter(stream_sid=entry.stream_sid, stored_at=None).delete()
    if not segments.exists():
        Recording.objects.filter(call=entry.call_id, status__in=Recording.PENDING).delete()


def spooled_store(path: Path) -> bool:
    """Store a spooled stream and remove the file. Returns False if it is to be tried again.

    It may be run again for the same file, whatever became of it before.
    """
    try:
        with spooled(path) as (label, log):
            done = _segment_store(label, log, path.parent)
    except Unreadable:
        logger.warning("A spooled stream has no label", extra={"bytes": path.stat().st_size})
        done = True
    if done:
        path.unlink(missing_ok=True)
    return done


def _segment_store(label: Label, log: memoryview, workplace: Path) -> bool:
    recording = Recording.objects.select_related("call").filter(call=label.call_id).first()
    if recording is None:
        # The journal may be behind; a call that never got its row is nobody's.
        return timezone.now() - label.started_at > GIVEN_UP
    if recording.status == Recording.Status.DELETED:
        return True
    storage = recordings_storage()
    name = f"{_folder(recording)}/{label.stream_sid}.wav"
    made = stream_make(log, name, storage, workplace)
    if not _segment_keep(label, made):
        storage.delete(made.path)
        return True
    recording_settle(label.call_id)
    return True


def _segment_keep(label: Label, made: Made) -> bool:
    """Write where a stream lies. False: its recording has been erased meanwhile."""
    with transaction.atomic():
        recording = Recording.objects.select_for_update().get(call=label.call_id)
        if recording.status == Recording.Status.DELETED:
            return False
        RecordingSegment.objects.update_or_create(
            recording=recording,
            stream_sid=label.stream_sid,
            defaults={
                "started_at": label.started_at - timedelta(seconds=made.early_s),
                "duration_s": made.duration_s,
                "is_partial": not made.complete,
                "path": made.path,
                "stored_at": timezone.now(),
            },
        )
    return True


def recording_settle(call_id: uuid.UUID, now: datetime | None = None) -> bool:
    """Make a call's recording ready, if the call is over and its streams are there.

    Returns whether it has come to an end. May be run by several at once. Asks the storage outside
    of any transaction.
    """
    now = now or timezone.now()
    recording = Recording.objects.select_related("call").get(call=call_id)
    segments = list(recording.segments.all())
    stored = [segment for segment in segments if segment.stored_at is not None]
    if recording.status == Recording.Status.DELETED or not recording.call.is_over:
        return False
    if recording.status == Recording.Status.READY and recording.parts == len(stored):
        return True
    waited = now - (recording.call.ended_at or recording.started_at)
    if len(stored) < len(segments) and waited < (PATIENCE if stored else GIVEN_UP):
        _mark(recording, Recording.Status.PROCESSING)
        return False
    if not stored:
        _mark(recording, Recording.Status.FAILED)
        return True
    storage = recordings_storage()
    made = _whole(recording, stored, storage)
    lacking = len(stored) < len(segments) or any(segment.is_partial for segment in stored)
    if not _ready(recording, made, stored, is_partial=lacking, now=now):
        recording_files_remove(call_id)
        return False
    return True


def _mark(recording: Recording, status: Recording.Status) -> None:
    Recording.objects.filter(call=recording.call_id, status__in=Recording.PENDING).update(
        status=status
    )


def _whole(recording: Recording, stored: Sequence[RecordingSegment], storage: Ranged) -> Made:
    parts = parts_of(stored)
    if len(parts) == 1:
        return Made(parts[0].path, parts[0].samples)
    # The parts stay: one that turns up late is put in its place.
    return whole_make(parts, f"{_folder(recording)}/call-{len(parts)}.wav", storage)


def parts_of(stored: Sequence[RecordingSegment]) -> list[Part]:
    """Return what a recording is made of."""
    return [Part(one.path, one.started_at, one.duration_s) for one in stored]


def _ready(
    recording: Recording,
    made: Made,
    stored: Sequence[RecordingSegment],
    *,
    is_partial: bool,
    now: datetime,
) -> bool:
    """Write that it is ready and tell it. False: it has been erased meanwhile."""
    with transaction.atomic():
        found = Recording.objects.select_for_update().get(call=recording.call_id)
        if found.status == Recording.Status.DELETED:
            found.path = made.path
            found.save(update_fields=["path"])
            return False
        if found.status == Recording.Status.READY and found.parts >= len(stored):
            return True  # somebody else was quicker
        found.status, found.ready_at = Recording.Status.READY, now
        found.path, found.parts, found.is_partial = made.path, len(stored), is_partial
        found.duration_s, found.bytes = made.duration_s, made.bytes
        found.started_at, found.peaks = stored[0].started_at, None
        found.save()
        _publish(recording.call, found)
    return True


def _publish(call: Call, recording: Recording) -> None:
    event_publish(
        account_id=call.account_id,
        kind="call.recording_ready",
        data={
            "call_id": call.id,
            "call_sid": call.call_sid,
            "recording": f"/calls/{call.id}/recording",
            "duration_s": recording.duration_s,
            "bytes": recording.bytes,
        },
        key=f"{call.id}/{recording.parts}",
    )


def recording_erase(*, account: Account, call_id: uuid.UUID, actor: Actor) -> None:
    """Erase a recording for good; one that is being made is thrown away when it ends.

    Raises Recording.DoesNotExist if the account has none of that call, or no longer.
    """
    with transaction.atomic():
        recordings = Recording.objects.select_for_update(of=("self",))
        recording = recordings.exclude(status=Recording.Status.DELETED).get(
            call=call_id, call__account=account
        )
        before = recording.status
        Recording.objects.filter(call=call_id).update(status=Recording.Status.DELETED, peaks=None)
        audit_record(
            account=account,
            actor=actor,
            action="recording.erase",
            target=Target("call", str(call_id)),
            before={"status": before},
            after={"status": Recording.Status.DELETED},
        )
    try:
        recording_files_remove(call_id)
    except Exception:  # the storage may be away: the sweep goes on trying
        logger.exception("A recording's files were not removed", extra={"call": str(call_id)})


def recording_files_remove(call_id: uuid.UUID) -> None:
    """Remove an erased recording's files. Raises what the storage raises; run it again then."""
    storage = recordings_storage()
    recording = Recording.objects.get(call=call_id, status=Recording.Status.DELETED)
    for segment in recording.segments.exclude(path=""):
        storage.delete(segment.path)
        RecordingSegment.objects.filter(pk=segment.pk).update(path="")
    if recording.path:
        storage.delete(recording.path)
    Recording.objects.filter(call=call_id).update(path="", duration_s=None, bytes=None)


def _folder(recording: Recording) -> str:
    began = recording.started_at
    return f"{recording.call.account_id}/{began:%Y/%m}/{recording.call_id}"
