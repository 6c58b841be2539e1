"""Calls that were recorded, spooled as a gateway spools them."""

from __future__ import annotations

import io
import uuid
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pytest_django import Settings

from apps.bots.models import TwilioConfig
from apps.calls.entries import CallBegan, CallFinished, RecordingBegan
from apps.calls.models import call_id
from apps.calls.recordings.spool import Folder, Label, folder_make
from apps.calls.services import entries_write
from apps.simulator.clock import VirtualClock
from apps.voice import g711
from apps.voice.recording import Recorder
from tests.support.s3 import BUCKET, KEY_ID, REGION, S3, SECRET, Bucket

BEGAN = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
LOUD = g711.encode_float(np.full(160, 0.25))


@dataclass
class Spool:
    """The folder of a gateway, and the calls that it holds."""

    folder: Folder
    config: TwilioConfig

    def stream(
        self,
        *,
        sid: str = "MZ1",
        call_sid: str = "CA1",
        after_s: float = 0.0,
        seconds: float = 2.0,
        **log: Any,
    ) -> Path:
        """Record a stream in which the caller is loud from beginning to end.

        log: cut, if its gateway died before it was over; early_s, of the caller's sound that came
        before the stream was let in.
        """
        label = Label(
            self.config.account_id,
            call_id(account_id=self.config.account_id, call_sid=call_sid),
            sid,
            BEGAN + timedelta(seconds=after_s),
        )
        self.begin(label, call_sid)
        written = _log(seconds, **log)
        size = self.folder.append(label.name, label.line(), at=0)
        self.folder.append(label.name, written, at=size)
        return self.folder.path / label.name

    def begin(self, label: Label, call_sid: str = "CA1") -> None:
        """Write down that a call began, and its recording."""
        assert self.config.current is not None
        entries_write(
            [
                CallBegan(
                    label.call_id,
                    str(self.config.account_id),
                    str(self.config.id),
                    self.config.current.id,
                    call_sid,
                    label.stream_sid,
                    label.started_at,
                ),
                RecordingBegan(label.call_id, label.stream_sid, label.started_at),
            ]
        )

    def finish(
        self, *, sid: str = "MZ1", call_sid: str = "CA1", at: datetime | None = None
    ) -> uuid.UUID:
        """End the call; returns its id."""
        call = call_id(account_id=self.config.account_id, call_sid=call_sid)
        ended = at or BEGAN + timedelta(seconds=60)
        entries_write([CallFinished(call, sid, ended, "caller_hung_up")])
        return call


def _log(seconds: float, *, cut: bool = False, early_s: float = 0.0) -> bytes:
    clock, log = VirtualClock(), bytearray()

    def take(piece: bytes) -> bool:
        log.extend(piece)
        return True

    recorder = Recorder(clock, take)
    early = int(early_s * 50)
    for number in range(early + int(seconds * 50)):
        clock.advance(0.02 if number >= early else 0.0)
        recorder.caller(LOUD, number * 20)
    recorder.close()
    # What a dying gateway wrote last may be half a record.
    return bytes(log)[:-100] if cut else bytes(log)


@pytest.fixture
def spool(tmp_path: Path, settings: Settings, config: TwilioConfig) -> Iterator[Spool]:
    """A live gateway's spool; recordings go to a folder of this test's own."""
    settings.RECORDINGS_SPOOL = str(tmp_path / "spool")
    settings.STORAGES = {
        **settings.STORAGES,
        "recordings": {
            "BACKEND": "apps.calls.recordings.files.RecordingsFolder",
            "OPTIONS": {"location": str(tmp_path / "stored")},
        },
    }
    folder = folder_make(tmp_path / "spool")
    yield Spool(folder, config)
    folder.close()


@pytest.fixture
def s3(spool: Spool, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Have recordings go to S3 instead, by the client that really speaks to it."""
    for name, value in {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}.items():
        monkeypatch.setenv(name, value)
    with S3() as bucket:
        settings.STORAGES = {
            **settings.STORAGES,
            "recordings": {
                "BACKEND": "apps.calls.recordings.bucket.RecordingsBucket",
                "OPTIONS": {
                    "bucket_name": BUCKET,
                    "location": "calls",
                    "endpoint_url": bucket.url,
                    "region_name": REGION,
                },
            },
        }
        yield bucket


def levels(sound: bytes) -> npt.NDArray[Any]:
    """Return the loudness of the caller's channel in each 0.1 s: 0 is silence."""
    with wave.open(io.BytesIO(sound)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8_000)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    whole = samples[: len(samples) // 800 * 800, 0]
    found: npt.NDArray[Any] = np.abs(whole).reshape(-1, 800).mean(axis=1)
    return found
