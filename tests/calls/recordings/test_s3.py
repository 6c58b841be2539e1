"""Recordings in S3: the real client against a stand-in that checks what S3 checks."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from apps.calls.models import Recording
from apps.calls.recordings.services import spooled_store
from tests.calls.recordings.conftest import Spool, levels
from tests.support.s3 import Bucket


def test_a_recording_lies_in_the_bucket_and_its_parts_are_asked_for_there(
    spool: Spool, s3: Bucket, api: APIClient
) -> None:
    path = spool.stream(seconds=3.0)
    call = spool.finish()
    assert spooled_store(path)
    recording = Recording.objects.get()
    key = f"calls/{spool.config.account_id}/2026/01/{call}/MZ1.wav"
    assert list(s3.objects) == [key]
    assert len(s3.objects[key]) == recording.bytes
    assert (levels(s3.objects[key]) > 5_000).all()
    s3.asked.clear()
    answer = api.get(f"/calls/{call}/recording", headers={"range": "bytes=1000-1999"})
    assert answer.status_code == 206
    assert answer.getvalue() == s3.objects[key][1_000:2_000]
    assert s3.asked == [("GET", key, "bytes=1000-1999")]
    whole = api.get(f"/calls/{call}/recording")
    assert whole.getvalue() == s3.objects[key]


def test_a_large_recording_goes_up_in_parts(spool: Spool, s3: Bucket) -> None:
    path = spool.stream(seconds=600.0)
    spool.finish()
    assert spooled_store(path)
    (whole,) = s3.objects.values()
    assert len(whole) == Recording.objects.get().bytes
    assert {method for method, _, _ in s3.asked} == {"POST", "PUT"}


def test_a_resumed_call_is_put_together_from_the_bucket(spool: Spool, s3: Bucket) -> None:
    spooled_store(spool.stream(sid="MZ1", seconds=1.0))
    path = spool.stream(sid="MZ2", after_s=3.0, seconds=1.0)
    spool.finish(sid="MZ2")
    spooled_store(path)
    recording = Recording.objects.get()
    loud = levels(s3.objects[f"calls/{recording.path}"]) > 5_000
    assert loud[:9].all() and not loud[11:29].any() and loud[31:].all()


def test_it_is_erased_there(spool: Spool, s3: Bucket, api: APIClient) -> None:
    path = spool.stream()
    call = spool.finish()
    spooled_store(path)
    assert api.delete(f"/calls/{call}/recording").status_code == 204
    assert s3.objects == {}


def test_a_bucket_that_is_away_is_a_503_and_the_spool_keeps_what_it_has(
    spool: Spool, s3: Bucket, api: APIClient
) -> None:
    first = spool.stream()
    call = spool.finish()
    spooled_store(first)
    s3.locked = True
    answer = api.get(f"/calls/{call}/recording")
    assert answer.status_code == 503
    assert answer.json()["error"] == "unavailable-error"
    second = spool.stream(sid="MZ2", after_s=5.0)
    with pytest.raises(Exception, match="AccessDenied"):
        spooled_store(second)
    assert second.exists()
