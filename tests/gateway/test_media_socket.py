"""The media socket over the real application: who gets in, what is said, what is written down."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.accounts.services import account_update
from apps.bots.models import TwilioConfig
from apps.bots.services import Write, config_delete
from apps.calls.admission import StreamRefused
from apps.calls.models import Call, Turn
from apps.gateway.runtime import Gateway, gateway_close
from apps.providers import scripted_services
from apps.providers.scripted_services import ScriptedMind, ScriptedTranscriber, ScriptedVoice
from apps.telephony.signatures import stream_signature
from tests.gateway.conftest import BotWith, Phone, in_database_thread, speech

pytestmark = pytest.mark.django_db(transaction=True)


@in_database_thread
def calls() -> list[Call]:
    return list(Call.objects.all())


@in_database_thread
def transcript() -> list[tuple[str, str]]:
    return [(turn.role, turn.text_heard) for turn in Turn.objects.order_by("id")]


@pytest.fixture
def bot(bot_with: BotWith) -> TwilioConfig:
    return bot_with(
        stt={"lines": ["Hello there."]},
        llm={"replies": ["Good day."]},
        greeting={"mode": "text", "text": "Welcome."},
    )


async def test_a_caller_is_greeted_heard_and_answered(running: Gateway, bot: TwilioConfig) -> None:
    phone = Phone(bot)
    await phone.dial()
    assert (await phone.message())["event"] == "media"
    await phone.until("mark")
    await phone.until("mark")
    await phone.say(speech())
    await phone.until("media")
    await phone.until("mark")
    await phone.hang_up()
    await gateway_close()
    call = (await calls())[0]
    assert (call.status, call.end_reason) == ("completed", "caller_hung_up")
    said = await transcript()
    assert said[0] == ("bot", "Welcome.")
    assert said[1] == ("caller", "Hello there.")
    assert said[2][0] == "bot"


async def test_a_calls_parameters_fill_the_bots_variables(
    running: Gateway, bot_with: BotWith
) -> None:
    bot = await in_database_thread(bot_with)(
        greeting={"mode": "text", "text": "Welcome {{guest}} to room {{room}}."},
        variables={"guest": {}, "room": {"type": "number", "default": 7}},
    )
    phone = Phone(bot)
    phone.parameters["guest"] = "Ann"
    await phone.dial()
    await phone.until("mark")
    while len(phone.heard) < 60 * 8 * len("Welcome Ann to room 7."):
        await phone.message()
    await phone.hang_up()
    await gateway_close()
    assert (await transcript())[0][1].startswith("Welcome Ann to")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token", "wrong"),
        ("token", ""),
        ("bot", "00000000-0000-0000-0000-000000000000"),
        ("bot", "no uuid \x00"),
        ("account", "00000000-0000-0000-0000-000000000000"),
    ],
)
async def test_a_wrong_parameter_is_refused_and_costs_nothing(
    running: Gateway, bot: TwilioConfig, name: str, value: str
) -> None:
    phone = Phone(bot)
    phone.parameters[name] = value
    await phone.dial()
    assert await phone.message() == {"event": "close", "code": 1008}
    await gateway_close()
    assert not running.sessions
    assert not await calls()


async def test_a_stream_without_parameters_is_refused(running: Gateway, bot: TwilioConfig) -> None:
    phone = Phone(bot)
    phone.parameters = {}
    await phone.dial()
    assert await phone.message() == {"event": "close", "code": 1008}


async def test_a_token_opens_only_its_own_bot(running: Gateway, bot_with: BotWith) -> None:
    ours, other = await in_database_thread(bot_with)(), await in_database_thread(bot_with)()
    phone = Phone(ours)
    phone.parameters["token"] = other.stream_token
    await phone.dial()
    assert await phone.message() == {"event": "close", "code": 1008}


async def test_a_deleted_bot_takes_no_calls(running: Gateway, bot: TwilioConfig) -> None:
    await in_database_thread(config_delete)(Write(bot.account, bot.id, Actor()))
    phone = Phone(bot)
    await phone.dial()
    assert await phone.message() == {"event": "close", "code": 1008}


async def test_an_unsigned_handshake_is_refused_where_the_account_can_check(
    running: Gateway, account: Account, bot: TwilioConfig
) -> None:
    await in_database_thread(account_update)(
        account=account,
        name="Hotel",
        max_live_calls=1,
        actor=Actor(),
        twilio_auth_token="12345",
    )
    phone = Phone(bot)
    await phone.dial()
    assert await phone.message() == {"event": "close", "code": 1008}
    signature = stream_signature(auth_token="12345", url="wss://voice.example.com/media/twilio")
    signed = Phone(bot, headers={b"x-twilio-signature": signature.encode()})
    await signed.dial()
    assert (await signed.message())["event"] == "media"
    await signed.hang_up()


async def test_audio_of_another_form_is_refused(running: Gateway, bot: TwilioConfig) -> None:
    phone = Phone(bot)
    phone.media_format["encoding"] = "audio/l16"
    await phone.dial()
    assert await phone.message() == {"event": "close", "code": 1003}


async def test_a_broken_socket_leaves_a_call_that_may_go_on(
    running: Gateway, bot: TwilioConfig
) -> None:
    phone = Phone(bot)
    await phone.dial()
    await phone.until("mark")
    await phone.vanish()
    await gateway_close()
    call = (await calls())[0]
    assert (call.status, call.end_reason) == ("in-progress", "connection_lost")
    assert call.stream_ended_at is not None
    assert call.ended_at is None
    assert (await transcript())[0][0] == "bot"


async def test_the_newest_stream_of_a_call_replaces_the_one_before(
    running: Gateway, bot: TwilioConfig
) -> None:
    first, second = Phone(bot), Phone(bot)
    await first.dial()
    await first.until("media")
    await second.dial()
    await second.until("media")
    while (message := await first.message())["event"] != "close":
        pass
    assert message["code"] == 1000
    assert len(running.sessions) == 1
    await second.hang_up()
    await gateway_close()
    assert [(call.status, call.end_reason) for call in await calls()] == [
        ("completed", "caller_hung_up")
    ]


async def test_another_accounts_stream_cannot_replace_ours(
    running: Gateway, bot: TwilioConfig, bot_with: BotWith, stranger: Account
) -> None:
    theirs = await in_database_thread(bot_with)(owner=stranger)
    ours, forged = Phone(bot), Phone(theirs)
    await ours.dial()
    await ours.until("media")
    await forged.dial()
    await forged.say(speech())
    await forged.until("media")
    assert len(running.sessions) == 2
    await ours.hang_up()
    await forged.hang_up()


GARBAGE = [
    "",
    "no json secret-words",
    "[]",
    "{}",
    '{"event": 7}',
    '{"event": "media"}',
    '{"event": "media", "media": {"payload": "secret-words!"}}',
    '{"event": "mark"}',
    '{"event": "dtmf", "dtmf": {"digit": "secret-words"}}',
    '{"event": "media", "media": {"payload": "' + "A" * 200_000 + '"}}',
    "[" * 5_000,
]


async def test_garbage_is_dropped_and_its_content_never_logged(
    running: Gateway, bot: TwilioConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    phone = Phone(bot)
    await phone.dial()
    for text in GARBAGE:
        await phone.raw(text)
    await phone.raw('{"event": "tomorrow", "new": true}')
    await phone.socket.send_input({"type": "websocket.receive", "bytes": b"secret-words"})
    await phone.say(speech())
    await phone.until("mark")
    assert "secret-words" not in caplog.text
    await phone.hang_up()


async def test_a_stream_of_nothing_but_garbage_is_closed(
    running: Gateway, bot: TwilioConfig
) -> None:
    phone = Phone(bot)
    await phone.dial()
    for _ in range(51):
        await phone.raw("nonsense")
    while (message := await phone.message())["event"] != "close":
        pass
    assert message["code"] == 1008


async def test_a_socket_that_never_starts_is_closed(
    running: Gateway, bot: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.gateway.consumers.START_S", 0.01)
    phone = Phone(bot)
    await phone.connect()
    assert await phone.message() == {"event": "close", "code": 1008}


async def test_a_bot_whose_provider_is_missing_says_so_and_hangs_up(
    running: Gateway, bot_with: BotWith
) -> None:
    phone = Phone(await in_database_thread(bot_with)(tts={"provider": "playht"}))
    await phone.dial()
    while (message := await phone.message())["event"] != "close":
        pass
    assert message["code"] == 1000
    assert len(phone.heard) > 8_000
    await gateway_close()
    assert [(call.status, call.end_reason) for call in await calls()] == [
        ("failed", "provider_failure")
    ]


async def test_a_slow_query_holds_up_no_call_that_runs(
    running: Gateway, bot: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = Phone(bot)
    await phone.dial()
    await phone.until("mark")
    release = threading.Event()

    def slow(*_args: Any, **_kwargs: Any) -> None:
        release.wait(10)
        raise StreamRefused("token_wrong")

    monkeypatch.setattr("apps.gateway.admission.stream_look", slow)
    waiting = Phone(bot, call_sid="CA2")
    await waiting.dial()
    try:
        await phone.say(speech())
        await phone.until("media")
    finally:
        release.set()
    assert await waiting.message() == {"event": "close", "code": 1008}
    await phone.hang_up()


async def test_a_provider_that_ignores_its_cancellation_holds_up_no_other_call(
    running: Gateway, bot: TwilioConfig, bot_with: BotWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripted_services, "HANGS_S", 5.0)  # the loop's end waits for it
    stuck = Phone(await in_database_thread(bot_with)(llm={"fault": "hang"}), call_sid="CA2")
    await stuck.dial()
    await stuck.say(speech())
    phone = Phone(bot)
    await phone.dial()
    await phone.until("mark")
    await phone.say(speech())
    await phone.until("media")
    await phone.hang_up()


@pytest.mark.parametrize("leaving", ["hang_up", "vanish"])
async def test_every_provider_is_closed_when_the_caller_leaves(
    running: Gateway, bot: TwilioConfig, monkeypatch: pytest.MonkeyPatch, leaving: str
) -> None:
    closed: list[str] = []
    for kind in (ScriptedTranscriber, ScriptedMind, ScriptedVoice):

        async def aclose(self: object) -> None:
            closed.append(type(self).__name__)

        monkeypatch.setattr(kind, "aclose", aclose)
    phone = Phone(bot)
    await phone.dial()
    await phone.until("media")
    await getattr(phone, leaving)()
    await gateway_close()
    assert sorted(closed) == ["ScriptedMind", "ScriptedTranscriber", "ScriptedVoice"]


async def test_closing_the_gateway_ends_every_call(running: Gateway, bot: TwilioConfig) -> None:
    phone = Phone(bot)
    await phone.dial()
    await phone.until("media")
    await gateway_close()
    assert [(call.status, call.end_reason) for call in await calls()] == [
        ("in-progress", "shutdown")
    ]
    while (await phone.message())["event"] != "close":
        pass
