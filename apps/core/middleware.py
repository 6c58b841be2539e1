"""What every request passes: it gets an id, forms that nobody reads are refused, errors speak."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.core.errors import envelope
from apps.core.logs import client_address, request_id

HEADER = "X-Request-Id"
# Room for the variables of a preview; proxies commonly end at 8 or 16 KiB for the whole line.
LONGEST_QUERY = 16 * 1024
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


class RequestFormMiddleware:
    """Refuses a compressed body (415) and a query that is no query any more (414)."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        coding = request.headers.get("Content-Encoding", "").strip().lower()
        if coding not in ("", "identity"):
            # Unpacking would need a limit of its own: a kilobyte can become a gigabyte.
            answer = _refusal(415, "Send the body uncompressed.")
            answer["Accept-Encoding"] = "identity"
            return answer
        if len(request.META.get("QUERY_STRING", "")) > LONGEST_QUERY:
            return _refusal(414, f"The query is longer than {LONGEST_QUERY} bytes.")
        return self._get_response(request)


class PlainErrorMiddleware:
    """Puts the envelope into an error that has no body, as Django's own 405."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if response.status_code >= 400 and not response.streaming and not response.content:
            answer = _refusal(response.status_code, f"{response.reason_phrase}.")
            response["Content-Type"] = answer["Content-Type"]
            response.content = answer.content
            response["Content-Length"] = str(len(answer.content))
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
            return _refusal(411, "Send a body, with its Content-Length.")
        if len(body) > limit:
            return _refusal(413, f"The body is longer than {limit} bytes.")
        request._body = body  # where request.body and the parsers look first
        request.META["CONTENT_LENGTH"] = str(len(body))
        return self._get_response(request)


def _refusal(status: int, info: str) -> JsonResponse:
    return JsonResponse(envelope(status, info), status=status)
