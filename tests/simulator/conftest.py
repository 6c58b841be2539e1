"""A tone, an identity, and a server that plays the gateway's part on the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve

from apps.simulator.far_end import CallOptions
from apps.simulator.observer import Observer
from apps.simulator.record import CallRecord
from apps.simulator.script import Script, Step
from apps.simulator.stream import SimulatedCall
from apps.simulator.wire import Dial
from apps.telephony.inbound import Stream
from apps.voice import g711
from apps.voice.clock import LoopClock

STREAM = Stream("MZ" + "1" * 32, "CA" + "2" * 32, "AC" + "3" * 32, {"bot": "7c1e"})
Talk = Callable[[ServerConnection], Awaitable[None]]


def tone(ms: int, *, amplitude: float = 0.3) -> bytes:
    """A sine of 400 Hz as mu-law."""
    at = np.arange(ms * 8) / 8_000
    return g711.encode_float(amplitude * np.sin(2 * np.pi * 400 * at))


class Peer:
    """A server that waits for ``start``, hands its socket to ``talk`` and remembers the rest."""

    def __init__(self, talk: Talk, *, patient: bool) -> None:
        self.headers: dict[str, str] = {}
        self.heard: list[str | bytes] = []
        self.url = ""
        self._talk = talk
        self._patient = patient
        self.done = asyncio.Event()

    async def take(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.headers = {name.lower(): value for name, value in socket.request.headers.items()}
        try:
            if self._patient:
                self.heard += [await socket.recv(), await socket.recv()]
            await self._talk(socket)
            async for frame in socket:
                self.heard.append(frame)
        finally:
            self.done.set()


@asynccontextmanager
async def listening(talk: Talk, *, patient: bool = True) -> AsyncIterator[Peer]:
    peer = Peer(talk, patient=patient)
    async with serve(peer.take, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        peer.url = f"ws://127.0.0.1:{port}/media/twilio"
        yield peer


async def call(
    url: str,
    steps: tuple[Step, ...],
    *,
    observer: Observer | None = None,
    options: CallOptions | None = None,
    **dial: Any,
) -> CallRecord:
    """Hold one call in real time."""
    clock = LoopClock(asyncio.get_running_loop())
    far = SimulatedCall(
        Dial(url, STREAM, **dial), Script(steps), clock=clock, options=options, observer=observer
    )
    return await far.run()
