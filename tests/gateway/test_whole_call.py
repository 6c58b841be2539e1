"""Whole calls in speech: a real server, a simulated phone, and the trio that works offline.

What the bot says is checked by listening to it: the recording is transcribed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from apps.bots.models import TwilioConfig
from apps.calls.models import Turn
from apps.gateway.runtime import gateway_close
from apps.providers import registry
from apps.providers.local_ears import recognise
from apps.providers.workers import EARS
from apps.simulator.caller import Speech
from apps.simulator.far_end import CallOptions
from apps.simulator.record import CallRecord, exchanges
from apps.simulator.script import Script, conversation
from apps.simulator.stream import SimulatedCall
from apps.simulator.wire import Dial
from apps.telephony import inbound
from apps.voice import g711
from apps.voice.clock import LoopClock
from tests.gateway.conftest import BotWith, in_database_thread
from tests.gateway.served import gateway_served
from tests.providers.local_speech import plain, spoken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.local_models]

PROMPT = (
    "You are the front desk of Harbor Dental. We are open Monday to Friday from nine to five. "
    "A check-up costs sixty dollars. Parking is free behind the building."
)
GREETING = "Welcome to Harbor Dental. How can I help you today?"


@pytest.fixture
def desk(bot_with: BotWith) -> TwilioConfig:
    local = {"provider": "local"}
    greeting = {"mode": "text", "text": GREETING}
    return bot_with(llm={**local, "prompt": PROMPT}, stt=local, tts=local, greeting=greeting)


@pytest.fixture
async def url(transactional_db: None) -> AsyncIterator[str]:
    """A served gateway's media socket, its models loaded as a server loads them at its start."""
    await registry.warm_up()
    async with gateway_served() as found:
        yield found


async def call(
    url: str, bot: TwilioConfig, *texts: str, interrupt_after_s: float | None = None
) -> CallRecord:
    parameters = {
        "account": str(bot.account_id),
        "bot": str(bot.id),
        "token": bot.stream_token,
    }
    speeches = [Speech.of(await spoken(text)) for text in texts]
    phone = SimulatedCall(
        Dial(url, inbound.Stream("MZ" + "1" * 32, "CA" + "1" * 32, "AC" + "1" * 32, parameters)),
        Script(conversation(speeches, interrupt_after_s=interrupt_after_s)),
        clock=LoopClock(asyncio.get_running_loop()),
        options=CallOptions(max_s=40),
    )
    return await phone.run()


async def heard_in(record: CallRecord, spurt: int) -> list[str]:
    """Transcribe one talk spurt of the bot, as the phone played it."""
    found = record.spurts[spurt]
    cut = slice(int(found.start_s * g711.SAMPLE_RATE), int((found.end_s + 0.2) * g711.SAMPLE_RATE))
    return plain(await EARS.run(recognise, record.bot[cut]))


@in_database_thread
def turns() -> list[Turn]:
    return list(Turn.objects.order_by("id"))


async def test_two_turns_in_speech_are_understood_on_both_sides(
    url: str, desk: TwilioConfig
) -> None:
    record = await call(url, desk, "What are your opening hours?", "How much is a check-up?")
    # Gaps are not counted here: in this one busy process they would measure the machine. The
    # playout's tests hold them in virtual time, the media benchmark counts them over a real socket.
    assert record.warnings == ()
    assert {"welcome", "help"} <= set(await heard_in(record, 0))
    assert {"monday", "friday"} <= set(await heard_in(record, 1))
    assert "dollars" in await heard_in(record, 2)
    await gateway_close()
    said = [(turn.role, plain(turn.text_heard)) for turn in await turns()]
    assert [role for role, _ in said] == ["bot", "caller", "bot", "caller", "bot"]
    assert "hours" in said[1][1]
    assert {"how", "much"} <= set(said[3][1])


async def test_an_interrupted_greeting_falls_silent_and_is_remembered_as_heard(
    url: str, desk: TwilioConfig
) -> None:
    record = await call(url, desk, "Where can I park my car?", interrupt_after_s=1.0)
    assert record.spurts[0].cleared
    assert exchanges(record)[0].talked_over
    assert {"parking", "free"} & set(await heard_in(record, 1))
    await gateway_close()
    greeting = (await turns())[0]
    assert greeting.interrupted
    assert GREETING.startswith(greeting.text_heard)
    assert greeting.text_heard != GREETING
