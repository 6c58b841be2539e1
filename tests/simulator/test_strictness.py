"""Every way in which a server can offend Twilio, one by one."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from apps.simulator.strictness import Clear, Inspector, Label, Play, header_of
from apps.telephony import streams
from tests.simulator.conftest import STREAM, tone

SID = STREAM.stream_sid


@pytest.fixture
def inspector() -> Inspector:
    found = Inspector(SID, now=lambda: 1.5)
    found.started = True
    return found


def frame(**fields: Any) -> str:
    return json.dumps({"event": "media", "streamSid": SID, "media": {"payload": "/w=="}} | fields)


def only_reason(inspector: Inspector) -> tuple[str, str]:
    (finding,) = inspector.findings()
    return finding.code, finding.reason


def test_it_takes_what_our_own_writers_write(inspector: Inspector) -> None:
    assert inspector.read(streams.media(SID, b"\x7f" * 160)) == Play(b"\x7f" * 160)
    assert inspector.read(streams.mark(SID, "t1:3")) == Label("t1:3")
    assert inspector.read(streams.clear(SID)) == Clear()
    assert inspector.findings() == []


def test_a_binary_frame_is_a_31950(inspector: Inspector) -> None:
    assert inspector.read(frame().encode()) is None
    assert only_reason(inspector)[0] == "31950"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello", "not JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "unknown event"),
        (frame(event="stop"), "unknown event"),
        (frame(event=7), "unknown event"),
        (frame(streamSid="MZ" + "0" * 32), "wrong streamSid"),
        (frame(track="outbound"), "extra field in media message"),
        (frame(media={"payload": "/w==", "track": "outbound"}), "extra field in media"),
        (frame(media={}), "missing field in media"),
        (frame(media="/w=="), "media is not an object"),
        (frame(media={"payload": 5}), "payload is not a string"),
        (frame(media={"payload": "no base64!"}), "payload is not base64"),
        (frame(media={"payload": "é"}), "payload is not base64"),
        (json.dumps({"event": "media", "stream_sid": SID}), "missing streamSid"),
        (json.dumps({"event": "media", "streamSid": SID}), "missing field in media message"),
        (json.dumps({"event": "mark", "streamSid": SID, "mark": {}}), "missing field in mark"),
        (
            json.dumps({"event": "mark", "streamSid": SID, "mark": {"name": ""}}),
            "mark without a name",
        ),
        (
            json.dumps({"event": "clear", "streamSid": SID, "reason": "x"}),
            "extra field in clear message",
        ),
    ],
)
def test_it_refuses_with_a_31951(inspector: Inspector, text: str, reason: str) -> None:
    assert inspector.read(text) is None
    assert only_reason(inspector) == ("31951", reason)


def test_it_refuses_what_comes_before_start() -> None:
    early = Inspector(SID, now=lambda: 0.0)
    assert early.read(frame()) is None
    assert only_reason(early) == ("31951", "sent before start")


def test_it_warns_once_and_counts_all(inspector: Inspector) -> None:
    for _ in range(3):
        inspector.read("hello")
    inspector.read(b"")
    assert inspector.warnings() == ["31950", "31951"]
    assert [finding.count for finding in inspector.findings()] == [3, 1]
    assert inspector.findings()[0].at_s == 1.5


def test_it_does_not_repeat_what_was_in_the_frame(inspector: Inspector) -> None:
    inspector.read(frame(secret="swordfish"))
    inspector.read('{"event": "swordfish"}')
    assert "swordfish" not in repr(inspector.findings())


MP3 = (b"\xff\xfb\x90\x00" + b"\x55" * 413) * 2  # MPEG-1 layer III, 128 kbit/s, 44.1 kHz


@pytest.mark.parametrize(
    "head",
    [b"RIFF\x24\x00\x00\x00WAVE", b"ID3\x04\x00", MP3, b'{"error": "quota"}'],
    ids=["wav", "id3", "mp3", "json"],
)
def test_it_sees_a_file_where_raw_audio_belongs(inspector: Inspector, head: bytes) -> None:
    payload = base64.b64encode(head).decode()
    assert inspector.read(frame(media={"payload": payload})) == Play(head)
    assert only_reason(inspector)[0] == "header-in-payload"
    assert inspector.warnings() == []


def test_it_does_not_take_quiet_speech_for_an_mp3() -> None:
    assert header_of(b"\xff\xfb\x7b\xf8" + b"\xff\xfb" * 400) == ""
    assert header_of(struct.pack("B", 0xFF) * 160) == ""
    assert header_of(tone(100)) == ""


def test_a_payload_without_audio_is_noted(inspector: Inspector) -> None:
    inspector.read(frame(media={"payload": ""}))
    assert only_reason(inspector)[0] == "empty-payload"
