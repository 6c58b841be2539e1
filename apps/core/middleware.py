"""What every request passes: it gets an id, and a body of unknown length gets its length."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.core.errors import envelope
from apps.core.logs import client_address, request_id

HEADER = "X-Request-Id"
# A caller's id goes into logs and headers as it is, so only harmless ones are taken over.
_SANE = re.compile(r"[A-Za-z0-9._-]{8,128}")


GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Takes a sane ``X-Request-Id`` from the request, or makes one."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        offered = request.headers.get(HEADER, "")
        current = offered if _SANE.fullmatch(offered) else uuid.uuid4().hex
        # Left set when the request is over: the server logs its access line after that.
        request_id.set(current)
        client_address.set(request.META.get("REMOTE_ADDR") or "")
        response = self._get_response(request)
        response[HEADER] = current
        return response


class ChunkedBodyMiddleware:
    """Reads a chunked body, up to the limit, and writes its length down.

    DRF takes a request without Content-Length for one without a body: what was sent would be
    dropped in silence. A WSGI server may hand over no chunked body at all: 411.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
        if not chunked or request.META.get("CONTENT_LENGTH"):
            return self._get_response(request)
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        body = request.read(limit + 1)
        if not body:
            return JsonResponse(envelope(411, "Send a body, with its Content-Length."), status=411)
        if len(body) > limit:
            answer = envelope(413, f"The body is longer than {limit} bytes.")
            return JsonResponse(answer, status=413)
        request._body = body  # where request.body and the parsers look first
        request.META["CONTENT_LENGTH"] = str(len(body))
        return self._get_response(request)
