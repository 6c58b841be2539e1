"""Events are read whatever the pieces they come in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from apps.providers.event_stream import EventStream
from apps.voice.ports import ProviderError


class Told:
    """A response whose bytes are given. keeps_on: what it repeats for ever after."""

    def __init__(self, *pieces: bytes, keeps_on: bytes = b"") -> None:
        self.headers = {"content-type": "text/event-stream"}
        self.pieces, self.keeps_on = pieces, keeps_on
        self.closed = 0

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
        while self.keeps_on:
            await asyncio.sleep(0)
            yield self.keeps_on

    async def aclose(self) -> None:
        self.closed += 1


def stream(told: Told, patience_s: float = 5.0) -> EventStream:
    return EventStream("acme", told, patience_s=patience_s, broken=(httpx.HTTPError,))


async def events(told: Told) -> list[bytes]:
    found, reading = [], stream(told)
    while (data := await reading.next()) is not None:
        found.append(data)
    return found


WHOLE = (
    b': hello\r\nevent: x\r\ndata: {"a": 1}\r\n\r\n'
    b"id: 7\ndata:two\ndata: lines\n\n: end\n\ndata: 3\n\n"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
async def test_events_are_found_in_any_pieces(size: int) -> None:
    pieces = [WHOLE[n : n + size] for n in range(0, len(WHOLE), size)]
    assert await events(Told(*pieces)) == [b'{"a": 1}', b"two\nlines", b"3"]


async def test_signs_of_life_are_no_events() -> None:
    with pytest.raises(ProviderError) as caught:
        await stream(Told(keeps_on=b": keep-alive\n\n"), patience_s=0.05).next()
    assert caught.value.reason == "timeout"


async def test_an_event_without_end_is_refused() -> None:
    with pytest.raises(ProviderError) as caught:
        await stream(Told(b"data: ", keeps_on=b"x" * 65_536)).next()
    assert caught.value.reason == "unavailable"


async def test_the_last_bytes_are_not_waited_for_long() -> None:
    told = Told(b"data: 1\n\n", keeps_on=b": x\n\n")
    reading = stream(told)
    assert await reading.next() == b"1"
    await reading.drain()
    await reading.aclose()
    assert told.closed == 1
