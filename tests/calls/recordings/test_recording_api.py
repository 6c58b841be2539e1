"""GET and DELETE /calls/{id}/recording."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry
from apps.accounts.services import api_key_create
from apps.calls.models import Recording
from apps.calls.recordings.services import spooled_store
from apps.core.ranges import NotSatisfiable, Span, span_asked
from botsconfig.asgi import application
from tests.calls.recordings.conftest import Spool
from tests.conftest import ApiFor


@pytest.fixture
def call(spool: Spool) -> uuid.UUID:
    """A call of ours whose recording is ready."""
    path = spool.stream(seconds=2.0)
    found = spool.finish()
    spooled_store(path)
    return found


def whole_of(api: APIClient, call: uuid.UUID) -> bytes:
    return api.get(f"/calls/{call}/recording").getvalue()


def test_it_is_a_wav_file_that_says_what_it_is(
    api: APIClient, call: uuid.UUID, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(3):  # the key, its last use, the recording
        answer = api.get(f"/calls/{call}/recording")
    sound = answer.getvalue()
    assert answer.status_code == 200
    assert answer["Content-Type"] == "audio/wav"
    assert answer["Accept-Ranges"] == "bytes"
    assert int(answer["Content-Length"]) == len(sound)
    assert answer["Content-Disposition"] == ('inline; filename="call-20260131T120000Z-CA1.wav"')
    assert "private" in answer["Cache-Control"]
    assert sound[:4] == b"RIFF"


@pytest.mark.parametrize("accept", ["audio/wav", "audio/*", "*/*", "application/json"])
def test_whoever_may_listen_may_ask_in_any_way(
    api: APIClient, call: uuid.UUID, accept: str
) -> None:
    assert api.get(f"/calls/{call}/recording", headers={"accept": accept}).status_code == 200


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-99", 0, 99), ("bytes=100-", 100, None), ("bytes=-50", -50, None)],
)
def test_a_part_is_answered_as_a_part(
    api: APIClient, call: uuid.UUID, asked: str, first: int, last: int | None
) -> None:
    whole = whole_of(api, call)
    answer = api.get(f"/calls/{call}/recording", headers={"range": asked})
    assert answer.status_code == 206
    expected = whole[first:] if last is None else whole[first : last + 1]
    assert answer.getvalue() == expected
    start = first % len(whole)
    assert answer["Content-Range"] == (f"bytes {start}-{start + len(expected) - 1}/{len(whole)}")


def test_a_part_that_is_not_there_is_a_416_that_says_how_long_it_is(
    api: APIClient, call: uuid.UUID
) -> None:
    size = len(whole_of(api, call))
    answer = api.get(f"/calls/{call}/recording", headers={"range": f"bytes={size}-"})
    assert answer.status_code == 416
    assert answer["Content-Range"] == f"bytes */{size}"
    assert answer.json()["error"] == "range-not-satisfiable-error"


def test_a_part_of_what_has_changed_is_answered_whole(api: APIClient, call: uuid.UUID) -> None:
    tag = api.head(f"/calls/{call}/recording")["ETag"]
    asked = {"range": "bytes=10-19"}
    path = f"/calls/{call}/recording"
    assert api.get(path, headers={**asked, "if-range": tag}).status_code == 206
    assert api.get(path, headers={**asked, "if-range": '"older"'}).status_code == 200


def test_who_has_it_already_is_told_so(api: APIClient, call: uuid.UUID) -> None:
    tag = api.head(f"/calls/{call}/recording")["ETag"]
    answer = api.get(f"/calls/{call}/recording", headers={"if-none-match": tag})
    assert (answer.status_code, answer.content) == (304, b"")


def test_head_says_the_same_and_reads_nothing(api: APIClient, call: uuid.UUID) -> None:
    whole = api.get(f"/calls/{call}/recording")
    head = api.head(f"/calls/{call}/recording")
    assert head.content == b""
    for name in ("Content-Type", "Content-Length", "ETag", "Accept-Ranges"):
        assert head[name] == whole[name]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", Span(0, 1)),
        ("bytes=5-1000", Span(5, 95)),
        ("bytes=-1000", Span(0, 100)),
        ("bytes=3-2", None),
        ("bytes=0-1,5-6", None),
        ("lines=1-2", None),
        ("bytes=-", None),
        ("", None),
    ],
)
def test_ranges_are_read_as_http_has_them(header: str, expected: Span | None) -> None:
    assert span_asked(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0", "bytes=999-1000"])
def test_ranges_outside_are_refused(header: str) -> None:
    with pytest.raises(NotSatisfiable):
        span_asked(header, 100)


def test_a_call_that_is_still_recorded_is_a_409_that_says_when_to_ask_again(
    api: APIClient, spool: Spool
) -> None:
    spool.stream()
    call = Recording.objects.get().call_id
    answer = api.get(f"/calls/{call}/recording")
    assert answer.status_code == 409
    assert int(answer["Retry-After"]) > 0
    assert "still being recorded" in answer.json()["info"]
    shown = api.get(f"/calls/{call}").json()["recording"]
    assert (shown["status"], shown["bytes"]) == ("recording", None)


def test_a_call_without_a_recording_has_none(api: APIClient, spool: Spool, call: uuid.UUID) -> None:
    Recording.objects.all().delete()
    answer = api.get(f"/calls/{call}/recording")
    assert answer.status_code == 404
    assert "no recording" in answer.json()["info"]
    assert api.get(f"/calls/{call}").json()["recording"] is None


def test_a_call_shows_its_recording(api: APIClient, call: uuid.UUID) -> None:
    shown = api.get(f"/calls/{call}").json()["recording"]
    assert shown["status"] == "ready"
    assert shown["duration_s"] == pytest.approx(2.0, abs=0.03)
    assert shown["url"] == f"/calls/{call}/recording"
    assert shown["is_partial"] is False


def test_it_is_erased_for_good(
    api: APIClient, call: uuid.UUID, account: Account, tmp_path: Path
) -> None:
    assert list((tmp_path / "stored").rglob("*.wav"))
    assert api.delete(f"/calls/{call}/recording").status_code == 204
    assert not list((tmp_path / "stored").rglob("*.wav"))
    gone = api.get(f"/calls/{call}/recording")
    assert gone.status_code == 404
    assert "erased" in gone.json()["info"]
    assert api.delete(f"/calls/{call}/recording").status_code == 404
    entry = AuditEntry.objects.get(account=account, action="recording.erase")
    assert entry.target_id == str(call)


def test_one_that_is_erased_while_it_is_made_is_not_stored(
    api: APIClient, spool: Spool, tmp_path: Path
) -> None:
    path = spool.stream()
    call = Recording.objects.get().call_id
    assert api.delete(f"/calls/{call}/recording").status_code == 204
    spool.finish()
    assert spooled_store(path)
    assert not path.exists()
    assert not list(tmp_path.rglob("*.wav"))


def test_another_accounts_recording_does_not_exist(
    api_for: ApiFor, stranger: Account, call: uuid.UUID
) -> None:
    theirs = api_for(stranger)
    assert theirs.get(f"/calls/{call}/recording").status_code == 404
    assert theirs.delete(f"/calls/{call}/recording").status_code == 404
    assert Recording.objects.get().status == Recording.Status.READY


@pytest.mark.django_db(transaction=True)
def test_an_event_loop_streams_it_in_pieces(
    spool: Spool, api_for: ApiFor, account: Account
) -> None:
    path = spool.stream(seconds=20.0)
    call = spool.finish()
    spooled_store(path)
    size = Recording.objects.get().bytes
    _, secret = api_key_create(account=account, actor=Actor(), scopes=("calls:read",))
    untyped: Any = ApplicationCommunicator
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/calls/{call}/recording",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {secret}".encode()), (b"host", b"testserver")],
    }

    async def ask() -> list[bytes]:
        asked = untyped(application, scope)
        await asked.send_input({"type": "http.request", "body": b"", "more_body": False})
        assert (await asked.receive_output(3))["status"] == 200
        pieces = []
        while (event := await asked.receive_output(3)).get("more_body"):
            pieces.append(event["body"])
        await asked.wait()
        return pieces

    pieces = async_to_sync(ask)()
    assert sum(map(len, pieces)) == size
    assert max(map(len, pieces)) <= 256 * 1024 < size
