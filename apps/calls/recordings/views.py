"""GET and DELETE /calls/{id}/recording."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import chain
from typing import Any, ClassVar

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException, NotFound
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.audit import Actor
from apps.accounts.authentication import account_of, actor_of
from apps.calls.recordings import schema
from apps.calls.recordings.files import recordings_storage
from apps.calls.recordings.models import Recording
from apps.calls.recordings.selectors import recording_get
from apps.calls.recordings.services import recording_erase
from apps.core.errors import envelope
from apps.core.ranges import NotSatisfiable, Span, span_asked
from apps.core.renderers import JsonRenderer

# What a recording that is being made will take to be ready, once its call is over.
RETRY_AFTER_S = 10

_WAITING: Mapping[str, str] = {
    Recording.Status.RECORDING: "The call is still being recorded.",
    Recording.Status.PROCESSING: "The recording is being made.",
}
_MISSING: Mapping[str, str] = {
    Recording.Status.FAILED: "The recording was lost before it could be stored.",
    Recording.Status.DELETED: "The recording has been erased.",
}


class WavRenderer(BaseRenderer):
    """Says that ``audio/wav`` may be asked for; the view answers the sound itself."""

    media_type = "audio/wav"
    format = "wav"
    charset = None
    render_style = "binary"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        return JsonRenderer().render(data)


class StorageAway(APIException):
    """The storage does not give the file out now."""

    status_code = 503
    default_detail = "The storage of recordings does not answer; try again later."
    default_code = "unavailable-error"


@schema.RECORDING
class RecordingView(APIView):
    """A call's recording. Another account's call is a 404."""

    required_scopes: ClassVar[Mapping[str, str]] = {"GET": "calls:read", "DELETE": "calls:write"}
    renderer_classes = (JsonRenderer, WavRenderer)

    def get(self, request: Request, pk: uuid.UUID) -> HttpResponseBase:
        recording = _found(request, pk)
        if waiting := _WAITING.get(recording.status):
            body = envelope(409, waiting)
            return _json(body, 409, {"Retry-After": str(RETRY_AFTER_S)})
        if missing := _MISSING.get(recording.status):
            raise NotFound(missing)
        return _answer(request, recording)

    def delete(self, request: Request, pk: uuid.UUID) -> HttpResponseBase:
        actor: Actor = actor_of(request)
        try:
            recording_erase(account=account_of(request), call_id=pk, actor=actor)
        except Recording.DoesNotExist:
            raise NotFound(_NONE) from None
        return Response(status=204)


_NONE = "There is no recording of such a call here."


def _found(request: Request, call_id: uuid.UUID) -> Recording:
    try:
        return recording_get(account_of(request), call_id)
    except Recording.DoesNotExist:
        raise NotFound(_NONE) from None


def _answer(request: Request, recording: Recording) -> HttpResponseBase:
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
        body = envelope(416, f"The recording has {whole} bytes.")
        return _json(body, 416, {"Content-Range": f"bytes */{whole}"})
    if span is not None:
        headers["Content-Range"] = span.content_range(whole)
    status, span = (206, span) if span is not None else (200, Span(0, whole))
    headers["Content-Length"] = str(span.size)
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers, content_type="audio/wav")
    sound = _sound(request, recording.path, span)
    return StreamingHttpResponse(sound, status=status, headers=headers, content_type="audio/wav")


def _span(request: Request, etag: str, whole: int) -> Span | None:
    if request.headers.get("If-Range", etag) != etag:
        return None  # what is to be continued has changed
    return span_asked(request.headers.get("Range", ""), whole)


def _sound(request: Request, path: str, span: Span) -> Any:
    """Open the file, so that a storage that is away is said before the answer begins."""
    pieces = recordings_storage().reading(path, span.first, span.size)
    try:
        first = next(pieces, b"")
    except OSError:
        raise StorageAway from None
    # A server of threads wants an iterator of its own kind, one of an event loop the other.
    if isinstance(request._request, ASGIRequest):
        return _Sound(first, pieces)
    return chain([first], pieces)


class _Sound:
    """Sound for an event loop: each piece is read in a thread. Django closes it."""

    def __init__(self, first: bytes, pieces: Iterator[bytes]) -> None:
        self._first = first
        self._pieces: Any = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        piece: bytes | None = self._first
        while piece is not None:
            yield piece
            piece = await asyncio.to_thread(next, self._pieces, None)

    def close(self) -> None:
        self._pieces.close()


def _file_name(recording: Recording) -> str:
    named = re.sub(r"[^A-Za-z0-9]", "", recording.call.call_sid) or recording.call_id.hex
    return f"call-{recording.started_at:%Y%m%dT%H%M%SZ}-{named}.wav"


def _json(body: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> HttpResponse:
    return HttpResponse(
        JsonRenderer().render(body), "application/json", status, headers=dict(headers)
    )
