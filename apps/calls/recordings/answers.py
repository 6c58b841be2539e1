"""A recording's sound over HTTP: whole or in parts, for the API and for the dashboard's player."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from apps.calls.recordings.files import recordings_storage
from apps.calls.recordings.models import Recording
from apps.core.errors import envelope
from apps.core.ranges import NotSatisfiable, Span, span_asked
from apps.core.renderers import JsonRenderer
from apps.core.streams import streamed


class StorageAway(Exception):
    """The storage does not give the file out now."""


def sound_answer(request: HttpRequest, recording: Recording) -> HttpResponseBase:
    """Answer a ready recording's sound, or the part of it that is asked for.

    Raises StorageAway.
    """
    whole = recording.bytes or 0
    etag = f'"{recording.call_id.hex}-{recording.parts}-{whole}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Content-Disposition": f'inline; filename="{_file_name(recording)}"',
        "Cache-Control": "private, no-cache",
    }
    known = [tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")]
    if etag in known or "*" in known:
        return HttpResponse(status=304, headers=headers)
    try:
        span = _span(request, etag, whole)
    except NotSatisfiable:
        return refusal(
            416, f"The recording has {whole} bytes.", {"Content-Range": f"bytes */{whole}"}
        )
    if span is not None:
        headers["Content-Range"] = span.content_range(whole)
    status, span = (206, span) if span is not None else (200, Span(0, whole))
    headers["Content-Length"] = str(span.size)
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers, content_type="audio/wav")
    sound = _sound(request, recording.path, span)
    return StreamingHttpResponse(sound, status=status, headers=headers, content_type="audio/wav")


def _span(request: HttpRequest, etag: str, whole: int) -> Span | None:
    if request.headers.get("If-Range", etag) != etag:
        return None  # what is to be continued has changed
    return span_asked(request.headers.get("Range", ""), whole)


def _sound(request: HttpRequest, path: str, span: Span) -> Any:
    """Open the file, so that a storage that is away is said before the answer begins."""
    pieces = recordings_storage().reading(path, span.first, span.size)
    try:
        first = next(pieces, b"")
    except OSError:
        raise StorageAway from None
    return streamed(request, _rejoined(first, pieces))


def _rejoined(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from pieces  # closes them with itself


def _file_name(recording: Recording) -> str:
    named = re.sub(r"[^A-Za-z0-9]", "", recording.call.call_sid) or recording.call_id.hex
    return f"call-{recording.started_at:%Y%m%dT%H%M%SZ}-{named}.wav"


def refusal(status: int, message: str, headers: Mapping[str, str]) -> HttpResponse:
    """Answer that there is no sound, in the envelope of the API."""
    body = JsonRenderer().render(envelope(status, message))
    return HttpResponse(body, "application/json", status, headers=dict(headers))
