"""Clients that calls share: opened once, kept a while, closed in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from apps.providers import connections
from apps.providers.sharing import Shared


class Client:
    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    async def aclose(self) -> None:
        self.closed = True


class Maker:
    """Makes clients, once it may."""

    def __init__(self) -> None:
        self.made: list[Client] = []
        self.may = asyncio.Event()
        self.may.set()

    async def make(self) -> Client:
        await self.may.wait()
        self.made.append(Client(f"client {len(self.made)}"))
        return self.made[-1]


@pytest.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:
    yield
    await connections.aclose()


@pytest.fixture
async def maker() -> Maker:
    return Maker()


def pool(kept: int = 1) -> Shared[Client]:
    return Shared(Client.aclose, kept=kept)


async def test_calls_that_come_at_once_share_one(maker: Maker) -> None:
    shared = pool()
    maker.may.clear()
    holding = [asyncio.create_task(shared.hold("a", maker.make)) for _ in range(3)]
    await asyncio.sleep(0)
    maker.may.set()
    assert {client.name for client in await asyncio.gather(*holding)} == {"client 0"}


async def test_a_call_that_ends_while_it_waits_does_not_end_it_for_the_others(
    maker: Maker,
) -> None:
    shared = pool()
    maker.may.clear()
    first = asyncio.create_task(shared.hold("a", maker.make))
    second = asyncio.create_task(shared.hold("a", maker.make))
    await asyncio.sleep(0)
    first.cancel()
    maker.may.set()
    assert (await second).name == "client 0"


async def test_one_in_use_is_never_closed_for_another(maker: Maker) -> None:
    shared = pool(kept=1)
    used = await shared.hold("a", maker.make)
    for key in ("b", "c", "d"):
        await shared.hold(key, maker.make)
        await shared.let_go(key)
    assert [client.closed for client in maker.made] == [False, True, True, False]
    assert await shared.hold("a", maker.make) is used


async def test_one_that_could_not_be_made_is_tried_again(maker: Maker) -> None:
    async def fails() -> Client:
        raise OSError("no")

    shared = pool()
    with pytest.raises(OSError, match="no"):
        await shared.hold("a", fails)
    assert (await shared.hold("a", maker.make)).name == "client 0"


async def test_the_loops_end_closes_all(maker: Maker) -> None:
    shared = pool()
    client = await shared.hold("a", maker.make)
    await connections.aclose()
    assert client.closed
    await shared.let_go("a")


async def test_one_closer_that_fails_keeps_no_other_from_closing(maker: Maker) -> None:
    async def fails() -> None:
        raise OSError("no")

    connections.at_close(fails)
    client = await pool().hold("a", maker.make)
    await connections.aclose()
    assert client.closed
