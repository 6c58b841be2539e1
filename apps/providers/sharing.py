"""Clients of vendors' SDKs that calls share, for opening one costs time that a caller would wait.

A client is held by the calls that use it; of those that nobody uses the last few are kept. All
belong to one event loop, and ``connections.aclose`` closes them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, MutableMapping
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from apps.providers import connections

Client = TypeVar("Client")


class _Entry(Generic[Client]):
    def __init__(self, opening: asyncio.Future[Client]) -> None:
        self.opening = opening
        self.users = 0


class Shared(Generic[Client]):
    """A pool of clients, one a key. kept: how many unused ones stay open, the last used first."""

    def __init__(self, close: Callable[[Client], Awaitable[None]], *, kept: int = 32) -> None:
        self._close = close
        self._kept = kept
        self._loops: MutableMapping[
            asyncio.AbstractEventLoop, OrderedDict[Hashable, _Entry[Client]]
        ] = WeakKeyDictionary()

    async def hold(self, key: Hashable, make: Callable[[], Awaitable[Client]]) -> Client:
        """Return the key's client, opened if need be. ``let_go`` must follow, unless it raises."""
        entries = self._entries()
        entry = entries.get(key)
        if entry is None:
            # A task of its own: a call that ends while it waits must not end it for the others.
            entry = entries[key] = _Entry(asyncio.ensure_future(make()))
        entry.users += 1
        try:
            return await asyncio.shield(entry.opening)
        except BaseException:
            entry.users -= 1
            if entry.opening.done() and entries.get(key) is entry:
                del entries[key]
            raise

    async def let_go(self, key: Hashable) -> None:
        """Tell that a call has no more use for the key's client."""
        entries = self._entries()
        if key not in entries:
            return  # closed meanwhile, with all the loop's connections
        entries[key].users -= 1
        entries.move_to_end(key)
        idle = [found for found, entry in entries.items() if entry.users <= 0]
        for old in idle[: max(0, len(idle) - self._kept)]:
            await self._closed(entries.pop(old))

    def _entries(self) -> OrderedDict[Hashable, _Entry[Client]]:
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            self._loops[loop] = OrderedDict()
            connections.at_close(self._close_all)
        return self._loops[loop]

    async def _close_all(self) -> None:
        for entry in self._loops.pop(asyncio.get_running_loop(), OrderedDict()).values():
            await self._closed(entry)

    async def _closed(self, entry: _Entry[Any]) -> None:
        with contextlib.suppress(Exception):
            await self._close(await entry.opening)
