"""What somebody who watches a call is told, and that the call does not mind."""

from __future__ import annotations

import asyncio
import struct
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.conf import settings as configured

from apps.bots.models import TwilioConfig
from apps.calls import control
from apps.calls.models import Call
from apps.calls.watching import Side, sound
from apps.gateway import taps
from apps.gateway import watching as watching_module
from apps.gateway.runtime import Gateway
from apps.gateway.session import Session
from apps.gateway.taps import Tap, Viewer
from tests.gateway.conftest import BotWith, Phone, in_database_thread, speech
from tests.support.virtual_time import VirtualClock, in_virtual_time
from tests.voice.far_end import Call as FarEnd

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bot(bot_with: BotWith) -> TwilioConfig:
    return bot_with(
        stt={"lines": ["Hello there."]},
        llm={"replies": ["Good day."]},
        greeting={"mode": "text", "text": "Welcome."},
    )


class Watcher:
    """A viewer's end of the channel layer."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.items: list[Any] = []

    @property
    def events(self) -> list[dict[str, Any]]:
        return [item for item in self.items if isinstance(item, dict)]

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events]

    def audio(self, side: Side) -> bytes:
        packed = [item for item in self.items if isinstance(item, bytes) and item[0] == side]
        return b"".join(item[5:] for item in packed)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                batch = await get_channel_layer().receive(self.channel)
                self.items += batch["items"]

    async def until_kind(self, kind: str) -> None:
        await self.until(lambda: kind in self.kinds())


async def watcher(call: Call, *, audio: bool = True) -> Watcher:
    found = Watcher(await get_channel_layer().new_channel("watch"))
    await asyncio.to_thread(control.watch, call, channel=found.channel, audio=audio)
    return found


async def on(running: Gateway, phone: Phone) -> tuple[Session, Call]:
    """Have the phone's call begin, and return it."""
    await phone.dial()
    assert (await phone.message())["event"] == "media"
    await running.journal.flushed(5)
    (session,) = running.sessions.values()
    return session, await in_database_thread(Call.objects.get)(pk=session.call_id)


async def test_what_is_said_and_heard_is_told_in_order(running: Gateway, bot: TwilioConfig) -> None:
    phone = Phone(bot)
    _, call = await on(running, phone)
    seen = await watcher(call)
    await phone.until("mark")
    await phone.until("mark")
    await phone.say(speech())
    await phone.until("media")
    await phone.until("mark")
    await phone.hang_up()
    await seen.until_kind("stream.ended")
    kinds = seen.kinds()
    assert kinds[0] == "watching"
    assert kinds[-1] == "stream.ended"
    turns = [event for event in seen.events if event["kind"] == "turn"]
    assert [(one["role"], one["heard"]) for one in turns[:2]] == [
        ("bot", "Welcome."),
        ("caller", "Hello there."),
    ]
    assert [one["index"] for one in turns] == list(range(len(turns)))
    causes = [event["cause"] for event in seen.events if event["kind"] == "phase"]
    expected = ("speech started", "speech ended", "words", "reply started", "gone")
    assert [cause for cause in causes if cause in expected] == list(expected)
    (answer,) = [event for event in seen.events if event["kind"] == "bot.answer"]
    assert answer["latency_ms"] == pytest.approx(sum(answer["stages_ms"].values()), abs=0.1)
    final = kinds.index("caller.final")
    assert final < kinds.index("turn", final) < kinds.index("bot.answer")
    ended = seen.events[-1]
    assert ended["reason"] == "caller_hung_up"


async def test_both_voices_are_heard_whole(running: Gateway, bot: TwilioConfig) -> None:
    phone = Phone(bot)
    _, call = await on(running, phone)
    seen = await watcher(call)
    spoken = speech()
    # No more than a viewer may fall behind by, for this phone is faster than real time.
    spoken = spoken[: taps.AUDIO_BYTES // 2]
    await phone.say(spoken, quiet_s=0)
    await seen.until(lambda: len(seen.audio(Side.CALLER)) >= len(spoken))
    assert seen.audio(Side.CALLER) == spoken
    await phone.hang_up()
    await seen.until_kind("stream.ended")
    bots = seen.audio(Side.BOT)
    assert bytes(phone.heard).endswith(bots) or bots in bytes(phone.heard)


async def test_who_asks_for_words_alone_gets_no_audio(running: Gateway, bot: TwilioConfig) -> None:
    phone = Phone(bot)
    _, call = await on(running, phone)
    seen = await watcher(call, audio=False)
    await phone.say(speech())
    await phone.hang_up()
    await seen.until_kind("stream.ended")
    assert not [item for item in seen.items if isinstance(item, bytes)]


async def test_a_viewer_that_is_gone_is_forgotten_and_the_call_untapped(
    running: Gateway, bot: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_module, "TTL_S", 0.05)
    phone = Phone(bot)
    session, call = await on(running, phone)
    seen = await watcher(call)
    assert (session.tap is not None, session.line.tap is session.tap) == (True, True)
    pumps = list(running._watching._pumps)
    await asyncio.wait(pumps, timeout=5)
    assert (session.tap, session.line.tap) == (None, None)
    # And may come back.
    monkeypatch.setattr(watching_module, "TTL_S", 15)
    again = await watcher(call)
    await again.until_kind("watching")
    assert "stream.ended" not in seen.kinds()
    await phone.hang_up()


async def test_it_leaves_when_it_says_so(running: Gateway, bot: TwilioConfig) -> None:
    phone = Phone(bot)
    session, call = await on(running, phone)
    first, second = await watcher(call), await watcher(call)
    await asyncio.to_thread(control.unwatch, call, channel=first.channel)
    assert session.tap is not None
    assert list(session.tap.viewers) == [second.channel]
    await phone.hang_up()


async def test_a_call_has_so_many_viewers(
    running: Gateway, bot: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_module, "MOST", 1)
    phone = Phone(bot)
    _, call = await on(running, phone)
    first = await watcher(call)
    with pytest.raises(control.OrderRefused, match="Too many"):
        await watcher(call)
    # Who watches already goes on.
    await asyncio.to_thread(control.watch, call, channel=first.channel, audio=False)
    await phone.hang_up()


async def test_a_call_elsewhere_is_out_of_reach_without_redis(
    running: Gateway, bot: TwilioConfig, settings: Any
) -> None:
    settings.REDIS_URL = ""
    phone = Phone(bot)
    _, call = await on(running, phone)
    call.gateway = uuid.uuid4()
    with pytest.raises(control.GatewayNotReached, match="set REDIS_URL"):
        await watcher(call)
    await phone.hang_up()


@pytest.mark.skipif(not configured.REDIS_URL, reason="needs REDIS_URL")
async def test_a_call_of_another_process_is_watched_over_redis(
    running: Gateway, bot: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = Phone(bot)
    _, call = await on(running, phone)
    # As if it were elsewhere: nothing of this process takes the order directly.
    monkeypatch.setattr(control, "_holders", {})
    seen = await watcher(call)
    await phone.say(speech()[: taps.AUDIO_BYTES // 2], quiet_s=0)
    await seen.until(lambda: bool(seen.audio(Side.CALLER)))
    await phone.hang_up()
    await seen.until_kind("stream.ended")


# --- what a viewer may fall behind by -------------------------------------------------------------


def test_a_viewer_that_is_behind_loses_the_oldest_audio_and_no_event() -> None:
    viewer = Viewer("x", audio=True, until=0)
    piece = taps.AUDIO_BYTES // 4
    viewer.tell({"kind": "phase"})
    for number in range(6):
        viewer.hear(sound(Side.CALLER, number, b"\xff" * piece), piece)
    lost, phase, *audio = viewer.take()
    assert lost == {"kind": "dropped", "events": 0, "audio_ms": 2 * piece // 8}
    assert phase == {"kind": "phase"}
    numbers = [struct.unpack("<BI", item[:5])[1] for item in audio if isinstance(item, bytes)]
    assert numbers == [2, 3, 4, 5]
    assert viewer.take() == []


@in_virtual_time
async def test_a_caller_who_is_not_fetched_for_long_loses_the_oldest_audio_alone() -> None:
    clock = VirtualClock()
    async with FarEnd() as call:
        tap = Tap(call.talk, "MZ1", clock)
        tap.see("x", audio=True, until=clock.now() + 60)
        spoken = b""
        for number in range(300):
            await asyncio.sleep(0.02)
            tap.caller(frame := bytes([number % 256]) * 160)
            spoken += frame
        tap.look()
    lost, *items = tap.viewers["x"].take()
    kept = b"".join(item[5:] for item in items if isinstance(item, bytes))
    assert isinstance(lost, dict)
    assert lost["audio_ms"] * 8 + len(kept) == len(spoken)
    assert len(kept) > taps.AUDIO_BYTES - taps.KEPT_BYTES - 160
    assert spoken.endswith(kept)


def test_events_are_bounded_too_and_counted() -> None:
    viewer = Viewer("x", audio=False, until=0)
    for number in range(taps.EVENTS + 3):
        viewer.tell({"kind": "phase", "n": number})
    lost, first, *_ = viewer.take()
    assert lost == {"kind": "dropped", "events": 3, "audio_ms": 0}
    assert first == {"kind": "phase", "n": 3}


def test_what_could_not_be_sent_is_counted_with_what_was_lost_before() -> None:
    viewer = Viewer("x", audio=True, until=0)
    viewer.tell({"kind": "phase"})
    viewer.hear(sound(Side.BOT, 0, b"\xff" * 800), 800)
    viewer.lose(viewer.take())
    viewer.lose(viewer.take())
    assert viewer.take() == [{"kind": "dropped", "events": 1, "audio_ms": 100}]
