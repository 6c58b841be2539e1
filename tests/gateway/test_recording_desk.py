"""What the audio path hands over: a disk or a storage that stands still holds up nobody."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from apps.calls.entries import Entry, Happened, RecordingBegan, RecordingDropped
from apps.calls.recordings import spool
from apps.calls.recordings.spool import Label, spooled
from apps.gateway.recordings import RecordingDesk, StreamRecording
from apps.simulator.clock import VirtualClock
from apps.voice import g711
from apps.voice.stereo import tracks_of

FRAME = g711.SILENCE * 160


class Storage:
    """Takes files, or fails so often first."""

    def __init__(self) -> None:
        self.taken: list[tuple[Label, bytes]] = []
        self.failures = 0
        self.slow: threading.Event | None = None

    def store(self, path: Path) -> bool:
        if self.slow is not None:
            self.slow.wait(10)
        if self.failures:
            self.failures -= 1
            raise OSError("no room")
        with spooled(path) as (label, log):
            self.taken.append((label, bytes(log)))
        path.unlink()
        return True


class Notebook:
    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def record(self, entry: Entry) -> None:
        self.entries.append(entry)


@pytest.fixture
def storage() -> Storage:
    return Storage()


@pytest.fixture
def desk_of(tmp_path: Path, storage: Storage) -> Any:
    def make(**more: Any) -> RecordingDesk:
        return RecordingDesk(
            tmp_path / "spool",
            store=storage.store,
            look_after=lambda: 0,
            **more,
        )

    return make


@pytest.fixture
async def desk(desk_of: Any) -> AsyncIterator[RecordingDesk]:
    made: RecordingDesk = desk_of()
    yield made
    await made.aclose()


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def label(sid: str = "MZ1") -> Label:
    return Label(uuid.uuid4(), uuid.uuid4(), sid, datetime(2026, 1, 31, tzinfo=UTC))


def talk(recording: StreamRecording, clock: VirtualClock, seconds: float) -> None:
    for number in range(int(seconds * 50)):
        clock.advance(0.02)
        recording.recorder.caller(FRAME, number * 20)


def recorded(desk: RecordingDesk, notes: Any, clock: VirtualClock, sid: str = "MZ1") -> Any:
    return StreamRecording(label(sid), desk=desk, journal=notes, clock=clock)


async def test_what_is_handed_over_is_stored_when_the_stream_is_over(
    desk: RecordingDesk, storage: Storage
) -> None:
    clock, notes = VirtualClock(), Notebook()
    recording = recorded(desk, notes, clock)
    talk(recording, clock, 3.0)
    assert storage.taken == []
    recording.close(keep=True)
    await desk.aclose()
    ((found, log),) = storage.taken
    assert found.stream_sid == "MZ1"
    tracks = tracks_of(log)
    assert (tracks.samples, tracks.complete) == (24_000, True)
    assert [type(entry) for entry in notes.entries] == [RecordingBegan]


async def test_a_stalled_disk_holds_up_no_call(
    desk_of: Any, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    write = os.write

    def stalled(file: int, data: bytes) -> int:
        if threading.current_thread().name == "spool":
            gate.wait(10)
        return write(file, data)

    monkeypatch.setattr(os, "write", stalled)
    desk: RecordingDesk = desk_of(room=30_000)
    clock, notes = VirtualClock(), Notebook()
    recording = recorded(desk, notes, clock)
    began = asyncio.get_running_loop().time()
    talk(recording, clock, 10.0)
    recording.close(keep=True)
    assert asyncio.get_running_loop().time() - began < 1.0
    gate.set()
    await desk.aclose()
    (lost,) = [entry for entry in notes.entries if isinstance(entry, Happened)]
    assert lost.kind == "recording.lost"
    assert lost.data["seconds"] > 5
    ((_, log),) = storage.taken
    tracks = tracks_of(log)
    # Its end says how long it was; what lacks is silence, and it says that something lacks.
    assert not tracks.complete


async def test_a_full_disk_costs_its_pieces_and_no_more(
    desk: RecordingDesk, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, write = [0], os.write

    def full(file: int, data: bytes) -> int:
        writes[0] += threading.current_thread().name == "spool"
        if writes[0] in (3, 4):
            # Half of it fits, as it is with full disks.
            if writes[0] == 4:
                raise OSError(28, "No space left on device")
            return write(file, data[: len(data) // 2])
        return write(file, data)

    monkeypatch.setattr(os, "write", full)
    clock, notes = VirtualClock(), Notebook()
    recording = recorded(desk, notes, clock)
    talk(recording, clock, 5.0)
    recording.close(keep=True)
    await desk.aclose()
    ((_, log),) = storage.taken
    tracks = tracks_of(log)
    assert tracks.samples == 40_000
    assert not tracks.complete
    assert sum(one.kept for one in tracks.caller) == pytest.approx(32_000, abs=400)


async def test_what_is_not_to_be_kept_leaves_no_file(
    desk: RecordingDesk, storage: Storage, tmp_path: Path
) -> None:
    clock, notes = VirtualClock(), Notebook()
    recording = recorded(desk, notes, clock)
    talk(recording, clock, 3.0)
    recording.close(keep=False)
    await desk.aclose()
    assert storage.taken == []
    assert left_in(tmp_path) == []
    assert isinstance(notes.entries[-1], RecordingDropped)


async def test_a_storage_that_fails_is_tried_again(desk: RecordingDesk, storage: Storage) -> None:
    storage.failures = 1
    clock = VirtualClock()
    recording = recorded(desk, Notebook(), clock)
    talk(recording, clock, 1.0)
    recording.close(keep=True)
    await desk.aclose()  # its last deed is another try
    assert len(storage.taken) == 1


async def test_what_cannot_be_stored_stays_for_the_next_start(
    desk: RecordingDesk, storage: Storage, tmp_path: Path
) -> None:
    storage.failures = 99
    clock = VirtualClock()
    recording = recorded(desk, Notebook(), clock)
    talk(recording, clock, 1.0)
    recording.close(keep=True)
    await desk.aclose()
    (folder,) = spool.folders_left(tmp_path / "spool")
    assert [path.suffix for path in folder.files()] == [".log"]
    folder.close()


async def test_a_slow_storage_holds_up_no_disk(
    desk: RecordingDesk, storage: Storage, tmp_path: Path
) -> None:
    storage.slow = threading.Event()
    clock, notes = VirtualClock(), Notebook()
    first = recorded(desk, notes, clock, "MZ1")
    talk(first, clock, 1.0)
    first.close(keep=True)
    second = recorded(desk, notes, clock, "MZ2")
    talk(second, clock, 5.0)
    async with asyncio.timeout(5):
        while desk._spool.done < desk._taken:  # noqa: ASYNC110 - a thread does it
            await asyncio.sleep(0.01)
    storage.slow.set()
    second.close(keep=True)
    await desk.aclose()
    assert [found.stream_sid for found, _ in storage.taken] == ["MZ1", "MZ2"]
