"""What a recording looks like: read once from its sound, and forgotten with it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from apps.calls.models import Recording, RecordingSegment
from apps.calls.recordings.files import recordings_storage
from apps.calls.recordings.peaks import COLUMNS, Peaks, peaks_read, recording_peaks
from apps.calls.recordings.services import spooled_store
from apps.voice.stereo import HEADER_BYTES, wav_header
from tests.calls.recordings.conftest import Spool


def stored(both: Any) -> tuple[str, int]:
    """Store samples of two channels; returns the file's name and size."""
    sound = wav_header(len(both)) + both.astype("<i2").tobytes()
    return recordings_storage().save("known.wav", io.BytesIO(sound)), len(sound)


def test_each_column_is_the_loudest_sample_of_its_channel(spool: Spool) -> None:
    both = np.zeros((COLUMNS * 10, 2))
    both[15, 0], both[25, 1] = 16_384, -32_768
    both[COLUMNS * 10 - 1] = (-8_192, 8_192)
    found = peaks_read(recordings_storage(), *stored(both))
    assert (len(found.caller), len(found.bot)) == (COLUMNS, COLUMNS)
    assert (found.caller[:3], found.bot[:3]) == (b"\x00\x80\x00", b"\x00\x00\xff")
    assert (found.caller[-1], found.bot[-1]) == (64, 64)


@pytest.mark.parametrize("samples", [1, 7, COLUMNS, COLUMNS + 1, 100_003])
def test_no_recording_is_too_short_nor_of_the_wrong_length(spool: Spool, samples: int) -> None:
    found = peaks_read(recordings_storage(), *stored(np.full((samples, 2), 1_285)))
    assert 1 <= len(found.caller) <= COLUMNS
    assert set(found.caller) == set(found.bot) == {10}


def test_a_recording_of_nothing_has_no_columns(spool: Spool) -> None:
    assert peaks_read(recordings_storage(), "not there", HEADER_BYTES) == Peaks(b"", b"")


def test_they_are_read_once(
    spool: Spool, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    path = spool.stream(seconds=2.0)
    spool.finish()
    spooled_store(path)
    first = recording_peaks(Recording.objects.get())
    assert min(first.caller) > 0 and max(first.bot) == 0
    again = Recording.objects.get()
    recordings_storage().delete(again.path)
    with django_assert_num_queries(0):
        assert recording_peaks(again) == first


def test_they_are_forgotten_with_the_sound(spool: Spool, api: APIClient) -> None:
    path = spool.stream(seconds=1.0)
    call = spool.finish()
    spooled_store(path)
    late = Recording.objects.get()
    recording_peaks(late)
    api.delete(f"/calls/{call}/recording")
    assert Recording.objects.get().peaks is None
    Recording.objects.update(path=late.path)
    late.peaks = None
    with pytest.raises(OSError):
        recording_peaks(late)
    assert Recording.objects.get().peaks is None


def test_a_part_that_came_late_is_looked_at(spool: Spool) -> None:
    spooled_store(spool.stream(sid="MZ1", seconds=1.0))
    late = spool.stream(sid="MZ2", after_s=3.0, seconds=1.0)
    spool.finish(sid="MZ2")
    Recording.objects.update(peaks=b"\x01\x01")
    spooled_store(late)
    found = recording_peaks(Recording.objects.get())
    assert len(found.caller) > 1 and 0 in found.caller


def test_a_stream_begins_where_its_first_sample_lies(spool: Spool) -> None:
    path = spool.stream(seconds=2.0, early_s=0.4)
    spool.finish()
    spooled_store(path)
    segment, recording = RecordingSegment.objects.get(), Recording.objects.get()
    label_at = segment.recording.call.started_at
    assert (label_at - segment.started_at).total_seconds() == pytest.approx(0.4, abs=0.03)
    assert recording.started_at == segment.started_at
    assert recording.duration_s == pytest.approx(2.4, abs=0.05)
