"""Media-stream messages: tolerant inward, exact outward, silent about what they carried."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.telephony import streams
from apps.telephony.streams import StreamMessageError

SID = "MZ" + "0a" * 16
START: dict[str, Any] = {
    "event": "start",
    "sequenceNumber": "1",
    "streamSid": SID,
    "start": {
        "streamSid": SID,
        "accountSid": "AC" + "1" * 32,
        "callSid": "CA" + "2" * 32,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"FirstName": "Jane"},
    },
}


def media(**fields: Any) -> str:
    body = {"track": "inbound", "chunk": "2", "timestamp": "5", "payload": "AAH/"} | fields
    return json.dumps({"event": "media", "sequenceNumber": "4", "streamSid": SID, "media": body})


def start(**fields: Any) -> str:
    return json.dumps(START | {"start": START["start"] | fields})


def test_it_reads_a_start() -> None:
    assert streams.parse(json.dumps(START)) == streams.Started(
        stream_sid=SID,
        call_sid="CA" + "2" * 32,
        account_sid="AC" + "1" * 32,
        encoding="audio/x-mulaw",
        sample_rate=8_000,
        channels=1,
        parameters={"FirstName": "Jane"},
    )


def test_it_reads_the_small_messages() -> None:
    read = streams.parse
    assert read('{"event":"connected","protocol":"Call","version":"1.0.0"}') == streams.Connected(
        "Call", "1.0.0"
    )
    assert read('{"event":"mark","streamSid":"MZ1","mark":{"name":"a"}}') == streams.Mark("a")
    assert read('{"event":"dtmf","dtmf":{"track":"inbound_track","digit":"#"}}') == streams.Dtmf(
        "#"
    )
    assert read('{"event":"stop","stop":{"callSid":"CA1"}}') == streams.Stopped("CA1")
    assert read('{"event":"stop"}') == streams.Stopped("")


@pytest.mark.parametrize(("chunk", "timestamp"), [("2", "5"), (2, 5)])
def test_it_takes_numbers_as_strings_and_as_numbers(chunk: object, timestamp: object) -> None:
    found = streams.parse(media(chunk=chunk, timestamp=timestamp))
    assert found == streams.Media(b"\x00\x01\xff", chunk=2, timestamp_ms=5)


@pytest.mark.parametrize("length", [0, 1, 160, 161, 3_200])
def test_it_takes_frames_of_any_length(length: int) -> None:
    audio = b"\x7f" * length
    found = streams.parse(media(payload=base64.b64encode(audio).decode()))
    assert isinstance(found, streams.Media)
    assert found.payload == audio


def test_it_takes_bytes_and_fields_it_does_not_know() -> None:
    assert streams.parse(media(codec="new").encode()) == streams.parse(media())


def test_an_unknown_event_is_nothing() -> None:
    assert streams.parse('{"event":"hold","streamSid":"MZ1"}') is None


def test_a_start_without_format_and_parameters_is_what_twilio_promises() -> None:
    found = streams.parse(start(mediaFormat=None, customParameters=None))
    assert isinstance(found, streams.Started)
    assert (found.encoding, found.sample_rate, found.channels) == ("audio/x-mulaw", 8_000, 1)
    assert found.parameters == {}


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "swordfish",
        "[]",
        "null",
        '"swordfish"',
        "{}",
        '{"event":7}',
        '{"event":"media"}',
        '{"event":"media","media":"swordfish"}',
        '{"event":"mark","mark":{}}',
        '{"event":"dtmf","dtmf":{"digit":"swordfish"}}',
        '{"event":"dtmf","dtmf":{"digit":5}}',
        media(payload="swordfish!"),
        media(payload=None),
        media(chunk="swordfish"),
        start(streamSid='swordfish"'),
        json.dumps(START | {"streamSid": "", "start": START["start"] | {"streamSid": ""}}),
        start(mediaFormat="swordfish"),
        start(customParameters=["swordfish"]),
        b"\xff\xfe\x00",
    ],
)
def test_garbage_is_refused_without_repeating_it(frame: str | bytes) -> None:
    with pytest.raises(StreamMessageError) as refused:
        streams.parse(frame)
    assert "swordfish" not in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["media", "start", "mark", "dtmf", "stop", "streamSid", "payload", "chunk", "timestamp"]
    + ["callSid", "mediaFormat", "sampleRate", "customParameters", "name", "digit", "protocol"]
)
EVENTS = st.sampled_from(["connected", "start", "media", "dtmf", "mark", "stop", "other"])


def parses_or_refuses(frame: str | bytes) -> None:
    try:
        streams.parse(frame)
    except StreamMessageError:
        return


@given(st.text() | st.binary())
def test_no_frame_raises_anything_else(frame: str | bytes) -> None:
    parses_or_refuses(frame)


@given(EVENTS, st.dictionaries(FIELDS, JSON | st.dictionaries(FIELDS, JSON)))
def test_no_message_raises_anything_else(event: str, fields: dict[str, Any]) -> None:
    parses_or_refuses(json.dumps({"event": event} | fields))


def test_it_writes_exactly_the_documented_fields() -> None:
    assert json.loads(streams.media(SID, b"\x00\x01\xff")) == {
        "event": "media",
        "streamSid": SID,
        "media": {"payload": "AAH/"},
    }
    assert json.loads(streams.mark(SID, "t1:2")) == {
        "event": "mark",
        "streamSid": SID,
        "mark": {"name": "t1:2"},
    }
    assert json.loads(streams.clear(SID)) == {"event": "clear", "streamSid": SID}


def test_a_message_does_not_show_its_audio_or_parameters() -> None:
    started = streams.parse(json.dumps(START))
    assert "Jane" not in repr(started)
    assert "\\xff" not in repr(streams.parse(media()))
