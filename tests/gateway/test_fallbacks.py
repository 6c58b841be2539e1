"""Calls whose providers fail and are taken over for: what is heard, told and charged."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pytest_django import Settings

from apps.bots.models import TwilioConfig
from apps.bots.selectors import admission_of
from apps.calls.models import Call, CallEvent, Turn
from apps.gateway.building import providers_of
from apps.gateway.runtime import Gateway, gateway_close
from apps.voice.fallback import MindChain, VoiceChain
from tests.gateway.conftest import BotWith, Phone, in_database_thread, speech

pytestmark = pytest.mark.django_db(transaction=True)

PRICES: dict[str, Any] = {
    "stt/scripted/*": {"stream_minute": 0},
    "llm/scripted/*": {"prompt": 1_000, "completion": 2_000},
    "llm/scripted/second": {"prompt": 10, "completion": 20},
    "tts/scripted/*": {"characters": 500},
    "tts/scripted/second": {"characters": 5},
}
SECOND: dict[str, Any] = {"provider": "scripted", "model": "second"}
ANSWERS = {**SECOND, "replies": ["Good day."]}


@in_database_thread
def written() -> tuple[Call, list[Turn], list[tuple[str, dict[str, Any]]]]:
    events = CallEvent.objects.order_by("id").values_list("kind", "data")
    return Call.objects.get(), list(Turn.objects.order_by("id")), list(events)


async def asked(bot: TwilioConfig, times: int = 1) -> Any:
    """Hold a call in which something is asked; return its rows."""
    phone = Phone(bot)
    await phone.dial()
    for _ in range(times):
        await phone.say(speech())
        await phone.until("mark")
        await phone.say(b"", quiet_s=1)
    await phone.hang_up()
    await gateway_close()
    return await written()


def said(turns: list[Turn]) -> list[str]:
    return [turn.text_said for turn in turns if turn.role == "bot"]


def of_kind(events: list[tuple[str, dict[str, Any]]], kind: str) -> list[dict[str, Any]]:
    return [data for found, data in events if found == kind]


async def test_the_second_model_answers_and_the_journal_says_so(
    running: Gateway, bot_with: BotWith
) -> None:
    bot = await in_database_thread(bot_with)(llm={"fault": "refuse", "fallbacks": [ANSWERS]})
    _, turns, events = await asked(bot, times=2)
    assert said(turns) == ["Good day.", "Good day."]
    switched = {"slot": "llm", "from": "scripted", "to": "scripted/second", "reason": "auth"}
    assert of_kind(events, "provider.switched") == [switched]
    assert of_kind(events, "provider.failed") == []


async def test_every_slot_is_taken_over_for(running: Gateway, bot_with: BotWith) -> None:
    bot = await in_database_thread(bot_with)(
        stt={"fault": "cut", "fallbacks": [{**SECOND, "lines": ["Who is there?"]}]},
        llm={"fault": "rate_limit", "fallbacks": [SECOND]},
        tts={"fault": "empty", "fallbacks": [SECOND]},
    )
    _, turns, events = await asked(bot)
    assert [turn.text_said for turn in turns] == ["Who is there?", "You said: Who is there?"]
    assert [found["slot"] for found in of_kind(events, "provider.switched")] == [
        "stt",
        "llm",
        "tts",
    ]


async def test_a_fallback_without_its_key_is_left_out(running: Gateway, bot_with: BotWith) -> None:
    keyless = {"provider": "openai"}
    bot = await in_database_thread(bot_with)(
        llm={"fault": "refuse", "fallbacks": [keyless, ANSWERS]}
    )
    _, turns, events = await asked(bot)
    assert said(turns) == ["Good day."]
    assert of_kind(events, "provider.missing") == [{"provider": "llm: openai: no key"}]
    assert [found["to"] for found in of_kind(events, "provider.switched")] == ["scripted/second"]


async def test_where_the_first_cannot_run_the_next_one_serves_alone(
    running: Gateway, bot_with: BotWith, settings: Settings
) -> None:
    settings.PRICES = PRICES
    bot = await in_database_thread(bot_with)(
        llm={"provider": "openai", "model": "gpt-5", "fallbacks": [ANSWERS]}
    )
    call, turns, events = await asked(bot)
    assert said(turns) == ["Good day."]
    switched = {"slot": "llm", "from": "openai/gpt-5", "to": "scripted/second", "reason": "missing"}
    assert of_kind(events, "provider.switched") == [switched]
    (line,) = (line for line in call.costs if line["slot"] == "llm")
    assert (line["provider"], line["model"], line["is_complete"]) == ("scripted", "second", True)


async def test_where_nobody_can_run_it_is_as_without_a_chain(
    running: Gateway, bot_with: BotWith
) -> None:
    gone = {"provider": "playht", "fallbacks": [{"provider": "cartesia"}]}
    phone = Phone(await in_database_thread(bot_with)(tts=gone))
    await phone.dial()
    while (await phone.message())["event"] != "close":
        pass
    await gateway_close()
    call, _, events = await written()
    assert call.end_reason == "provider_failure"
    (missing,) = of_kind(events, "provider.missing")
    assert missing["provider"].startswith("tts: playht")


async def test_whoever_served_is_whose_prices_count(
    running: Gateway, bot_with: BotWith, settings: Settings
) -> None:
    settings.PRICES = PRICES
    bot = await in_database_thread(bot_with)(
        stt={"lines": ["Hello there."]},
        llm={"replies": ["One two."], "fault": "refuse", "fault_at": 2, "fallbacks": [ANSWERS]},
        tts={"fault": "refuse", "fault_at": 2, "fallbacks": [SECOND]},
    )
    call, turns, _ = await asked(bot, times=2)
    assert said(turns) == ["One two.", "Good day."]
    lines = {(line["slot"], line["model"]): line for line in call.costs}
    assert set(lines) == {
        ("stt", ""),
        ("llm", ""),
        ("llm", "second"),
        ("tts", ""),
        ("tts", "second"),
    }
    # Two messages in and two words out; then four in (what was refused costs nothing).
    assert Decimal(lines["llm", ""]["cost_usd"]) == Decimal("0.006")
    assert Decimal(lines["llm", "second"]["cost_usd"]) == Decimal("0.00008")
    assert lines["tts", ""]["units"]["tts_characters"] == len("One two.")
    assert lines["tts", "second"]["units"]["tts_characters"] == len("Good day.")
    assert call.cost_is_complete
    answers = [turn.cost_usd for turn in turns if turn.role == "bot"]
    assert answers == [
        Decimal("0.006") + Decimal("0.0005") * len("One two."),
        Decimal("0.00008") + Decimal("0.000005") * len("Good day."),
    ]


async def test_where_all_fail_the_first_serves_again_at_its_own_price(
    running: Gateway, bot_with: BotWith, settings: Settings
) -> None:
    settings.PRICES = PRICES
    fails_once = {"fault": "refuse", "fault_at": 1}
    bot = await in_database_thread(bot_with)(
        stt={"lines": ["Hello there."]},
        llm={"replies": ["One two."], **fails_once, "fallbacks": [{**ANSWERS, **fails_once}]},
    )
    call, turns, events = await asked(bot, times=2)
    assert said(turns)[1:] == ["One two."]
    assert [(found["from"], found["to"]) for found in of_kind(events, "provider.switched")] == [
        ("scripted", "scripted/second"),
        ("scripted/second", "scripted"),
    ]
    lines = {line["model"]: line for line in call.costs if line["slot"] == "llm"}
    # Three messages in and two words out; both refusals cost nothing, and their use is known.
    prompt, completion = Decimal("0.001") * 4, Decimal("0.002") * 2
    assert Decimal(lines[""]["cost_usd"]) == prompt + completion
    assert all(line["is_complete"] for line in lines.values())
    answer = turns[-1].cost_usd
    assert answer is not None
    assert answer >= prompt + completion


@pytest.mark.parametrize("slot", ["llm", "tts"])
async def test_what_breaks_off_is_counted_once_and_charged_to_whoever_broke_it_off(
    running: Gateway, bot_with: BotWith, settings: Settings, slot: str
) -> None:
    settings.PRICES = PRICES
    broken = {"fault": "cut", "fault_at": 1, "fallbacks": [SECOND]}
    bot = await in_database_thread(bot_with)(
        stt={"lines": ["Hello there."]},
        llm={"replies": ["One two."], **(broken if slot == "llm" else {})},
        tts=broken if slot == "tts" else {},
    )
    call, turns, events = await asked(bot, times=2)
    (switched,) = of_kind(events, "provider.switched")
    assert (switched["slot"], switched["to"]) == (slot, "scripted/second")
    lines = {line["model"]: line for line in call.costs if line["slot"] == slot}
    if slot == "tts":
        characters = {model: line["units"]["tts_characters"] for model, line in lines.items()}
        assert characters == {"": len("One two."), "second": len("One two.")}
    else:
        assert {model: line["is_complete"] for model, line in lines.items()} == {
            "": False,
            "second": True,
        }


async def test_what_a_mute_model_may_have_charged_is_not_known(
    running: Gateway, bot_with: BotWith, settings: Settings
) -> None:
    settings.PRICES = PRICES
    bot = await in_database_thread(bot_with)(
        llm={"fault": "mute", "fallbacks": [ANSWERS]}, stt={"lines": ["Hello."]}
    )
    call, _, _ = await asked(bot)
    lines = {line["model"]: line["is_complete"] for line in call.costs if line["slot"] == "llm"}
    assert lines == {"": False, "second": True}
    assert not call.cost_is_complete


@pytest.mark.parametrize("chain", [[], [SECOND]])
def test_a_bot_without_a_chain_is_not_wrapped(bot_with: BotWith, chain: list[Any]) -> None:
    bot = bot_with(llm={"fallbacks": chain})
    assert bot.current is not None
    admission = admission_of(bot, bot.current, {})
    built = providers_of(admission, test_providers=True)
    assert isinstance(built.mind, MindChain) is bool(chain)
    assert not isinstance(built.voice, VoiceChain)
