"""Lines that break, stall or come in crowds: nothing is left running, nobody else is held up."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from apps.bots.models import TwilioConfig
from apps.calls.models import Call
from apps.gateway import consumers
from apps.gateway import session as sessions
from apps.gateway.runtime import Gateway, gateway_close
from apps.providers.scripted_services import ScriptedMind, ScriptedTranscriber, ScriptedVoice
from apps.voice import supervision
from apps.voice.turns import Phase
from botsconfig.asgi import application
from tests.gateway.conftest import BotWith, Phone, in_database_thread, speech, until
from tests.gateway.strict_socket import SCOPE, StrictSocket

pytestmark = pytest.mark.django_db(transaction=True)

_UNTYPED: Any = ApplicationCommunicator


@pytest.fixture
def bot(bot_with: BotWith) -> TwilioConfig:
    """One that greets, thinks for a while, and takes its leave with its first answer."""
    return bot_with(
        greeting={"mode": "text", "text": "Welcome to the hotel."},
        stt={"lines": ["Goodbye."]},
        llm={
            "replies": ["It was a pleasure to have you."],
            "delay_ms": 100,
            "tool_calls": {"1": [{"name": "end_call"}]},
        },
        tts={"character_ms": 15},
    )


def strict(bot: TwilioConfig, call_sid: str = "CA1") -> tuple[Phone, StrictSocket]:
    phone = Phone(bot, call_sid=call_sid)
    phone.socket = socket = StrictSocket()
    return phone, socket


def phase_of(running: Gateway) -> Phase | None:
    """Return where the one call is."""
    return next((one.conversation.phase for one in running.sessions.values()), None)


# --- a caller who is gone at any moment -----------------------------------------------------------


async def connected(running: Gateway, phone: Phone) -> None:
    await phone.connect()


async def admitted(running: Gateway, phone: Phone) -> None:
    await phone.dial()


async def greeted(running: Gateway, phone: Phone) -> None:
    await phone.dial()
    await phone.until("media")


async def hearing(running: Gateway, phone: Phone) -> None:
    await phone.dial()
    await until(phone, lambda: phase_of(running) is Phase.LISTENING)
    await phone.say(speech(), quiet_s=0)
    await until(phone, lambda: phase_of(running) is Phase.HEARING)


async def thinking(running: Gateway, phone: Phone) -> None:
    await hearing(running, phone)
    await phone.say(b"")
    await until(phone, lambda: phase_of(running) is Phase.THINKING)


async def speaking(running: Gateway, phone: Phone) -> None:
    await thinking(running, phone)
    await until(phone, lambda: phase_of(running) is Phase.SPEAKING)


async def interrupting(running: Gateway, phone: Phone) -> None:
    await speaking(running, phone)
    await phone.say(speech(), quiet_s=0)
    await until(phone, lambda: phase_of(running) is Phase.OVERTAKEN)


async def leaving(running: Gateway, phone: Phone) -> None:
    await speaking(running, phone)
    await until(phone, lambda: phase_of(running) in (Phase.PARTING, Phase.CLOSING, Phase.ENDED))


MOMENTS = (connected, admitted, greeted, hearing, thinking, speaking, interrupting, leaving)
Moment = Callable[[Gateway, Phone], Awaitable[None]]


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
async def test_a_line_that_breaks_at_any_moment_leaves_nothing_running(
    running: Gateway, bot: TwilioConfig, caplog: pytest.LogCaptureFixture, moment: Moment
) -> None:
    await running.journal.flushed(5)
    before = len(asyncio.all_tasks())
    phone, socket = strict(bot)
    await moment(running, phone)
    await phone.vanish()
    await socket.wait()
    async with asyncio.timeout(2):
        while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110 - tasks end by themselves
            await asyncio.sleep(0)
    assert not running.sessions
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_many_calls_leave_no_provider_open_and_no_memory_behind(
    running: Gateway, bot: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The supervisor looks at each of them, and must not keep the last one in its eye.
    monkeypatch.setattr(supervision, "EVERY_S", 0.001)
    closed: list[int] = []
    for kind in (ScriptedTranscriber, ScriptedMind, ScriptedVoice):

        async def aclose(self: object) -> None:
            closed.append(id(self))

        monkeypatch.setattr(kind, "aclose", aclose)
    held: list[weakref.ref[Any]] = []
    for number in range(20):
        phone, socket = strict(bot, f"CA{number}")
        await phone.dial()
        await phone.until("media")
        (session,) = running.sessions.values()
        held.append(weakref.ref(session))
        del session
        await (phone.vanish() if number % 2 else phone.hang_up())
        await socket.wait()
        assert len(closed) == 3 * (number + 1)
    del phone, socket
    gc.collect()
    assert [ref for ref in held if ref() is not None] == []


# --- a peer that reads nothing --------------------------------------------------------------------


async def test_a_peer_that_reads_nothing_is_heard_all_the_same(
    running: Gateway, bot: TwilioConfig
) -> None:
    phone, socket = strict(bot)
    await phone.dial()
    await phone.until("media")
    socket.deaf = True
    (session,) = running.sessions.values()
    heard_s = session.conversation.parts.hearing.reading.stream_s
    await phone.say(speech())
    expected_s = heard_s + len(speech()) / 8_000 + 0.5
    async with asyncio.timeout(5):
        while session.conversation.parts.hearing.reading.stream_s < expected_s - 0.05:  # noqa: ASYNC110
            await asyncio.sleep(0)
    await phone.vanish()
    await socket.wait()


async def test_a_peer_that_reads_nothing_for_long_loses_its_call(
    running: Gateway, bot: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "STUCK_S", 0.3)
    monkeypatch.setattr(consumers, "CLOSED_S", 0.1)
    phone, socket = strict(bot)
    await phone.dial()
    await phone.until("media")
    socket.deaf = True
    async with asyncio.timeout(5):
        while running.sessions:  # noqa: ASYNC110 - the supervisor looks by a clock
            await asyncio.sleep(0.01)
    await gateway_close()
    (call,) = await in_database_thread(lambda: list(Call.objects.all()))()
    assert (call.status, call.end_reason) == ("in-progress", "line_stuck")
    assert call.stream_ended_at is not None
    async with asyncio.timeout(5):
        await socket.broken.wait()
    await socket.wait()


# --- who may knock --------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [None, b"https://voice.example.com", b"https://elsewhere.test"])
async def test_no_origin_is_asked_for_since_twilio_sends_none(
    running: Gateway, bot: TwilioConfig, origin: bytes | None
) -> None:
    phone = Phone(bot, headers={b"origin": origin} if origin else {})
    await phone.dial()
    await phone.until("media")
    await phone.hang_up()


@pytest.mark.parametrize("path", ["/media/twilio/", "/media/twilio"])
async def test_the_slash_of_the_path_means_nothing(
    running: Gateway, bot: TwilioConfig, path: str
) -> None:
    phone = Phone(bot)
    phone.socket = _UNTYPED(application, {**SCOPE, "path": path})
    await phone.dial()
    await phone.until("media")
    await phone.hang_up()


@pytest.mark.parametrize("path", ["/", "/media", "/media/twilio/more", "/ws/twilio"])
async def test_a_socket_on_another_path_is_refused_and_is_no_error(path: str) -> None:
    socket = _UNTYPED(application, {**SCOPE, "path": path})
    await socket.send_input({"type": "websocket.connect"})
    assert await socket.receive_output(3) == {"type": "websocket.close", "code": 1008}
    await socket.wait()
