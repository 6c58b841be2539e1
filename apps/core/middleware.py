"""Gives every request an id that its answer, its errors and its log lines carry."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from apps.core.logs import request_id

HEADER = "X-Request-Id"
# A caller's id goes into logs and headers as it is, so only harmless ones are taken over.
_SANE = re.compile(r"[A-Za-z0-9._-]{8,128}")


class RequestIdMiddleware:
    """Takes a sane ``X-Request-Id`` from the request, or makes one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        offered = request.headers.get(HEADER, "")
        current = offered if _SANE.fullmatch(offered) else uuid.uuid4().hex
        # Left set when the request is over: the server logs its access line after that.
        request_id.set(current)
        response = self._get_response(request)
        response[HEADER] = current
        return response
