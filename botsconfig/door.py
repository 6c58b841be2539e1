"""A shorter way for what Twilio asks while a caller waits.

The same views, in threads that keep their database connections, and without the middleware that
looks after browsers and API keys: a caller hears nothing until the TwiML is there.
"""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.urls import resolve

from apps.core.middleware import PlainErrorMiddleware, RequestFormMiddleware, RequestIdMiddleware
from apps.core.threads import shared, twice

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
# Django's own types say Mapping where it hands over dicts.
App = Callable[[Any, Any, Any], Awaitable[None]]

PREFIX = "/twilio/"
# The last resort does without a database, so it must not queue behind those who wait for one.
NOT_HERE = "/twilio/fallback"
THREADS = 4


class TwilioDoor:
    """Answers what is below ``/twilio/``; everything else goes on to Django."""

    def __init__(self, django: App) -> None:
        self._django = django

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if not path.startswith(PREFIX) or path.startswith(NOT_HERE):
            await self._django(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            return
        response = await shared("door", THREADS).run(lambda: _answer(scope, body))
        headers = [(name.lower().encode(), value.encode()) for name, value in response.items()]
        content = response.content
        headers.append((b"content-length", str(len(content)).encode()))
        await send(
            {"type": "http.response.start", "status": response.status_code, "headers": headers}
        )
        await send({"type": "http.response.body", "body": content})


async def _body(receive: Receive) -> bytes | None:
    """Read a body, and a byte more than is allowed; None if its sender is gone."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        body += event.get("body", b"")
        if not event.get("more_body") or len(body) > limit:
            return bytes(body[: limit + 1])


def _view(request: HttpRequest) -> HttpResponse:
    match = resolve(request.path_info)
    request.resolver_match = match

    def ask() -> HttpResponse:
        answer: HttpResponse = match.func(request, *match.args, **match.kwargs)
        return answer

    # Here, because further out its failure is an answer already.
    return twice(ask)


_safe: Any = convert_exception_to_response(_view)
_guarded = RequestIdMiddleware(PlainErrorMiddleware(RequestFormMiddleware(_safe)))


def _answer(scope: Scope, body: bytes) -> HttpResponse:
    return _guarded(ASGIRequest(scope, io.BytesIO(body)))
