"""The vendors' SDKs as this server uses them: they send requests, and read nothing else."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Mapping
from typing import Any

from apps.providers import failures
from apps.providers.dialogue import as_json
from apps.providers.event_stream import EventStream
from apps.voice.ports import ProviderError


def _is_harmless(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


@functools.cache
def bare(kind: type[Any]) -> type[Any]:
    """Return an SDK's client class, made to send an account's request and nothing of the server's.

    As they come, the SDKs add headers that the server's environment names (an organisation, a
    gateway's password), which would go to whatever vendor or URL an account has chosen; and they
    log requests, prompts included. ``dialled`` says whether the last request opened a connection.
    """
    for module in ("_base_client", "_response", "_legacy_response"):
        logger = logging.getLogger(f"{kind.__module__.partition('.')[0]}.{module}")
        logger.addFilter(_is_harmless)

    class Bare(kind):  # type: ignore[misc]
        dialled = False
        fixed: Mapping[str, str] = {}

        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            self._custom_headers: dict[str, str] = {}  # those that the environment names

        @property
        def default_headers(self) -> dict[str, Any]:
            return {
                "Accept": "text/event-stream, application/json",
                # A compressed stream is held back until it is worth compressing.
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
                "User-Agent": self.user_agent,
                **self.fixed,
                **self.auth_headers,
            }

        async def _prepare_request(self, request: Any) -> None:
            self.dialled = False
            request.extensions["trace"] = self._watch

        async def _watch(self, event: str, info: Any) -> None:
            if event == "connection.connect_tcp.started":
                self.dialled = True

    Bare.__name__ = kind.__name__  # which is what the vendor is told
    return Bare


class Sdk:
    """One account's way to one vendor. sdk: the module. client: of ``bare``. response: the class of
    the SDK's raw responses. broken: what its connections raise when they are lost."""

    def __init__(
        self, provider: str, sdk: Any, client: Any, *, httpx: Any, patience_s: float
    ) -> None:
        self._provider = provider
        self._sdk = sdk
        self._client = client
        self._httpx = httpx
        self._patience_s = patience_s
        self._broken = (httpx.HTTPError, httpx.StreamError, OSError, EOFError)

    async def stream(self, path: str, body: Mapping[str, Any], **options: Any) -> EventStream:
        """Send a request and return its answer, once it has begun.

        A connection that the vendor closed while it lay in the pool costs a second try, no more.
        """
        try:
            response = await self._post(path, body, options)
        except self._sdk.APIConnectionError as exc:
            if self._client.dialled or isinstance(exc, self._sdk.APITimeoutError):
                raise failures.lost(self._provider, exc.__cause__) from None
            response = await self._again(path, body, options)
        found = EventStream(
            self._provider, response, patience_s=self._patience_s, broken=self._broken
        )
        try:
            await found.check()
        except BaseException:
            await found.aclose()
            raise
        return found

    async def warm(self, path: str, **options: Any) -> None:
        """Ask something that costs nothing, so that a connection is open. Raises anything."""
        async with asyncio.timeout(self._patience_s):
            await self._client.get(path, cast_to=self._httpx.Response, options=options)

    async def _again(self, path: str, body: Mapping[str, Any], options: Any) -> Any:
        try:
            return await self._post(path, body, options)
        except self._sdk.APIConnectionError as exc:
            raise failures.lost(self._provider, exc.__cause__) from None

    async def _post(self, path: str, body: Mapping[str, Any], options: Any) -> Any:
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._client.post(
                    path,
                    cast_to=self._httpx.Response,
                    content=as_json(body),  # the SDKs' own way walks through every message
                    options=options,
                    stream=True,
                    stream_cls=self._sdk.AsyncStream,
                )
        except TimeoutError:
            raise failures.silent(self._provider) from None
        except self._sdk.APIStatusError as exc:
            raise status_told(self._provider, exc) from None


def status_told(provider: str, error: Any) -> ProviderError:
    """Return the error for an SDK's ``APIStatusError``; nothing of its text."""
    body = error.body
    if isinstance(body, list):  # Google's
        body = body[0] if body else None
    code = failures.code_of(body)
    status = int(error.status_code)
    # xAI and Google answer a wrong key with 400.
    if status == 400 and "api key" in str(body).lower():
        status = 401
    if code == "tool_use_failed":  # Groq: the model's own call was not what its schema says
        return failures.unreadable(provider)
    return failures.status_error(provider, status, code=code)
