"""Calls put through to humans, end to end over Twilio's stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.calls.models import Call, CallEvent, Transfer, Turn
from apps.gateway.session import Session
from apps.simulator.twilio.people import Person
from apps.voice.turns import Phase
from tests.conftest import ApiFor
from tests.gateway.conftest import BotWith, in_database_thread
from tests.gateway.exchange import CALLER, HUMAN, OURS, Exchange, exchange_of

pytestmark = pytest.mark.django_db(transaction=True)

SUMMARY = "Ann calls about her booking."


@pytest.fixture
async def exchange(account: Account, api_for: ApiFor, settings: Any) -> AsyncIterator[Exchange]:
    async with exchange_of(account, api_for, settings) as found:
        await found.connect()
        yield found


@pytest.fixture
def bot(bot_with: BotWith) -> TwilioConfig:
    return bot_with(
        greeting={"mode": "text", "text": "Welcome."},
        llm={"replies": ["I am sorry, can I help you otherwise?"]},
        tts={"character_ms": 10},
        transfers={
            "desk": {"to": HUMAN, "mode": "warm"},
            "sip": {"to": "sip:desk@example.com"},
        },
    )


@in_database_thread
def transfer() -> Transfer:
    return Transfer.objects.get()


@in_database_thread
def events() -> list[str]:
    found = CallEvent.objects.filter(kind__startswith="call.trans").order_by("id")
    return [one.kind for one in found]


@in_database_thread
def said() -> list[tuple[str, str]]:
    turns = Turn.objects.filter(role="bot").order_by("id")
    return [(turn.source, turn.text_heard) for turn in turns]


def kinds(heard: list[str]) -> list[str]:
    return [one.partition(":")[0] for one in heard]


async def greeted(exchange: Exchange, bot: TwilioConfig, person: Person | None = None) -> Session:
    session = await exchange.ring(bot, person)
    await exchange.until(lambda: session.conversation.phase is Phase.LISTENING)
    return session


async def back(exchange: Exchange, first: Session) -> Session:
    """Wait until the caller is with the bot again, and it has spoken."""
    await exchange.until(lambda: bool(exchange.gateway.sessions) and exchange.session is not first)
    session = exchange.session
    await exchange.until(lambda: session.conversation.phase is Phase.LISTENING)
    await exchange.written()
    return session


async def test_a_caller_is_put_through_when_the_bot_has_said_so(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    await greeted(exchange, bot)
    exchange.twilio.people[HUMAN] = Person(hang_up_after_s=30)
    answer = await exchange.post("/transfer", to=HUMAN, say="I will put you through.")
    assert answer.status_code == 202, answer.json()
    assert (answer.json()["mode"], answer.json()["status"]) == ("cold", "queued")
    row = await exchange.until_row(lambda call: call.is_over)
    assert (row.status, row.end_reason) == ("completed", "transferred")
    assert await said() == [("greeting", "Welcome."), ("operator", "I will put you through.")]
    assert kinds(exchange.heard()) == ["stream", "ring", "bridge"]
    leg = exchange.leg(HUMAN)
    assert leg.from_ == CALLER
    assert leg.parent_sid == exchange.call.sid
    found = await transfer()
    assert (found.status, found.reason, found.leg_sid) == ("completed", "", leg.sid)
    assert found.answered_at and found.bridged_at and found.ended_at
    assert await events() == ["call.transferring", "call.transferred"]


async def test_in_a_warm_transfer_the_human_hears_the_summary_and_then_the_caller(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    await greeted(exchange, bot)
    exchange.twilio.people[HUMAN] = Person(hang_up_after_s=60)
    answer = await exchange.post("/transfer", target="desk", summary=SUMMARY)
    assert answer.status_code == 202, answer.json()
    row = await exchange.until_row(lambda call: call.is_over)
    assert row.end_reason == "transferred"
    heard = exchange.twilio.heard(exchange.leg(HUMAN))
    assert heard == [f"say: {SUMMARY}", f"bridge: {CALLER}"]
    assert (await transfer()).bridged_at
    assert await events() == ["call.transferring", "call.transferred"]


@pytest.mark.parametrize(
    ("human", "reason", "told"),
    [
        (Person("silent"), "no-answer", "nobody answered"),
        (Person("busy"), "busy", "the line was busy"),
        (Person("unreachable"), "failed", "it did not work"),
        (Person(hang_up_after_s=1), "declined", "nobody took the call"),
    ],
    ids=["silent", "busy", "unreachable", "leaves in the summary"],
)
async def test_nobody_is_reached_and_the_caller_is_back_with_the_bot(
    exchange: Exchange, bot: TwilioConfig, human: Person, reason: str, told: str
) -> None:
    first = await greeted(exchange, bot)
    exchange.twilio.people[HUMAN] = human
    await exchange.post("/transfer", target="desk", summary=SUMMARY, timeout=5)
    session = await back(exchange, first)
    note = session.conversation.settings.past[-1]
    assert (note.role, told in note.content) == ("system", True)
    assert (await said())[-1] == ("model", "I am sorry, can I help you otherwise?")
    found = await transfer()
    assert found.reason == reason
    assert found.ended_at
    assert await events() == ["call.transferring", "call.transfer_failed"]
    row = await exchange.row()
    assert (row.status, row.end_reason, row.attempts) == ("in-progress", "", 2)
    assert row.cap_at and row.cap_at < row.started_at.replace(year=row.started_at.year + 1)
    # The human may be tried again.
    exchange.twilio.people[HUMAN] = Person(hang_up_after_s=60)
    assert (await exchange.post("/transfer", to=HUMAN)).status_code == 202
    assert (await exchange.until_row(lambda call: call.is_over)).end_reason == "transferred"


async def test_a_connection_that_ends_at_once_brings_the_caller_back(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    first = await greeted(exchange, bot)
    exchange.twilio.people[HUMAN] = Person(hang_up_after_s=2)
    await exchange.post("/transfer", to=HUMAN)
    session = await back(exchange, first)
    assert "ended at once" in session.conversation.settings.past[-1].content
    assert (await transfer()).reason == "ended_early"
    assert await events() == ["call.transferring", "call.transferred", "call.transfer_failed"]


async def test_a_caller_who_leaves_while_it_rings_ends_the_call(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    await greeted(exchange, bot)
    exchange.twilio.people[HUMAN] = Person("silent")
    await exchange.post("/transfer", to=HUMAN, timeout=60)
    await exchange.until(lambda: "ring" in kinds(exchange.heard()))
    exchange.twilio.hangs_up(exchange.call)
    row = await exchange.until_row(lambda call: call.is_over)
    assert row.end_reason == "caller_hung_up"
    assert (await transfer()).ended_at


async def test_twilio_refuses_and_the_bot_apologises(exchange: Exchange, bot: TwilioConfig) -> None:
    session = await greeted(exchange, bot)
    exchange.twilio.drills.refuses(20429, operation="calls.update")
    await exchange.post("/transfer", to=HUMAN)
    await exchange.until(lambda: session.conversation.phase is Phase.SPEAKING)
    await exchange.until(lambda: session.conversation.phase is Phase.LISTENING)
    await exchange.written()
    assert [source for source, _ in await said()] == ["greeting", "apology"]
    assert (await transfer()).reason == "rate_limited"
    exchange.twilio.hangs_up(exchange.call)
    row = await exchange.until_row(lambda call: call.is_over)
    assert row.end_reason == "caller_hung_up"


async def test_a_sip_address_is_rung(exchange: Exchange, bot: TwilioConfig) -> None:
    await greeted(exchange, bot)
    exchange.twilio.people["sip:desk@example.com"] = Person(hang_up_after_s=30)
    await exchange.post("/transfer", target="sip")
    assert (await exchange.until_row(lambda call: call.is_over)).end_reason == "transferred"
    assert exchange.leg("sip:desk@example.com").history[-1] == "completed"


async def test_the_number_that_is_shown_is_one_of_ours_if_wanted(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    await greeted(exchange, bot)
    refused = await exchange.post("/transfer", to=HUMAN, caller_id="+12025550177")
    assert refused.status_code == 400
    assert list(refused.json()["fields"]) == ["caller_id"]
    exchange.twilio.add_number("+12025550177")
    exchange.twilio.people[HUMAN] = Person(hang_up_after_s=30)
    assert (await exchange.post("/transfer", to=HUMAN, caller_id="+12025550177")).status_code == 202
    await exchange.until_row(lambda call: call.is_over)
    assert exchange.leg(HUMAN).from_ == "+12025550177"


async def test_of_a_hidden_caller_our_own_number_is_shown(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    await greeted(exchange, bot)
    await in_database_thread(Call.objects.update)(from_number="anonymous")
    exchange.twilio.people[HUMAN] = Person(hang_up_after_s=30)
    await exchange.post("/transfer", to=HUMAN)
    await exchange.until_row(lambda call: call.is_over)
    assert exchange.leg(HUMAN).from_ == OURS


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "to"),
        ({"to": HUMAN, "target": "desk"}, "to"),
        ({"to": "0301234"}, "to"),
        ({"target": "nobody"}, "target"),
        ({"to": HUMAN, "mode": "cold", "summary": "For nobody."}, "summary"),
        ({"to": HUMAN, "say": "..."}, "say"),
        ({"to": HUMAN, "timeout": 1}, "timeout"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_field(
    exchange: Exchange, bot: TwilioConfig, body: dict[str, Any], field: str
) -> None:
    await greeted(exchange, bot)
    answer = await exchange.post("/transfer", **body)
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]
    assert not await in_database_thread(Transfer.objects.exists)()


async def test_a_country_that_the_account_may_not_call_is_refused(
    exchange: Exchange, bot: TwilioConfig
) -> None:
    await greeted(exchange, bot)
    await in_database_thread(Account.objects.update)(allowed_countries=["DE"])
    answer = await exchange.post("/transfer", to=HUMAN)
    assert answer.status_code == 400
    assert "DE" in answer.json()["fields"]["to"][0]


async def test_a_call_is_put_through_once_at_a_time(exchange: Exchange, bot: TwilioConfig) -> None:
    await greeted(exchange, bot)
    await exchange.post("/transfer", to=HUMAN, say="I will put you through to the desk now.")
    second = await exchange.post("/transfer", to=HUMAN)
    assert second.status_code == 409
    assert (await exchange.post("/say", text="Hello.")).status_code == 409
    assert (await exchange.post("/dtmf", digits="1")).status_code == 409


# --- by the bot's own tool ------------------------------------------------------------------------


def calling(**arguments: Any) -> dict[str, Any]:
    return {"1": [{"name": "transfer_call", "arguments": arguments}]}


async def test_the_model_writes_the_summary_of_a_warm_transfer(
    exchange: Exchange, bot_with: BotWith
) -> None:
    bot = await in_database_thread(bot_with)(
        greeting={"mode": "model"},
        llm={
            "replies": ["I will put you through."],
            "tool_calls": calling(target="desk", summary=SUMMARY),
        },
        tts={"character_ms": 10},
        transfers={"desk": {"to": HUMAN, "mode": "warm"}, "sales": {"to": "+12025550111"}},
    )
    exchange.twilio.people[HUMAN] = Person(hang_up_after_s=60)
    session = await exchange.ring(bot)
    (tool,) = [
        one for one in session.conversation.parts.speaker.tools.tools() if "summary" in str(one)
    ]
    assert tool.parameters["properties"]["summary"]["description"].startswith("For desk:")
    row = await exchange.until_row(lambda call: call.is_over)
    assert row.end_reason == "transferred"
    assert exchange.twilio.heard(exchange.leg(HUMAN))[0] == f"say: {SUMMARY}"


async def test_a_connection_by_an_api_key_puts_calls_through(
    exchange: Exchange, bot_with: BotWith
) -> None:
    await in_database_thread(_by_key)(exchange)
    bot = await in_database_thread(bot_with)(
        greeting={"mode": "model"},
        llm={"replies": ["Now."], "tool_calls": calling(target="desk")},
        transfers={"desk": {"to": HUMAN}},
    )
    exchange.twilio.people[HUMAN] = Person(hang_up_after_s=30)
    await exchange.ring(bot)
    await exchange.until_row(lambda call: call.is_over)
    updates = [one for one in exchange.twilio.requests if one.operation == "calls.update"]
    assert len(updates) == 1


def _by_key(exchange: Exchange) -> None:
    connection = exchange.account.twilio_connections.get()
    connection.api_key_sid = exchange.twilio.key_sid
    connection.api_key_secret = exchange.twilio.key_secret
    connection.save()
