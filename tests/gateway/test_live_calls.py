"""What is done to calls that are on, end to end: say, keys, hang-up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.calls.models import Call, Turn
from apps.simulator.twilio.people import Person
from apps.voice.turns import Phase
from tests.conftest import ApiFor
from tests.gateway.conftest import BotWith, in_database_thread
from tests.gateway.exchange import Exchange, exchange_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def exchange(account: Account, api_for: ApiFor, settings: Any) -> AsyncIterator[Exchange]:
    async with exchange_of(account, api_for, settings) as found:
        yield found


@pytest.fixture
def bot(bot_with: BotWith) -> TwilioConfig:
    return bot_with(
        greeting={"mode": "text", "text": "Welcome to the hotel, how can I help you today?"},
        tts={"character_ms": 10},
    )


@in_database_thread
def turns() -> list[tuple[str, str, bool]]:
    found = Turn.objects.order_by("id")
    return [(turn.source, turn.text_heard, turn.interrupted) for turn in found]


async def test_the_bot_says_what_somebody_else_wants_said(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    await exchange.connect()
    session = await exchange.ring(bot)
    answer = await exchange.post("/say", text="Your room is ready.")
    assert answer.status_code == 202
    await exchange.until(lambda: session.conversation.phase is Phase.LISTENING)
    await exchange.written()
    assert [turn[:2] for turn in await turns()] == [
        ("greeting", "Welcome to the hotel, how can I help you today?"),
        ("operator", "Your room is ready."),
    ]


async def test_keys_are_heard_by_the_other_side_and_the_bot_goes_on_in_silence(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    await exchange.connect()
    first = await exchange.ring(bot)
    await exchange.until(lambda: first.conversation.phase is Phase.SPEAKING)
    answer = await exchange.post("/dtmf", digits="12#")
    assert answer.status_code == 202, answer.json()
    await exchange.until(lambda: bool(exchange.gateway.sessions) and exchange.session is not first)
    await exchange.written()
    assert [one.partition(":")[0] for one in exchange.heard()] == ["stream", "digits", "stream"]
    assert "digits: 12#" in exchange.heard()
    ((source, heard, interrupted),) = await turns()
    assert (source, interrupted) == ("greeting", True)
    past = exchange.session.conversation.settings.past
    assert [said.content for said in past] == ([heard] if heard else [])
    assert exchange.session.conversation.phase is Phase.LISTENING
    row = await exchange.row()
    assert (row.status, row.end_reason, row.attempts) == ("in-progress", "", 2)
    exchange.twilio.hangs_up(exchange.call)
    row = await exchange.until_row(lambda call: call.is_over)
    assert row.end_reason == "caller_hung_up"


async def test_twilio_refuses_and_the_call_stays_in_its_stream(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    await exchange.connect()
    session = await exchange.ring(bot)
    exchange.twilio.drills.refuses(20429, operation="calls.update")
    answer = await exchange.post("/dtmf", digits="1")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "rate_limited"
    exchange.twilio.hangs_up(exchange.call)
    row = await exchange.until_row(lambda call: call.is_over)
    assert row.end_reason == "caller_hung_up"
    assert exchange.gateway.sessions.get(session.call_id) is None


async def test_without_anything_of_twilios_keys_cannot_be_pressed(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    await exchange.connect()
    await exchange.ring(bot)
    await in_database_thread(_forget)(exchange.account)
    answer = await exchange.post("/dtmf", digits="1")
    assert answer.status_code == 409
    assert "connection" in answer.json()["info"]


def _forget(account: Account) -> None:
    account.twilio_connections.all().delete()


async def test_a_call_without_a_connection_is_hung_up_by_the_gateway(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    await exchange.connect()
    await exchange.ring(bot)
    await in_database_thread(_forget)(exchange.account)
    answer = await exchange.post("/hangup")
    assert answer.status_code == 200, answer.json()
    row = await exchange.until_row(lambda call: call.is_over)
    assert row.end_reason == "hung_up"


@pytest.mark.parametrize(
    ("path", "body"), [("/say", {"text": "Hello."}), ("/dtmf", {"digits": "1"})]
)
async def test_a_call_that_is_over_takes_no_orders(
    exchange: Exchange, bot: TwilioConfig, path: str, body: dict[str, str]
) -> None:
    await exchange.connect()
    await exchange.ring(bot)
    exchange.twilio.hangs_up(exchange.call)
    await exchange.until_row(lambda call: call.is_over)
    answer = await exchange.post(path, **body)
    assert answer.status_code == 409
    assert answer.json()["info"] == "The call is over."


async def test_a_call_of_a_process_that_is_gone_says_what_is_missing(
    exchange: Exchange, bot: TwilioConfig, settings: Any
) -> None:
    settings.REDIS_URL = ""
    await exchange.connect()
    await exchange.ring(bot)
    await in_database_thread(Call.objects.update)(gateway=exchange.account.pk)
    answer = await exchange.post("/say", text="Hello.")
    assert answer.status_code == 503
    assert "REDIS_URL" in answer.json()["info"]
    assert answer["Retry-After"] == "1"


# --- who answered ---------------------------------------------------------------------------------


async def test_a_machine_is_hung_up_on(exchange: Exchange, bot: TwilioConfig) -> None:
    await exchange.connect()
    await exchange.ring(bot, Person())
    await in_database_thread(_machine)({"mode": "async"})
    row = await exchange.until_row(lambda call: call.is_over)
    assert row.end_reason == "machine"


async def test_a_message_is_left_on_a_machine(exchange: Exchange, bot: TwilioConfig) -> None:
    await exchange.connect()
    await exchange.ring(bot, Person())
    wanted = {"mode": "async", "on_machine": "leave_message", "message": "Please call us back."}
    await in_database_thread(_machine)(wanted)
    row = await exchange.until_row(lambda call: call.is_over)
    assert row.end_reason == "machine"
    assert (await turns())[-1] == ("message", "Please call us back.", False)


@pytest.mark.parametrize(
    ("wanted", "verdict"),
    [
        ({"mode": "async", "on_machine": "continue"}, "machine_start"),
        ({"mode": "async"}, "human"),
        ({}, "machine_start"),
    ],
)
async def test_the_bot_goes_on_where_that_is_wanted(
    exchange: Exchange, bot: TwilioConfig, wanted: dict[str, Any], verdict: str
) -> None:
    await exchange.connect()
    session = await exchange.ring(bot, Person())
    await in_database_thread(_machine)(wanted, verdict)
    await exchange.until(lambda: session.conversation.phase is Phase.LISTENING)
    assert not (await exchange.row()).is_over


def _machine(wanted: dict[str, Any], verdict: str = "machine_end_beep") -> None:
    from apps.calls.news import verdict_given

    call = Call.objects.get()
    call.asked, call.answered_by = {"machine_detection": wanted}, verdict
    call.save()
    verdict_given(call)
