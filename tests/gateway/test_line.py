"""The way out of one stream: what is queued behind a slow socket, and what is dropped from it."""

from __future__ import annotations

import asyncio

import orjson

from apps.gateway.line import OUTBOX, StreamLine
from tests.support.virtual_time import VirtualClock, in_virtual_time

AUDIO = b"\xff" * 160


class SlowSocket:
    """Takes a message a second."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def send(self, text: str) -> None:
        self.events.append(orjson.loads(text)["event"])
        await asyncio.sleep(1)


def slow_line() -> tuple[StreamLine, SlowSocket]:
    socket = SlowSocket()
    return StreamLine("MZ1", send=socket.send, clock=VirtualClock()), socket


@in_virtual_time
async def test_a_clear_overtakes_the_audio_that_the_socket_has_not_taken() -> None:
    line, socket = slow_line()
    writing = asyncio.create_task(line.run())
    for _ in range(5):
        line.play(AUDIO)
    line.mark("1.100")
    await asyncio.sleep(0.1)
    line.clear()
    line.play(AUDIO)
    line.hang_up("bot_ended")
    await writing
    assert socket.events == ["media", "clear", "media"]


@in_virtual_time
async def test_a_hang_up_waits_for_what_was_said_before_it() -> None:
    line, socket = slow_line()
    writing = asyncio.create_task(line.run())
    line.play(AUDIO)
    line.play(AUDIO)
    line.hang_up("bot_ended")
    line.play(AUDIO)
    await writing
    assert socket.events == ["media", "media"]
    assert line.end_reason == "bot_ended"


@in_virtual_time
async def test_what_a_peer_does_not_read_is_bounded() -> None:
    line, _ = slow_line()
    for _ in range(OUTBOX + 50):
        line.play(AUDIO)
    assert line.backlog() == OUTBOX


@in_virtual_time
async def test_it_knows_for_how_long_the_peer_has_not_read() -> None:
    line, _ = slow_line()
    writing = asyncio.create_task(line.run())
    line.play(AUDIO)
    await asyncio.sleep(0.6)
    assert 0.5 < line.stuck_s() < 0.7
    line.hang_up("line_stuck")
    await writing
    assert line.stuck_s() == 0
