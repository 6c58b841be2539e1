"""Twilio Media Streams' messages: text frames in, frozen values out, and the three we may send.

Strict outward (Twilio warns 31951 for one extra field), tolerant inward (numbers as strings, any
frame length, unknown events). Source: Twilio's "Media Streams - WebSocket Messages".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

# A stream's SID goes into our messages without escaping, so its form is checked once, at start.
_SID = re.compile(r"[A-Za-z0-9]{2,64}")


class StreamMessageError(ValueError):
    """A frame is no media-stream message. The text says what is wrong, never what was in it."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The socket is open. No stream is known yet, so nothing may be sent."""

    protocol: str
    version: str


@dataclass(frozen=True, slots=True)
class Started:
    """The stream's metadata; the first numbered message."""

    stream_sid: str
    call_sid: str
    account_sid: str
    encoding: str
    sample_rate: int
    channels: int
    parameters: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Media:
    """Caller audio: mu-law 8 kHz mono, any length. timestamp_ms counts from the stream's start."""

    payload: bytes = field(repr=False)
    chunk: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Dtmf:
    """The caller pressed a key: 0-9, *, # or A-D."""

    digit: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What we marked has been played, or flushed by a clear: the echo does not say which."""

    name: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The stream is over: the caller hung up, or the call was sent elsewhere."""

    call_sid: str


Message = Connected | Started | Media | Dtmf | Mark | Stopped


def parse(text: str | bytes) -> Message | None:
    """Read one text frame. Returns None for an event that this version does not know.

    Raises StreamMessageError if the frame is not a JSON object with an event, or if the event's
    own fields are missing or of the wrong form.
    """
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise StreamMessageError("not JSON") from None
    if not isinstance(body, dict):
        raise StreamMessageError("not a JSON object")
    event = body.get("event")
    if not isinstance(event, str):
        raise StreamMessageError("no event name")
    reader = _READERS.get(event)
    if reader is None:
        return None
    try:
        return reader(body)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        raise StreamMessageError("an event with missing or malformed fields") from None


def media_audio(text: str) -> bytes | None:
    """Return the audio of a media message without reading the rest of it, or None.

    Fifty times a second a call this is the whole of parsing: a tenth of what the JSON costs. None
    says nothing about the frame but that ``parse`` must look at it.
    """
    if '"event":"media"' not in text:
        return None
    at = text.find('"payload":"')
    if at < 0:
        return None
    at += 11
    try:
        return binascii.a2b_base64(text[at : text.index('"', at)], strict_mode=True)
    except (binascii.Error, ValueError):
        return None


def media_timestamp(text: str) -> int | None:
    """Return the timestamp of a media message as ``media_audio`` reads it: quickly, or None."""
    return _number(text, '"timestamp":"')


def media_chunk(text: str) -> int | None:
    """Return the number of a media message, quickly, or None."""
    return _number(text, '"chunk":"')


def _number(text: str, before: str) -> int | None:
    at = text.find(before)
    if at < 0:
        return None
    at += len(before)
    digits = text[at : text.find('"', at)]
    # No longer than a call of a year; and not all that Python takes for digits.
    return int(digits) if len(digits) <= 11 and digits.isascii() and digits.isdigit() else None


def _connected(body: dict[str, Any]) -> Connected:
    return Connected(str(body.get("protocol", "")), str(body.get("version", "")))


def _started(body: dict[str, Any]) -> Started:
    start = body["start"]
    sid = str(start.get("streamSid") or body["streamSid"])
    if not _SID.fullmatch(sid):
        raise ValueError("stream SID")
    form = start.get("mediaFormat") or {}
    parameters = start.get("customParameters") or {}
    return Started(
        stream_sid=sid,
        call_sid=str(start["callSid"]),
        account_sid=str(start.get("accountSid", "")),
        encoding=str(form.get("encoding", "audio/x-mulaw")),
        sample_rate=int(form.get("sampleRate", 8_000)),
        channels=int(form.get("channels", 1)),
        parameters={str(name): str(value) for name, value in parameters.items()},
    )


def _media(body: dict[str, Any]) -> Media:
    media = body["media"]
    return Media(
        payload=binascii.a2b_base64(media["payload"], strict_mode=True),
        chunk=int(media.get("chunk", 0)),
        timestamp_ms=int(media.get("timestamp", 0)),
    )


def _dtmf(body: dict[str, Any]) -> Dtmf:
    digit = body["dtmf"]["digit"]
    if not isinstance(digit, str) or not re.fullmatch(r"[0-9*#A-D]", digit):
        raise ValueError("digit")
    return Dtmf(digit)


def _mark(body: dict[str, Any]) -> Mark:
    return Mark(str(body["mark"]["name"]))


def _stopped(body: dict[str, Any]) -> Stopped:
    return Stopped(str((body.get("stop") or {}).get("callSid", "")))


_READERS: Mapping[str, Callable[[dict[str, Any]], Message]] = {
    "connected": _connected,
    "start": _started,
    "media": _media,
    "dtmf": _dtmf,
    "mark": _mark,
    "stop": _stopped,
}


def media(stream_sid: str, audio: bytes) -> str:
    """Write a media message. audio: mu-law 8 kHz, no header."""
    payload = base64.b64encode(audio).decode("ascii")
    return f'{{"event":"media","streamSid":"{stream_sid}","media":{{"payload":"{payload}"}}}}'


def mark(stream_sid: str, name: str) -> str:
    """Write a mark message. name: letters, digits and ``.:-_`` only, so it needs no escaping."""
    return f'{{"event":"mark","streamSid":"{stream_sid}","mark":{{"name":"{name}"}}}}'


def clear(stream_sid: str) -> str:
    """Write a clear message: drop what is buffered, echo its marks."""
    return f'{{"event":"clear","streamSid":"{stream_sid}"}}'
