"""What was spooled becomes one recording of its call, whatever died in between."""

from __future__ import annotations

import multiprocessing
import os
import signal
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from apps.calls.models import Recording, RecordingSegment
from apps.calls.recordings.files import recordings_storage
from apps.calls.recordings.services import recording_settle, spooled_store
from apps.calls.recordings.spool import folder_make, folders_left
from apps.calls.recordings.sweeps import (
    recordings_expire,
    recordings_remove,
    recordings_settle,
    spooled_adopt,
)
from apps.webhooks.models import Endpoint, Event
from tests.calls.recordings.conftest import BEGAN, Spool, levels


def sound_of(recording: Recording) -> bytes:
    assert recording.bytes is not None
    return b"".join(recordings_storage().reading(recording.path, 0, recording.bytes))


def stored_files(spool: Spool) -> list[str]:
    root = spool.folder.path.parent.parent / "stored"
    return sorted(path.name for path in root.rglob("*.wav"))


def test_a_stream_becomes_the_recording_of_its_call(spool: Spool) -> None:
    path = spool.stream(seconds=2.0)
    call = spool.finish()
    assert spooled_store(path)
    recording = Recording.objects.get()
    assert (recording.call_id, recording.status) == (call, Recording.Status.READY)
    assert recording.duration_s == pytest.approx(2.0, abs=0.03)
    assert not recording.is_partial
    assert not path.exists()
    sound = sound_of(recording)
    assert len(sound) == recording.bytes
    assert (levels(sound) > 5_000).all()


def test_a_call_that_goes_on_keeps_its_recording_to_itself(spool: Spool) -> None:
    assert spooled_store(spool.stream())
    recording = Recording.objects.get()
    assert recording.status == Recording.Status.RECORDING
    assert recordings_settle() == 0
    spool.finish()
    assert recordings_settle() == 1
    recording.refresh_from_db()
    assert recording.status == Recording.Status.READY


def test_the_gateway_is_told_apart_from_the_dead(spool: Spool) -> None:
    spool.stream()
    spool.finish()
    assert spooled_adopt() == 0
    assert list(folders_left(spool.folder.path.parent)) == []


def _record_and_hang(root: Path, ready: Path, source: Path) -> None:
    folder = folder_make(root)
    folder.append(source.name, source.read_bytes(), at=0)
    ready.touch()
    signal.pause()


def test_what_a_killed_gateway_left_is_stored_and_says_that_it_is_partial(
    spool: Spool, tmp_path: Path
) -> None:
    cut = spool.stream(seconds=3.0, cut=True)
    ready, root = tmp_path / "ready", spool.folder.path.parent
    context = multiprocessing.get_context("fork")
    gateway = context.Process(target=_record_and_hang, args=(root, ready, cut))
    gateway.start()
    while not ready.exists():
        gateway.join(0.01)
        assert gateway.is_alive()
    cut.unlink()
    spool.finish()
    assert spooled_adopt() == 0  # it lives
    assert gateway.pid is not None
    os.kill(gateway.pid, signal.SIGKILL)
    gateway.join()
    assert spooled_adopt() == 1
    recording = Recording.objects.get()
    assert (recording.status, recording.is_partial) == (Recording.Status.READY, True)
    assert recording.duration_s == pytest.approx(3.0, abs=0.1)
    assert (levels(sound_of(recording)) > 5_000).all()
    # Nothing is left of it, and nothing is left to do.
    assert [path.name for path in root.iterdir()] == [spool.folder.path.name]
    assert spooled_adopt() == 0


def test_a_call_that_was_resumed_is_one_recording_with_silence_in_its_gap(spool: Spool) -> None:
    first = spool.stream(sid="MZ1", seconds=2.0, cut=True)
    second = spool.stream(sid="MZ2", after_s=5.0, seconds=1.0)
    # They may come from two machines, and in any order.
    spooled_store(second)
    spool.finish(sid="MZ2", at=timezone.now())
    assert recordings_settle() == 0
    assert Recording.objects.get().status == Recording.Status.PROCESSING
    spooled_store(first)
    recording = Recording.objects.get()
    assert (recording.status, recording.parts) == (Recording.Status.READY, 2)
    assert recording.is_partial
    assert recording.duration_s == pytest.approx(6.0, abs=0.03)
    loud = levels(sound_of(recording)) > 5_000
    assert loud[:19].all()
    assert not loud[20:50].any()
    assert loud[51:].all()


def test_a_stream_that_never_comes_is_not_waited_for_for_ever(spool: Spool) -> None:
    spool.stream(sid="MZ1")
    second = spool.stream(sid="MZ2", after_s=5.0)
    spooled_store(second)
    call = spool.finish(sid="MZ2")
    recording = Recording.objects.get()
    assert recording_settle(call, BEGAN + timedelta(minutes=5)) is False
    assert recording_settle(call, BEGAN + timedelta(minutes=20)) is True
    recording.refresh_from_db()
    assert (recording.status, recording.is_partial) == (Recording.Status.READY, True)
    # And if it comes all the same, it takes its place.
    spooled_store(spool.folder.path / next(p.name for p in spool.folder.files()))
    recording.refresh_from_db()
    assert recording.parts == 2
    assert recording.duration_s == pytest.approx(7.0, abs=0.03)


def test_a_recording_of_which_nothing_comes_is_given_up_after_a_day(spool: Spool) -> None:
    spool.stream()
    call = spool.finish()
    assert recording_settle(call, BEGAN + timedelta(hours=23)) is False
    assert recording_settle(call, BEGAN + timedelta(hours=25)) is True
    assert Recording.objects.get().status == Recording.Status.FAILED


def test_storing_it_twice_changes_nothing(spool: Spool) -> None:
    path = spool.stream()
    spool.finish()
    again = path.read_bytes()
    spooled_store(path)
    before = Recording.objects.values().get()
    path.write_bytes(again)
    spooled_store(path)
    assert Recording.objects.values().get() == before
    assert stored_files(spool) == ["MZ1.wav"]
    assert RecordingSegment.objects.count() == 1


def test_a_stream_that_comes_before_its_call_waits_for_it(spool: Spool) -> None:
    path = spool.stream()
    said = path.read_bytes()
    strange = uuid.uuid4()
    path.write_bytes(
        said.replace(str(spool.finish()).encode(), str(strange).encode()).replace(
            b"2026-01-31T12:00:00", timezone.now().isoformat()[:19].encode()
        )
    )
    assert not spooled_store(path)
    assert path.exists()


def test_a_file_without_a_label_is_thrown_away(spool: Spool) -> None:
    path = spool.folder.path / "x.log"
    path.write_bytes(b'{"call_id": "half')
    assert spooled_store(path)
    assert not path.exists()


def test_a_storage_that_fails_is_tried_again(
    spool: Spool, settings: Settings, tmp_path: Path
) -> None:
    path = spool.stream()
    spool.finish()
    (tmp_path / "stored").write_text("no folder")
    with pytest.raises(OSError):
        spooled_store(path)
    (tmp_path / "stored").unlink()
    assert spooled_store(path)
    assert Recording.objects.get().status == Recording.Status.READY


def test_its_readiness_is_told_once(spool: Spool) -> None:
    Endpoint.objects.create(account=spool.config.account, url="https://hooks.example.com/")
    path = spool.stream()
    call = spool.finish()
    spooled_store(path)
    recording_settle(call)
    event = Event.objects.get(kind="call.recording_ready")
    recording = Recording.objects.get()
    assert event.data["recording"] == f"/calls/{call}/recording"
    assert event.data["bytes"] == recording.bytes


def test_old_recordings_are_erased(spool: Spool, settings: Settings) -> None:
    spooled_store(spool.stream(sid="MZ1", call_sid="CA1"))
    spool.finish(sid="MZ1", call_sid="CA1")
    recordings_settle()
    now = timezone.now() + timedelta(days=31)
    assert recordings_expire(now) == 0
    settings.RECORDINGS_KEEP_DAYS = 30
    assert recordings_expire(timezone.now() + timedelta(days=29)) == 0
    assert recordings_expire(now) == 1
    assert Recording.objects.get().status == Recording.Status.DELETED
    assert stored_files(spool) == []


def test_what_could_not_be_removed_is_removed_later(spool: Spool) -> None:
    spooled_store(spool.stream())
    spool.finish()
    recordings_settle()
    Recording.objects.update(status=Recording.Status.DELETED)
    assert recordings_remove() == 1
    assert stored_files(spool) == []
    assert recordings_remove() == 0


def test_nobody_but_their_owner_reads_the_files(spool: Spool) -> None:
    path = spool.stream()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    spooled_store(path)
    stored = next((spool.folder.path.parent.parent / "stored").rglob("*.wav"))
    assert stored.stat().st_mode & 0o077 == 0
    assert stored.parent.stat().st_mode & 0o077 == 0
    with pytest.raises(ValueError, match="API alone"):
        recordings_storage().url("x.wav")  # type: ignore[attr-defined]
