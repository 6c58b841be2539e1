"""Keeps one call connected: opens a session when it is needed, and another when it is lost."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol
from urllib.parse import quote

from apps.providers import failures
from apps.providers.base import ServiceSettings
from apps.providers.openai_realtime_wire import NAME, Event, Wire
from apps.voice.ports import ProviderError

logger = logging.getLogger(__name__)

OWN = "https://api.openai.com"


class Owner(Protocol):
    """Whose connection it is."""

    def take(self, event: Event) -> None:
        """The vendor says something. Raises ProviderError to give the connection up."""

    def opened(self) -> None:
        """There is a connection, and the vendor knows nothing yet."""

    def broken(self, error: ProviderError) -> None:
        """The connection is gone. Another may follow."""

    def unreachable(self, error: ProviderError) -> None:
        """There is no connection, and none is being opened."""


class Link:
    """Opens connections one at a time, for whoever asks first.

    A lost connection is replaced at once, so that the next turn need not wait for it; but a vendor
    who takes connections and breaks them again, without having done anything, is left alone until
    somebody asks.
    """

    def __init__(self, settings: ServiceSettings, model: str, owner: Owner) -> None:
        self._settings = settings
        self._model = model
        self._owner = owner
        self._opening: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False
        self._replacements = 1
        self.wire: Wire | None = None

    def worked(self) -> None:
        """The connection has done what it is there for."""
        self._replacements = 1

    def connecting(self) -> bool:
        """Whether there is no connection yet; then one is being opened from now on."""
        if self.wire is not None or self._closed:
            return False
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
            self._opening.add_done_callback(self._tried)
        return True

    async def connected(self) -> None:
        """Wait for the connection. Raises ProviderError if there is none to be had."""
        if self._closed:
            raise failures.lost(NAME)
        if self.connecting() and (opening := self._opening) is not None:
            await asyncio.wait([opening])
            if (error := _error_of(opening)) is not None:
                raise error
            if self.wire is None:
                raise failures.lost(NAME)

    def give_up(self, error: ProviderError) -> None:
        """This connection is of no use any more."""
        if self.wire is not None:
            self.wire.end(error)

    async def aclose(self) -> None:
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        wire, self.wire = self.wire, None
        if wire is not None:
            await wire.aclose()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _open(self) -> None:
        key = failures.key_of(NAME, self._settings.secrets)
        url = f"{self._settings.url(OWN)}/v1/realtime?model={quote(self._model, safe='')}"
        wire = await Wire.open(url, key, patience_s=self._settings.patience_s)
        self.wire = wire
        wire.start(self._owner.take, self._lost)
        self._owner.opened()

    def _tried(self, opening: asyncio.Task[None]) -> None:
        self._opening = None
        error = _error_of(opening)
        if error is None:
            return
        if not opening.cancelled() and opening.exception() is not error:
            logger.error("A session could not be set up", exc_info=opening.exception())
        self._owner.unreachable(error)

    def _lost(self, error: ProviderError) -> None:
        wire, self.wire = self.wire, None
        if wire is not None:
            closing = asyncio.get_running_loop().create_task(wire.aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        self._owner.broken(error)
        if self._replacements and not self._closed:
            self._replacements -= 1
            self.connecting()
        else:
            self._owner.unreachable(error)


def _error_of(opening: asyncio.Task[None]) -> ProviderError | None:
    """Say why there is no connection. One that was called off is lost to those who waited."""
    if opening.cancelled():
        return failures.lost(NAME)
    error = opening.exception()
    return error if error is None or isinstance(error, ProviderError) else failures.lost(NAME)
