"""What Twilio takes from a server, to the letter, and a record of everything else.

Three messages, exactly their documented fields, the stream's own SID, text frames only, nothing
before ``start``. Twilio warns once per stream and kind; here every offence is counted, because a
server that offends twice has two faults. Sources: Twilio's "Media Streams - WebSocket Messages"
and its error dictionary (31930, 31931, 31950, 31951).
"""

from __future__ import annotations

import binascii
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

BUFFER_OVERFLOW = "31930"
MEDIA_DISCARDED = "31931"
BINARY_FRAME = "31950"
INVALID_MESSAGE = "31951"
# Ours: Twilio plays these as they are, and the caller hears them.
HEADER_IN_PAYLOAD = "header-in-payload"
EMPTY_PAYLOAD = "empty-payload"


@dataclass(frozen=True, slots=True)
class Play:
    """Audio for the caller: mu-law 8 kHz."""

    audio: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Label:
    """A mark: to be echoed when what came before it has been heard."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop what is queued."""


Order = Play | Label | Clear


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of offence. code: Twilio's number or our word. at_s: when it was first seen."""

    code: str
    reason: str
    at_s: float
    count: int


class _Refused(Exception):
    """This frame is not one that Twilio takes. The text says why, without what was in it."""


class Inspector:
    """Reads one stream's outbound frames and keeps the record of what was wrong with them."""

    def __init__(self, stream_sid: str, *, now: Callable[[], float]) -> None:
        self.started = False
        self._sid = stream_sid
        self._now = now
        self._counts: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], float] = {}

    def read(self, frame: str | bytes) -> Order | None:
        """Return what the frame orders, or None if Twilio would have refused it."""
        if isinstance(frame, bytes):
            self.record(BINARY_FRAME, "binary frame")
            return None
        try:
            return self._order(frame)
        except _Refused as refused:
            self.record(INVALID_MESSAGE, str(refused))
            return None

    def record(self, code: str, reason: str) -> None:
        """Count an offence."""
        self._counts[code, reason] += 1
        self._first.setdefault((code, reason), self._now())

    def findings(self) -> list[Finding]:
        """List what was found, in the order in which it was first seen."""
        return [
            Finding(code, reason, self._first[code, reason], count)
            for (code, reason), count in self._counts.items()
        ]

    def warnings(self) -> list[str]:
        """List the codes of Twilio's own that it would have logged: each once per stream."""
        return sorted({code for code, _ in self._counts if code.isdigit()})

    def _order(self, frame: str) -> Order:
        body = _object(frame)
        event = body.get("event")
        reader = _READERS.get(event) if isinstance(event, str) else None
        if reader is None:
            raise _Refused("unknown event")
        if not self.started:
            raise _Refused("sent before start")
        if body.get("streamSid") != self._sid:
            raise _Refused("missing streamSid" if "streamSid" not in body else "wrong streamSid")
        order = reader(body)
        if isinstance(order, Play):
            self._sniff(order.audio)
        return order

    def _sniff(self, audio: bytes) -> None:
        if not audio:
            self.record(EMPTY_PAYLOAD, "media without audio")
        found = header_of(audio)
        if found:
            self.record(HEADER_IN_PAYLOAD, f"{found} where raw mu-law belongs")


def _object(frame: str) -> dict[str, Any]:
    try:
        body = orjson.loads(frame)
    except orjson.JSONDecodeError:
        raise _Refused("not JSON") from None
    if not isinstance(body, dict):
        raise _Refused("not a JSON object")
    return body


def _exactly(body: Any, names: frozenset[str], where: str) -> None:
    if not isinstance(body, dict):
        raise _Refused(f"{where} is not an object")
    if body.keys() - names:
        raise _Refused(f"extra field in {where}")
    if names - body.keys():
        raise _Refused(f"missing field in {where}")


_MEDIA = frozenset({"event", "streamSid", "media"})
_PAYLOAD = frozenset({"payload"})
_MARK = frozenset({"event", "streamSid", "mark"})
_NAME = frozenset({"name"})
_CLEAR = frozenset({"event", "streamSid"})


def _media(body: dict[str, Any]) -> Order:
    _exactly(body, _MEDIA, "media message")
    _exactly(body["media"], _PAYLOAD, "media")
    payload = body["media"]["payload"]
    if not isinstance(payload, str):
        raise _Refused("payload is not a string")
    try:
        return Play(binascii.a2b_base64(payload, strict_mode=True))
    except (binascii.Error, ValueError):
        raise _Refused("payload is not base64") from None


def _mark(body: dict[str, Any]) -> Order:
    _exactly(body, _MARK, "mark message")
    _exactly(body["mark"], _NAME, "mark")
    name = body["mark"]["name"]
    if not isinstance(name, str) or not name:
        raise _Refused("mark without a name")
    return Label(name)


def _clear(body: dict[str, Any]) -> Order:
    _exactly(body, _CLEAR, "clear message")
    return Clear()


_READERS: Mapping[str, Callable[[dict[str, Any]], Order]] = {
    "media": _media,
    "mark": _mark,
    "clear": _clear,
}


# --- file headers ------------------------------------------------------------------------------

_MAGIC = {
    b"RIFF": "a WAV header",
    b"ID3": "an MP3 header",
    b"OggS": "an Ogg header",
    b"fLaC": "a FLAC header",
    b'{"error': "a JSON error",
    b'{"detail': "a JSON error",
    b'{"message': "a JSON error",
}
# ISO/IEC 11172-3 and 13818-3, layer III: kbit/s by index, and Hz by index, for versions 1 and 2.
_KBITS = {
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HERTZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000)}
_SAMPLES_OVER_8 = {3: 144, 2: 72}


def header_of(audio: bytes) -> str:
    """Name the file format that ``audio`` begins like; empty if it could be raw mu-law."""
    for magic, name in _MAGIC.items():
        if audio.startswith(magic):
            return name
    return "an MP3 frame" if _begins_with_mp3_frames(audio) else ""


def _begins_with_mp3_frames(audio: bytes) -> bool:
    # One frame's sync is 0xFF 0xFB: two quiet samples of mu-law. Two in a row, a frame apart, are
    # no accident.
    length = _mp3_frame_bytes(audio[:4])
    return length > 0 and _mp3_frame_bytes(audio[length : length + 4]) > 0


def _mp3_frame_bytes(head: bytes) -> int:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, kbits, hertz = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version not in _KBITS or kbits in (0, 15) or hertz == 3:
        return 0
    bits = _KBITS[version][kbits - 1] * 1_000
    return _SAMPLES_OVER_8[version] * bits // _HERTZ[version][hertz] + (head[2] >> 1 & 1)
