"""What a whole call used and cost, as its rows say it afterwards."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from pytest_django import Settings

from apps.bots.models import TwilioConfig
from apps.calls.models import Call, Turn
from apps.gateway.runtime import Gateway, gateway_close
from tests.gateway.conftest import BotWith, Phone, in_database_thread, speech

pytestmark = pytest.mark.django_db(transaction=True)

PRICES: dict[str, Any] = {
    "stt/scripted/*": {"stream_minute": 0.06},
    "llm/scripted/*": {"prompt": 1_000, "completion": 2_000},
    "tts/scripted/*": {"characters": 500},
}


@pytest.fixture
def bot(bot_with: BotWith) -> TwilioConfig:
    return bot_with(stt={"lines": ["Hello there."]}, llm={"replies": ["Good day."]})


@in_database_thread
def written() -> tuple[Call, list[Turn]]:
    return Call.objects.get(), list(Turn.objects.order_by("id"))


async def asked_once(bot: TwilioConfig) -> tuple[Call, list[Turn]]:
    """Hold a call in which one question is answered; return its rows."""
    phone = Phone(bot)
    await phone.dial()
    await phone.say(speech())
    await phone.until("mark")
    await phone.say(b"", quiet_s=1)
    await phone.hang_up()
    await gateway_close()
    return await written()


async def test_a_call_says_what_it_cost_by_slot(
    running: Gateway, bot: TwilioConfig, settings: Settings
) -> None:
    settings.PRICES = PRICES
    call, turns = await asked_once(bot)
    lines = {line["slot"]: line for line in call.costs}
    assert set(lines) == {"stt", "llm", "tts"}
    assert lines["llm"]["provider"] == "scripted"
    assert lines["llm"]["units"]["llm_requests_counted"] == 1
    # Two messages in, two words out.
    assert Decimal(lines["llm"]["cost_usd"]) == Decimal("0.002") + Decimal("0.004")
    assert lines["tts"]["units"]["tts_characters"] == len("Good day.")
    assert Decimal(lines["tts"]["cost_usd"]) == Decimal("0.0045")
    seconds = lines["stt"]["units"]["stt_stream_s"]
    assert seconds == pytest.approx(len(speech()) / 8_000 + 1.5, abs=0.02)
    assert float(lines["stt"]["cost_usd"]) == pytest.approx(seconds / 1_000, abs=1e-6)
    assert call.cost_is_complete
    assert call.cost_usd == sum(Decimal(line["cost_usd"]) for line in call.costs)


async def test_each_turn_says_its_part_and_the_call_what_no_turn_has(
    running: Gateway, bot: TwilioConfig, settings: Settings
) -> None:
    settings.PRICES = PRICES
    call, (caller, said) = await asked_once(bot)
    assert caller.cost_usd is not None
    assert caller.stt_stream_s > len(speech()) / 8_000
    assert float(caller.cost_usd) == pytest.approx(caller.stt_stream_s / 1_000, abs=1e-5)
    assert (said.llm_requests, said.prompt_tokens, said.tts_characters) == (1, 2, 9)
    assert said.cost_usd == Decimal("0.0105")
    assert call.cost_usd is not None
    # A second of silence after the answer belongs to no turn.
    left = call.cost_usd - caller.cost_usd - said.cost_usd
    assert float(left) == pytest.approx(0.001, abs=0.0003)


async def test_what_nobody_knows_the_price_of_leaves_a_lower_bound(
    running: Gateway, bot: TwilioConfig, settings: Settings
) -> None:
    settings.PRICES = {**PRICES, "llm/scripted/*": {}, "stt/scripted/*": {"stream_minute": 0}}
    call, (caller, said) = await asked_once(bot)
    assert (call.cost_usd, call.cost_is_complete) == (Decimal("0.0045"), False)
    said_of = {line["slot"]: (line["cost_usd"], line["is_complete"]) for line in call.costs}
    assert said_of["llm"] == (None, False)
    assert said_of["stt"] == ("0.00000000", True)
    assert caller.cost_usd == 0
    assert said.cost_usd is None


async def test_what_runs_on_this_server_is_known_to_cost_nothing(
    running: Gateway, bot: TwilioConfig
) -> None:
    call, turns = await asked_once(bot)
    assert (call.cost_usd, call.cost_is_complete) == (Decimal(0), True)
    assert [turn.cost_usd for turn in turns] == [0, 0]


async def test_a_call_that_no_provider_took_costs_nothing(
    running: Gateway, bot_with: BotWith
) -> None:
    phone = Phone(await in_database_thread(bot_with)(tts={"provider": "playht"}))
    await phone.dial()
    while (await phone.message())["event"] != "close":
        pass
    await gateway_close()
    call, _ = await written()
    assert (call.cost_usd, call.cost_is_complete) == (Decimal(0), True)
    assert call.costs == []


async def heard(running: Gateway, seconds: float) -> None:
    """Wait until the only call has heard so much."""
    async with asyncio.timeout(5):
        while not running.sessions:  # noqa: ASYNC110 - admission tells nobody
            await asyncio.sleep(0.001)
        (session,) = running.sessions.values()
        while session.conversation.used().stream_s < seconds:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_both_streams_of_a_call_are_in_its_cost(
    running: Gateway, bot: TwilioConfig, settings: Settings
) -> None:
    settings.PRICES = PRICES
    first, second = Phone(bot), Phone(bot)
    await first.dial()
    await first.say(b"", quiet_s=3)
    await heard(running, 3)
    await second.dial()
    while (await first.message())["event"] != "close":
        pass
    await second.say(b"", quiet_s=2)
    await heard(running, 2)
    await second.hang_up()
    await gateway_close()
    call, _ = await written()
    seconds = [line["units"]["stt_stream_s"] for line in call.costs if line["slot"] == "stt"]
    assert seconds == [3, 2]
    assert (call.cost_usd, call.cost_is_complete) == (Decimal("0.005"), True)
