"""What voices behind one HTTP request have in common: a sentence there, its audio back in pieces.

A sentence that is broken off takes its HTTP/1.1 connection with it. The next one is opened at once,
while the caller is still speaking, so that it is there when the bot answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from apps.providers import connections, failures
from apps.providers.sound import Sound
from apps.voice.ports import ProviderError

# Of an error's body so much is read, to find a code in it.
_LONGEST_ERROR = 16_384


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask of the vendor. audio: how the content types begin that may be played."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(default=b"", repr=False)
    audio: tuple[str, ...] = ()


async def audio_of(
    provider: str, request: Request, patience_s: float
) -> AsyncGenerator[bytes, None]:
    """Send the request and stream its answer's body, in pieces as they come.

    Closing it breaks the connection, which stops the vendor. Raises ProviderError: for a status, a
    lost or silent vendor, and an answer that is not audio.
    """
    try:
        async with _answer(request, patience_s) as response:
            if response.status_code != 200:
                raise await _refusal(provider, response)
            if not _content_type(response).startswith(request.audio):
                raise failures.unreadable(provider)
            async for piece in response.aiter_raw():
                yield piece
    except (httpx.HTTPError, httpx.StreamError) as exc:
        raise failures.lost(provider, exc) from None
    except (httpx.InvalidURL, UnicodeError):
        raise failures.lost(provider) from None


@asynccontextmanager
async def _answer(request: Request, patience_s: float) -> AsyncIterator[httpx.Response]:
    """Open the answer. Asks again, once, if a kept connection turns out to be closed."""
    response = await _sent(request, patience_s, again=True)
    try:
        yield response
    finally:
        await response.aclose()


async def _sent(request: Request, patience_s: float, *, again: bool) -> httpx.Response:
    client = connections.http()
    fresh = False

    async def trace(event: str, _: Mapping[str, Any]) -> None:
        nonlocal fresh
        fresh = fresh or event == "connection.connect_tcp.started"

    built = client.build_request(
        request.method,
        request.url,
        headers=dict(request.headers),
        content=request.content or None,
        timeout=httpx.Timeout(patience_s, connect=min(patience_s, connections.CONNECT_S)),
        extensions={"trace": trace},
    )
    try:
        return await client.send(built, stream=True)
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
        if fresh or not again:
            raise
    return await _sent(request, patience_s, again=False)


def _content_type(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).strip().lower()


async def _refusal(provider: str, response: httpx.Response) -> ProviderError:
    body = b""
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > _LONGEST_ERROR:
            break
    code = ""
    with contextlib.suppress(ValueError):
        code = failures.code_of(json.loads(body))
    return failures.status_error(provider, response.status_code, code=code)


async def _connect(request: Request, patience_s: float) -> None:
    """Have a connection ready in the pool, by a request that does no harm. Does not raise."""
    with contextlib.suppress(Exception):
        async with _answer(request, patience_s) as response:
            await response.aread()


class Warmth:
    """Keeps a connection ready for one call. connect: makes one ready and does not raise."""

    def __init__(self, connect: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._connect = connect
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def warm(self) -> None:
        await self._connect()

    def renew(self) -> None:
        """Open the next connection in the background, for the last one was broken off."""
        if not self._closed and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._connect())

    async def aclose(self) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


async def voiced(
    pieces: AsyncGenerator[bytes, None], sound: Sound, warmth: Warmth | None = None
) -> AsyncGenerator[bytes, None]:
    """Stream a sentence's audio as mu-law. Raises ProviderError if there is no sound in it.

    warmth: what opens the next connection if the sentence is broken off.
    """
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                if out := sound.take(piece):
                    yield out
    except (GeneratorExit, asyncio.CancelledError):
        if warmth is not None:
            warmth.renew()
        raise
    if out := sound.end():
        yield out


class HttpSpeech:
    """One call's share of a vendor that answers a request with a sentence's audio.

    probe: makes the request that opens a connection; raises ProviderError without a key.
    """

    def __init__(self, provider: str, patience_s: float, probe: Callable[[], Request]) -> None:
        self._provider = provider
        self._patience_s = patience_s
        self._probe = probe
        self._warmth = Warmth(self._connect)

    async def warm(self) -> None:
        await self._warmth.warm()

    def say(self, request: Request, sound: Sound) -> AsyncGenerator[bytes, None]:
        """Stream the sentence's audio as mu-law. Raises ProviderError."""
        pieces = audio_of(self._provider, request, self._patience_s)
        return voiced(pieces, sound, self._warmth)

    async def aclose(self) -> None:
        await self._warmth.aclose()

    async def _connect(self) -> None:
        with contextlib.suppress(ProviderError):
            await _connect(self._probe(), self._patience_s)
