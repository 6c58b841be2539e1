"""Calls from their first ring to their end, by Twilio's own rules, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.accounts.connections import TRIAL
from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.calls.models import Call
from apps.simulator import script as steps
from apps.simulator.caller import Speech
from apps.simulator.twilio.people import Person
from tests.conftest import ApiFor
from tests.gateway.conftest import BotWith, in_database_thread, speech
from tests.gateway.exchange import CALLER, OURS, Exchange, exchange_of

pytestmark = pytest.mark.django_db(transaction=True)
THEIRS = "+14158675309"


@pytest.fixture
async def exchange(account: Account, api_for: ApiFor, settings: Any) -> AsyncIterator[Exchange]:
    async with exchange_of(account, api_for, settings) as found:
        await found.connect()
        yield found


@pytest.fixture
def bot(bot_with: BotWith) -> TwilioConfig:
    """One that greets for two seconds, and says goodbye when it is spoken to."""
    return bot_with(
        greeting={"mode": "text", "text": "Welcome to the hotel, how can I help you?"},
        stt={"lines": ["Goodbye."]},
        llm={"replies": ["Goodbye then."], "tool_calls": {"1": [{"name": "end_call"}]}},
        tts={"character_ms": 50},
    )


def interrupts() -> Person:
    """Speaks into the greeting, presses a key, and then listens."""
    said = steps.Say(Speech.of(speech()))
    return Person(script=(steps.AwaitOnset(0.5), said, steps.Press("1"), steps.Pause(60)))


async def test_when_the_bot_has_left_the_line_is_not_kept_open(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    session = await exchange.ring(bot, interrupts())
    await exchange.until(lambda: session.line.end_reason == "bot_ended")
    left_at = asyncio.get_running_loop().time()
    await exchange.until(lambda: exchange.call.ended)
    assert asyncio.get_running_loop().time() - left_at < 2
    assert exchange.call.status == "completed"
    # Neither silence nor another voice behind the bot's last word.
    assert exchange.heard() == ["stream: wss://voice.example.com/media/twilio"]
    row = await exchange.until_row(lambda call: call.is_over)
    assert (row.status, row.end_reason) == ("completed", "bot_ended")
    (record,) = exchange.twilio.streams(exchange.call)
    assert (record.ended_by, record.close_code) == ("server", 1000)


async def test_of_a_whole_call_with_an_interruption_twilio_finds_nothing_to_warn_of(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    await exchange.ring(bot, interrupts())
    await exchange.until(lambda: exchange.call.ended)
    (record,) = exchange.twilio.streams(exchange.call)
    assert record.spurts[0].cleared
    assert len(record.spurts) == 2
    assert (record.findings, record.warnings) == ((), ())
    assert record.marks_echoed >= 3
    assert exchange.twilio.world.alerts == []


async def test_the_bot_is_heard_within_half_a_second_of_the_streams_start(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    await exchange.ring(bot, Person(script=(steps.AwaitBot(), steps.HangUp())))
    await exchange.until(lambda: exchange.call.ended)
    (record,) = exchange.twilio.streams(exchange.call)
    assert record.spurts[0].start_s < 0.5


async def test_a_call_that_is_answered_stays_in_its_stream(
    exchange: Exchange, bot: TwilioConfig, api_for: ApiFor, account: Account
) -> None:
    """A callback of the answer that sent other TwiML would end the stream a second later."""
    exchange.twilio.add_number(OURS)
    exchange.twilio.people[THEIRS] = Person(script=(steps.AwaitBot(), steps.HangUp()))

    def dial() -> Any:
        body = {"config_id": str(bot.id), "to": THEIRS, "from": OURS}
        return api_for(account).post("/calls", body, format="json")

    answer = await in_database_thread(dial)()
    assert answer.status_code == 201, answer.json()
    call = exchange.twilio.call
    await exchange.until(lambda: call.ended)
    row = await exchange.until_row(lambda found: found.is_over)
    assert row.end_reason == "caller_hung_up"
    told = [one.fields["CallStatus"] for one in exchange.twilio.sent if "/status" in one.url]
    assert "in-progress" in told
    assert exchange.twilio.asked("calls.update") == []
    (record,) = exchange.twilio.streams(call)
    assert record.ended_by == "script"
    assert record.spurts[0].end_s - record.spurts[0].start_s == pytest.approx(2.05, abs=0.1)


@pytest.mark.parametrize("stop", ["lost", "reset"])
async def test_a_caller_who_leaves_without_a_stop_is_not_waited_for(
    exchange: Exchange, bot: TwilioConfig, stop: Any
) -> None:
    exchange.twilio.network.habits.stop = stop
    await exchange.ring(bot)
    exchange.twilio.hangs_up(exchange.call)
    await exchange.until(lambda: not exchange.gateway.sessions)
    await exchange.written()
    row: Call = await exchange.row()
    assert row.stream_ended_at is not None
    assert row.end_reason == "connection_lost"


async def test_a_trial_accounts_caller_gets_no_bot_and_the_operator_is_told_why(
    exchange: Exchange, bot: TwilioConfig, api_for: ApiFor, account: Account
) -> None:
    exchange.twilio.account.kind = "Trial"
    exchange.twilio.add_number(OURS, VoiceUrl=f"https://voice.example.com/twilio/voice/{bot.id}")
    call = exchange.twilio.dial_in(OURS, CALLER)
    await exchange.until(lambda: call.ended)
    assert not exchange.gateway.sessions
    shown = await in_database_thread(_checked)(api_for, account)
    assert (shown["is_trial"], shown["warnings"]) == (True, [TRIAL])


def _checked(api_for: ApiFor, account: Account) -> dict[str, Any]:
    (connection,) = account.twilio_connections.all()
    api = api_for(account)
    api.post(f"/twilio-connections/{connection.pk}/check")
    shown: dict[str, Any] = api.get(f"/twilio-connections/{connection.pk}").json()
    return shown
