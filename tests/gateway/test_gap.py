"""The stages of an answer add up to the gap that the caller heard: by ear, and by the recording."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from apps.calls.models import Turn
from apps.gateway.runtime import gateway_close
from apps.simulator.record import exchanges
from tests.gateway.conftest import BotWith, in_database_thread
from tests.gateway.served import gateway_served
from tests.gateway.test_recording import (
    RATE,
    RECORDED,
    Track,
    channels,
    recording,
    simulated,
    stored,
)

__all__ = ("stored",)

pytestmark = pytest.mark.django_db(transaction=True)

# Speech is looked at in windows of 32 ms, whose middle counts, and is sent in frames of 20 ms.
TOLERANCE_MS = 50.0
# A sample that is heard, and the silence between two sounds.
LOUD, PAUSE = 300, RATE // 5


@contextlib.asynccontextmanager
async def far_away(url: str, way_s: float) -> AsyncIterator[str]:
    """Put a network before the gateway that takes so long in each direction."""

    loop = asyncio.get_running_loop()

    async def carry(source: Any, sink: Any) -> None:
        under_way: asyncio.Queue[tuple[float, str | None]] = asyncio.Queue()

        async def deliver() -> None:
            while (found := await under_way.get())[1] is not None:
                await asyncio.sleep(found[0] - loop.time())
                await sink.send(found[1])

        delivering = asyncio.create_task(deliver())
        with contextlib.suppress(ConnectionClosed):
            async for text in source:
                under_way.put_nowait((loop.time() + way_s, text))
        under_way.put_nowait((0.0, None))
        with contextlib.suppress(ConnectionClosed):
            await delivering
        await sink.close()

    async def relay(phone: ServerConnection) -> None:
        async with connect(url) as gateway:
            await asyncio.gather(carry(phone, gateway), carry(gateway, phone))

    async with serve(relay, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/media/twilio"


def gap_before(left: Track, right: Track, began_s: float) -> float:
    """Return the silence before the bot's sound nearest to that moment, in ms."""
    spoken, heard = (np.flatnonzero(np.abs(track) > LOUD) for track in (left, right))
    starts = heard[np.flatnonzero(np.diff(heard, prepend=-RATE) > PAUSE)]
    start = starts[np.argmin(np.abs(starts - began_s * RATE))]
    return float(start - spoken[spoken < start].max()) * 1_000 / RATE


@in_database_thread
def answers() -> list[Turn]:
    return [turn for turn in Turn.objects.order_by("id") if turn.stages_ms]


@pytest.mark.parametrize("way_s", [0.0, 0.09], ids=["near", "far"])
async def test_the_stages_add_up_to_the_gap_that_the_caller_heard(
    transactional_db: None, bot_with: BotWith, way_s: float
) -> None:
    slow = {"llm": {"delay_ms": 150}, "stt": {"delay_ms": 80}, "tts": {"delay_ms": 60}}
    bot = await in_database_thread(bot_with)(recording=RECORDED, **slow)
    async with gateway_served() as url:
        async with far_away(url, way_s) as far:
            call = await simulated(far, bot)
        await gateway_close()
        found, turns = await recording(), await answers()
        left, right = channels(found)
    by_ear = [one.latency_ms for one in exchanges(call) if one.latency_ms is not None]
    assert len(turns) == len(by_ear) == 2
    for turn, ear_ms in zip(turns, by_ear, strict=True):
        assert turn.latency_ms == round(sum(turn.stages_ms.values()), 1)
        assert turn.latency_ms == pytest.approx(ear_ms, abs=TOLERANCE_MS)
        began_s = (turn.started_at - found.started_at).total_seconds() + 2 * way_s
        recorded_ms = gap_before(left, right, began_s)
        assert turn.latency_ms == pytest.approx(recorded_ms, abs=TOLERANCE_MS)
        assert turn.stages_ms.get("network", 0.0) == pytest.approx(2_000 * way_s, abs=30)
        assert turn.stages_ms["model"] == pytest.approx(150, abs=30)
