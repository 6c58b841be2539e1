"""Tools in whole calls: over the media socket, the real gateway, and webhooks on loopback."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.accounts.services import account_update
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import config_create
from apps.calls.models import Call, CallEvent, Turn
from apps.gateway.runtime import Gateway, gateway_close
from apps.gateway.toolbox import CallToolbox
from apps.providers import connections
from apps.telephony.signatures import stream_signature
from apps.voice.ports import ToolCall
from apps.voice.toolwords import NO_ANSWER, STILL_RUNNING
from tests.conftest import BODY
from tests.gateway.conftest import Phone, in_database_thread, speech
from tests.support.webhooks import KEY, Reins, action, hangs, says, streams, webhooks
from tests.vendors.serving import Exchange, StandIn, serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def _loopback(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setenv("PRIVATE_ADDRESSES", "127.0.0.1")
    async with connections.closing():
        yield


@in_database_thread
def bot_of(account: Account, url: str, calls: list[Any], **parts: Any) -> TwilioConfig:
    """Make a bot whose model calls tools by script. Their webhooks are at ``url``/<name>."""
    replies = parts.pop("replies", ["", ""])
    hooks = parts.pop("hooks", {})
    called = {found["name"] for turn in calls for found in turn} - {"end_call", "transfer_call"}
    config = {
        **BODY["config"],
        "llm": {
            **BODY["config"]["llm"],
            "replies": replies,
            "tool_calls": {str(answer): found for answer, found in enumerate(calls, 1)},
            "tools": [{"name": name} for name in sorted(called)],
        },
        "stt": {"provider": "scripted", "lines": ["Please do."]},
        "tts": {"provider": "scripted", "character_ms": 20},
        **parts,
    }
    tools = {
        name: {"url": f"{url}/{name}", "custom_headers": {"X-Key": KEY}, **hooks.get(name, {})}
        for name in called
    }
    draft = draft_read({"name": "Bot", "config": config, "webhook_tools": tools})
    return config_create(account=account, draft=draft, actor=Actor())


@in_database_thread
def transcript() -> list[str]:
    return [turn.text_heard for turn in Turn.objects.order_by("id") if turn.role == "bot"]


@in_database_thread
def events(kind: str) -> list[dict[str, Any]]:
    return [found.data for found in CallEvent.objects.filter(kind=kind).order_by("id")]


@in_database_thread
def end_reason() -> str:
    return Call.objects.get().end_reason


def call_of(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


async def ring(bot: TwilioConfig, **phone: Any) -> Phone:
    """Call the bot and say something."""
    found = Phone(bot, **phone)
    await found.dial()
    await found.say(speech())
    return found


async def leave(phone: Phone) -> None:
    await phone.hang_up()
    await gateway_close()


async def until_closed(phone: Phone) -> None:
    while (await phone.message())["event"] != "close":
        pass


ASKED = [[call_of("book", day="Monday", guests=2)]]


async def test_a_tool_is_asked_and_the_model_speaks_of_its_answer(
    running: Gateway, account: Account
) -> None:
    async with webhooks(book=says({"table": 7})) as stand_in:
        bot = await bot_of(account, stand_in.url, ASKED, replies=["One second.", "Table seven."])
        phone = await ring(bot)
        await until_heard(running, phone, "Table seven.")
        await leave(phone)
    seen = stand_in.seen[0]
    assert seen.headers["x-key"] == KEY
    body = seen.json()
    assert body["arguments"] == {"day": "Monday", "guests": 2}
    assert body["function_name"] == "book"
    assert (await transcript())[0] == "One second. Table seven."
    (ran,) = await events("tool.ran")
    assert ran.pop("ms") >= 0
    assert ran == {"tool": "book", "outcome": "ok", "status": 200}


async def test_a_get_asks_by_its_query(running: Gateway, account: Account) -> None:
    async with webhooks(book=says("It is free.", 200)) as stand_in:
        hooks = {"book": {"method": "GET"}}
        calls = [[call_of("book", day="Monday", wishes={"window": True})]]
        bot = await bot_of(account, stand_in.url, calls, hooks=hooks, replies=["", "Yes."])
        phone = await ring(bot)
        await phone.until("media")
        await leave(phone)
    assert stand_in.seen[0].query == {"day": "Monday", "wishes": '{"window":true}'}


async def test_a_slow_tool_is_bridged_and_then_its_answer_is_heard(
    running: Gateway, account: Account
) -> None:
    release = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await release.wait()
        await exchange.answer(200, {"table": 7})

    async with webhooks(book=slow) as stand_in:
        bot = await bot_of(
            account, stand_in.url, ASKED, replies=["", "Table seven."], turns={"filler_secs": 0.3}
        )
        phone = await ring(bot)
        # The line is recorded in the bot's own voice: 20 ms a letter.
        await stay(phone, lambda: len(phone.heard) >= len("One moment, please.") * 160)
        release.set()
        await until_heard(running, phone, "Table seven.")
        await leave(phone)
    assert (await transcript())[0] == "One moment, please. Table seven."


@pytest.mark.parametrize(
    ("answer", "outcome", "status", "told"),
    [
        (hangs, "timeout", None, NO_ANSWER),
        (says(b"secret-words", 500), "failed", 500, "failed (HTTP 500)"),
        (says(b"<html>secret-words"), "unreadable", 200, "cannot be read"),
        (says({"text": "x" * 50_000}), "ok", 200, "Cut here"),
    ],
    ids=["hung", "500", "garbage", "huge"],
)
async def test_the_model_is_told_what_went_wrong(
    running: Gateway, account: Account, answer: Any, outcome: str, status: int | None, told: str
) -> None:
    async with webhooks(book=answer) as stand_in:
        # Without a script of words the model repeats what it was told last.
        hooks = {"book": {"timeout_secs": 0.5}}
        bot = await bot_of(account, stand_in.url, ASKED, hooks=hooks, replies=[])
        phone = await ring(bot)
        await phone.until("media")
        said = await until_said(running, phone, told)
        await leave(phone)
        await stand_in.until(lambda: stand_in.live == 0)
    assert told in said
    (ran,) = await events("tool.ran")
    assert (ran["outcome"], ran.get("status")) == (outcome, status)
    assert "secret-words" not in repr(ran)


async def stay(phone: Phone, until: Callable[[], bool]) -> None:
    """Stay on the line, so that marks come back, until something is so."""
    listening = asyncio.create_task(until_closed(phone))
    try:
        for _ in range(1_000):
            if until():
                return
            await asyncio.sleep(0.005)
        raise TimeoutError("It did not happen.")
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def until_said(running: Gateway, phone: Phone, told: str) -> str:
    """Stay on the line until the model was told so; return all that it was told by tools."""
    await stay(phone, lambda: told in told_by_tools(running))
    return told_by_tools(running)


async def until_heard(running: Gateway, phone: Phone, text: str) -> None:
    """Stay on the line until the bot's words were heard."""

    def heard() -> bool:
        return any(
            message.content.endswith(text)
            for session in running.sessions.values()
            for message in session.conversation.history.messages()
            if message.role == "assistant"
        )

    await stay(phone, heard)


def told_by_tools(running: Gateway) -> str:
    return " ".join(
        message.content
        for session in running.sessions.values()
        for message in session.conversation.history.messages()
        if message.role == "tool"
    )


async def test_two_tools_run_at_once(running: Gateway, account: Account) -> None:
    both = asyncio.Barrier(2)

    async def meets(exchange: Exchange) -> None:
        async with asyncio.timeout(3):
            await both.wait()
        await exchange.answer(200, {})

    async with webhooks(book=meets, look=meets) as stand_in:
        calls = [[call_of("book"), call_of("look")]]
        bot = await bot_of(account, stand_in.url, calls, replies=["", "Both."])
        phone = await ring(bot)
        await phone.until("media")
        await leave(phone)
    assert [ran["outcome"] for ran in await events("tool.ran")] == ["ok", "ok"]
    ids = {seen.json()["tool_call_id"] for seen in stand_in.seen}
    assert len(ids) == 2


async def test_a_stream_of_actions_drives_the_bot(running: Gateway, account: Account) -> None:
    more = asyncio.Event()
    answer = streams(
        action("tts", "say", text="First."),
        b"no JSON at all\n",
        more.wait(),
        action("tts", "say", text="Second. Bye."),
        action("system", "end"),
    )
    async with webhooks(book=answer) as stand_in:
        hooks = {"book": {"streaming": True}}
        bot = await bot_of(account, stand_in.url, ASKED, hooks=hooks, replies=["", "Never said."])
        phone = await ring(bot)
        await phone.until("media")  # the first is heard while the stream goes on
        assert stand_in.live == 1
        more.set()
        await until_closed(phone)
        await gateway_close()
    assert await transcript() == ["First. Second. Bye."]
    assert await end_reason() == "bot_ended"
    assert len(phone.heard) >= len("First.Second.Bye.") * 160


async def test_what_was_sent_before_an_interruption_is_known_later(
    running: Gateway, account: Account
) -> None:
    release = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await release.wait()
        await exchange.answer(200, {"table": 7})

    async with webhooks(book=slow) as stand_in:
        bot = await bot_of(
            account, stand_in.url, ASKED, replies=["", "Of course."], turns={"filler_secs": 0.2}
        )
        phone = await ring(bot)
        await phone.until("media")
        await phone.say(speech())
        assert await until_said(running, phone, STILL_RUNNING)
        await phone.until("clear")
        release.set()
        said = await until_said(running, phone, '{"table":7}')
        assert STILL_RUNNING not in said
        await leave(phone)
        assert len(stand_in.seen) == 1
    assert [ran["late"] for ran in await events("tool.ran")] == [True]


@pytest.mark.parametrize("streaming", [False, True])
async def test_hanging_up_ends_a_running_tool(
    running: Gateway, account: Account, streaming: bool
) -> None:
    async with webhooks(book=hangs) as stand_in:
        hooks = {"book": {"streaming": streaming}}
        bot = await bot_of(account, stand_in.url, ASKED, hooks=hooks)
        phone = await ring(bot)
        await stand_in.until(lambda: stand_in.live == 1)
        before = time.monotonic()
        await leave(phone)
        await stand_in.until(lambda: stand_in.live == 0)
        assert time.monotonic() - before < 2
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "tool"]
    assert [ran["outcome"] for ran in await events("tool.ran")] == ["cancelled"]


async def test_the_model_ends_the_call_and_its_goodbye_is_heard(
    running: Gateway, account: Account
) -> None:
    calls = [[call_of("end_call")]]
    bot = await bot_of(account, "http://unused.example", calls, replies=["Goodbye then."])
    phone = await ring(bot)
    await until_closed(phone)
    await gateway_close()
    assert await transcript() == ["Goodbye then."]
    assert len(phone.heard) >= len("Goodbye then.") * 160
    assert await end_reason() == "bot_ended"


async def test_tools_that_nobody_answers_are_not_offered(
    running: Gateway, account: Account
) -> None:
    bot = await bot_of(
        account, "http://unused.example", [], transfers={"desk": {"to": "+49301234"}}
    )
    phone = await ring(bot)
    await phone.until("media")
    (session,) = running.sessions.values()
    tools = session.conversation.parts.speaker.tools.tools()
    assert [tool.name for tool in tools] == ["end_call", "transfer_call"]
    assert tools[1].parameters["properties"]["target"]["enum"] == ["desk"]
    await leave(phone)


async def test_a_bot_with_one_target_need_not_name_it() -> None:
    told: list[tuple[str, str]] = []
    targets = {"desk": {"to": "+4930123456"}}
    toolbox = CallToolbox([], {}, targets=targets, summarise=lambda *one: told.append(one))
    result = await toolbox.call(ToolCall("c", "transfer_call", {}), Reins())
    assert result.transfer_to == "desk"


# --- transfers ------------------------------------------------------------------------------------

TWILIO_TOKEN = "12345"
TARGETS = {
    "sales": {"to": "+4930123456", "description": "Orders."},
    "desk": {"to": "sip:desk@example.com"},
}
SAYS = ["I will put you through."]


class Twilio(StandIn):
    """Twilio's ``POST /2010-04-01/Accounts/{sid}/Calls/{sid}.json``, by its OpenAPI file v2010:
    a form, basic authentication, TwiML of 4,000 characters at the most."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 200
        self.twiml = ""
        self.ask: Callable[[], int] = int  # at the moment of the request
        self.asked = 0

    async def http(self, exchange: Exchange) -> None:
        seen, self.asked = exchange.seen, self.ask()
        token = base64.b64encode(f"AC1:{TWILIO_TOKEN}".encode()).decode()
        form = parse_qs(seen.body.decode(), strict_parsing=True)
        checks = {
            "path": seen.path == "/2010-04-01/Accounts/AC1/Calls/CA1.json",
            "method": seen.method == "POST",
            "auth": seen.headers.get("authorization") == f"Basic {token}",
            "type": seen.headers.get("content-type") == "application/x-www-form-urlencoded",
            "form": form.keys() == {"Twiml"} and len(form["Twiml"][0]) <= 4_000,
        }
        if wrong := [name for name, fits in checks.items() if not fits]:
            await exchange.answer(400, {"code": 20001, "message": self.refuse(str(wrong))})
            return
        self.twiml = form["Twiml"][0]
        await self.after_first()
        await exchange.answer(self.status, {"sid": "CA1", "status": "in-progress"})


@pytest.fixture
async def twilio(settings: Any) -> AsyncIterator[Twilio]:
    async with serving(Twilio()) as stand_in:
        assert isinstance(stand_in, Twilio)
        settings.TWILIO_API_URL = stand_in.url
        yield stand_in
        assert stand_in.refusals == []


async def transferring(account: Account, target: str, *, token: str = TWILIO_TOKEN) -> Phone:
    """Call a bot that puts the call through."""
    await in_database_thread(account_update)(
        account=account, name="Hotel", max_live_calls=1, actor=Actor(), twilio_auth_token=token
    )
    calls = [[call_of("transfer_call", target=target)]]
    bot = await bot_of(account, "http://unused.example", calls, replies=SAYS, transfers=TARGETS)
    signature = stream_signature(auth_token=token, url="wss://voice.example.com/media/twilio")
    headers = {b"x-twilio-signature": signature.encode()} if token else {}
    return await ring(bot, headers=headers)


@pytest.mark.parametrize(
    ("target", "noun"),
    [
        ("sales", ">+4930123456</Number>"),
        ("desk", ">sip:desk@example.com</Sip>"),
    ],
)
async def test_a_call_is_put_through_when_that_was_heard(
    running: Gateway, account: Account, twilio: Twilio, target: str, noun: str
) -> None:
    phone = await transferring(account, target)
    twilio.ask = lambda: len(phone.heard)
    await until_closed(phone)
    assert twilio.asked >= len(SAYS[0]) * 160
    await gateway_close()
    assert '<Dial action="https://voice.example.com/twilio/after-dial?' in twilio.twiml
    assert noun in twilio.twiml
    assert await end_reason() == "transferred"
    assert await events("call.transferring") == [{"target": target}]
    assert await transcript() == SAYS


async def test_a_transfer_that_twilio_refuses_leaves_the_caller_with_the_bot(
    running: Gateway, account: Account, twilio: Twilio
) -> None:
    twilio.status = 404
    phone = await transferring(account, "sales")
    assert await until_said(running, phone, "could not be put through")
    await leave(phone)
    assert await end_reason() == "caller_hung_up"


async def test_the_stream_may_end_before_twilio_has_answered(
    running: Gateway, account: Account, twilio: Twilio
) -> None:
    twilio.hold = asyncio.Event()
    phone = await transferring(account, "sales")
    await stay(phone, lambda: bool(twilio.seen))
    await leave(phone)
    assert await end_reason() == "transferred"


async def test_a_server_that_cannot_put_calls_through_says_so(
    running: Gateway, account: Account, twilio: Twilio
) -> None:
    phone = await transferring(account, "sales", token="")
    assert await until_said(running, phone, "cannot put calls through")
    await leave(phone)
    assert twilio.seen == []


async def test_an_unknown_target_is_told_with_those_that_there_are(
    running: Gateway, account: Account, twilio: Twilio
) -> None:
    phone = await transferring(account, "nobody")
    assert await until_said(running, phone, "desk, sales")
    await leave(phone)
    assert twilio.seen == []
