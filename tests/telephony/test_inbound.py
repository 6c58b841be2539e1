"""What Twilio writes, in Twilio's own form, and readable by our reader."""

from __future__ import annotations

import json

from apps.telephony import inbound, streams

STREAM = inbound.Stream("MZ" + "1" * 32, "CA" + "2" * 32, "AC" + "3" * 32, {"bot": 'a"b<é'})


def test_connected_has_neither_number_nor_sid() -> None:
    assert inbound.connected() == '{"event":"connected","protocol":"Call","version":"1.0.0"}'


def test_start_is_what_twilio_documents() -> None:
    assert json.loads(inbound.started(STREAM, sequence=1)) == {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": STREAM.stream_sid,
        "start": {
            "streamSid": STREAM.stream_sid,
            "accountSid": STREAM.account_sid,
            "callSid": STREAM.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1},
            "customParameters": {"bot": 'a"b<é'},
        },
    }


def test_media_carries_its_numbers_as_strings() -> None:
    sid = STREAM.stream_sid
    frame = inbound.media(sid, sequence=4, chunk=2, timestamp_ms=20, payload="AAH/")
    assert json.loads(frame) == {
        "event": "media",
        "sequenceNumber": "4",
        "streamSid": sid,
        "media": {"track": "inbound", "chunk": "2", "timestamp": "20", "payload": "AAH/"},
    }


def test_what_is_written_is_read() -> None:
    read = [
        streams.parse(inbound.started(STREAM, sequence=1)),
        streams.parse(inbound.dtmf(STREAM, sequence=2, digit="#")),
        streams.parse(inbound.mark(STREAM, sequence=3, name='odd "name"')),
        streams.parse(inbound.stopped(STREAM, sequence=4)),
    ]
    started, *rest = read
    assert isinstance(started, streams.Started)
    assert started.parameters == STREAM.parameters
    assert rest == [
        streams.Dtmf("#"),
        streams.Mark('odd "name"'),
        streams.Stopped(STREAM.call_sid),
    ]


def test_keys_come_on_a_track_spelled_otherwise() -> None:
    assert '"track":"inbound_track"' in inbound.dtmf(STREAM, sequence=2, digit="1")
