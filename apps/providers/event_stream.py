"""Reads an answer that comes as server-sent events, as fast as it comes.

The vendors' SDKs build a model of each event, which takes longer than all the rest together; here
an event is its bytes. Source: WHATWG HTML, 9.2 (server-sent events), November 2026.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Protocol

import orjson

from apps.providers import failures
from apps.voice.ports import ModelEvent, ProviderError

LARGEST_EVENT = 1 << 20
LARGEST_ERROR = 1 << 16
_LAST_BYTES_S = 0.25

# What the vendors' names for errors in mid-answer would have been as a status. Sources: Anthropic's
# and OpenAI's pages on errors.
_STATUS: Mapping[str, int] = {
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "invalid_request_error": 400,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class Response(Protocol):
    """What is used of httpx's and httpx2's response, which are twins."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    def aiter_bytes(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class EventStream:
    """One streamed answer. provider: named in errors. broken: what a lost connection raises.

    patience_s: how long to wait for an event. Comments (``: keep-alive``) do not count as one.
    """

    def __init__(
        self,
        provider: str,
        response: Response,
        *,
        patience_s: float,
        broken: tuple[type[BaseException], ...],
    ) -> None:
        self._provider = provider
        self._response = response
        self._patience_s = patience_s
        self._broken = broken
        self._bytes = response.aiter_bytes().__aiter__()
        self._rest = b""
        self._data: list[bytes] = []
        self._ready: deque[bytes] = deque()

    async def check(self) -> None:
        """Raise what a vendor says instead of an answer, with status 200."""
        kind = self._response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("application/json", "text/html"):
            return
        body = b""
        with contextlib.suppress(ProviderError):
            while len(body) < LARGEST_ERROR and (piece := await self._piece()):
                body += piece
        raise error_told(self._provider, _read(body))

    async def next(self) -> bytes | None:
        """Return the next event's data; None at the answer's end.

        Raises ProviderError if it does not come, or the connection is lost.
        """
        if self._ready:
            return self._ready.popleft()
        try:
            async with asyncio.timeout(self._patience_s):
                while not self._ready:
                    piece = await self._piece()
                    if not piece:
                        return None
                    self._feed(piece)
        except TimeoutError:
            raise failures.silent(self._provider) from None
        return self._ready.popleft()

    async def drain(self) -> None:
        """Read the last bytes behind the last event: only then is the connection free again."""
        with contextlib.suppress(TimeoutError, ProviderError):
            async with asyncio.timeout(_LAST_BYTES_S):
                while await self._piece():
                    pass

    async def aclose(self) -> None:
        """Leave the answer. If it was not read to its end, this closes the connection."""
        with contextlib.suppress(Exception):
            await self._response.aclose()

    async def _piece(self) -> bytes:
        try:
            return await anext(self._bytes, b"")
        except self._broken as exc:
            raise failures.lost(self._provider, exc) from None

    def _feed(self, piece: bytes) -> None:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > LARGEST_EVENT:
            raise failures.unreadable(self._provider)
        for raw in lines:
            line = raw.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                self._ready.append(b"\n".join(self._data))
                self._data.clear()


class Taking(Protocol):
    """Makes a conversation's events of a vendor's."""

    def take(self, event: Mapping[str, Any]) -> Iterator[ModelEvent]: ...


def taken(answer: Taking, provider: str, data: bytes) -> list[ModelEvent]:
    """Return what an event's JSON object means to a conversation.

    Raises ProviderError if it is none, tells an error, or is not of the form that it should have.
    """
    found = _read(data)
    if not isinstance(found, dict):
        raise failures.unreadable(provider)
    if found.get("error"):
        raise error_told(provider, found)
    try:
        return list(answer.take(found))
    except (AttributeError, TypeError, ValueError):
        raise failures.unreadable(provider) from None


def error_told(provider: str, body: Any) -> ProviderError:
    """Return the error that a vendor tells inside of an answer, whose status was 200."""
    body = _only(body)
    if not isinstance(body, dict) or not body.get("error"):
        return failures.unreadable(provider)
    code = failures.code_of(body)
    inner = body["error"]
    number = inner.get("code", inner.get("status")) if isinstance(inner, dict) else None
    status = int(str(number)) if str(number).isdecimal() else _STATUS.get(code, 500)
    return failures.status_error(provider, status if 400 <= status < 600 else 500, code=code)


def _only(body: Any) -> Any:
    """Google wraps its error in a list."""
    return body[0] if isinstance(body, list) and body else body


def _read(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except ValueError:
        return None
