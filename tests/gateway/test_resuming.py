"""A call goes on: the line broke, and any gateway takes it up again."""

from __future__ import annotations

import pytest
from django.utils import timezone

from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.calls.models import Call, StreamPass, call_id
from apps.calls.tokens import StreamToken, token_make
from apps.gateway.runtime import Gateway, gateway, gateway_close
from apps.voice.turns import Phase
from tests.gateway.conftest import BotWith, Phone, in_database_thread, speech, until
from tests.gateway.test_media_socket import calls, transcript


@pytest.fixture
def bot(bot_with: BotWith) -> TwilioConfig:
    """One that greets, hears a question, and answers it."""
    return bot_with(
        greeting={"mode": "text", "text": "Welcome."},
        stt={"lines": ["When do you open?"]},
        llm={"replies": ["At nine."]},
    )


def again(bot: TwilioConfig, *, attempt: int = 2, silent: bool = False, sid: str = "CA1") -> Phone:
    """The same caller, brought back by a token of ours."""
    phone = Phone(bot, call_sid=sid)
    token = StreamToken(
        call_id(account_id=bot.account_id, call_sid="CA1"),
        bot.id,
        attempt,
        call_sid="CA1",
        silent=silent,
    )
    phone.parameters["token"] = token_make(token)
    return phone


async def greeted(phone: Phone) -> None:
    """Listen until the bot has nothing more to say."""
    await phone.until("media")
    (session,) = gateway().sessions.values()
    await until(phone, lambda: session.conversation.phase is Phase.LISTENING)


async def asked_and_cut_off(bot: TwilioConfig) -> None:
    """A call whose gateway is gone when the caller has asked and the answer is on its way."""
    phone = Phone(bot)
    await phone.dial()
    await greeted(phone)
    await phone.say(speech())
    await phone.until("media")
    await phone.vanish()
    await gateway_close()


async def refused(phone: Phone) -> bool:
    await phone.dial()
    return await phone.message() == {"event": "close", "code": 1008}


async def test_another_gateway_goes_on_where_the_call_broke(
    running: Gateway, bot: TwilioConfig
) -> None:
    await asked_and_cut_off(bot)
    phone = again(bot)
    await phone.dial()
    await until(phone, lambda: _said("At nine."))
    await phone.hang_up()
    await gateway_close()
    said = [turn[1] for turn in await transcript()]
    assert said[:2] == ["Welcome.", "When do you open?"]
    assert said[-2:] == ["I'm sorry, we were cut off for a moment. Where were we?", "At nine."]
    assert [(call.status, call.attempts) for call in await calls()] == [("completed", 2)]


def _said(text: str) -> bool:
    sessions = gateway().sessions.values()
    return any(found.conversation.history.messages()[-1].content == text for found in sessions)


async def test_it_keeps_the_version_and_the_variables_that_it_began_with(
    running: Gateway, bot_with: BotWith
) -> None:
    bot = await in_database_thread(bot_with)(
        greeting={"mode": "text", "text": "Hello {{customer}}."}
    )
    first = Phone(bot)
    first.parameters["customer"] = "Jane"
    await first.dial()
    await greeted(first)
    await first.vanish()
    await gateway_close()
    (call,) = await calls()
    assert call.variables == {"customer": "Jane"}
    await in_database_thread(_publish_another)(bot)
    phone = again(bot)
    await phone.dial()
    await phone.until("media")
    (session,) = gateway().sessions.values()
    assert session.conversation.settings.lines.greeting == "Hello Jane."
    assert session.conversation.settings.past[0].content == "Hello Jane."
    await phone.hang_up()
    await gateway_close()
    assert [found.version_id for found in await calls()] == [call.version_id]


def _publish_another(bot: TwilioConfig) -> None:
    version = bot.versions.get()
    document = {**version.document, "greeting": {"mode": "text", "text": "Other."}}
    bot.current = bot.versions.create(number=2, document=document, body={}, face="native")
    bot.save()


async def test_a_token_lets_one_stream_in(running: Gateway, bot: TwilioConfig) -> None:
    await asked_and_cut_off(bot)
    first = again(bot)
    await first.dial()
    await first.until("media")
    assert await refused(again(bot))
    assert len(gateway().sessions) == 1
    await first.hang_up()


async def test_a_token_is_of_one_call(running: Gateway, bot: TwilioConfig) -> None:
    await asked_and_cut_off(bot)
    assert await refused(again(bot, sid="CA2"))
    assert not await in_database_thread(StreamPass.objects.exists)()


async def test_a_call_that_is_over_takes_no_stream(running: Gateway, bot: TwilioConfig) -> None:
    await asked_and_cut_off(bot)
    await in_database_thread(Call.objects.update)(status="completed")
    assert await refused(again(bot))


async def test_a_wrong_signature_does_not_use_the_token_up(
    running: Gateway, account: Account, bot: TwilioConfig
) -> None:
    await asked_and_cut_off(bot)
    await in_database_thread(_signs)(account)
    assert await refused(again(bot))
    assert not await in_database_thread(StreamPass.objects.exists)()


def _signs(account: Account) -> None:
    account.signing_secrets = {"AC1": {"auth_token": "secret", "keys": {}}}
    account.save()


async def test_a_deleted_bot_holds_its_calls_to_their_end(
    running: Gateway, bot: TwilioConfig
) -> None:
    await asked_and_cut_off(bot)
    await in_database_thread(_delete)(bot)
    phone = again(bot)
    await phone.dial()
    await phone.until("media")
    await phone.hang_up()


def _delete(bot: TwilioConfig) -> None:
    bot.deleted_at = timezone.now()
    bot.save()


async def test_a_new_call_by_a_token_of_ours_is_greeted(
    running: Gateway, bot: TwilioConfig
) -> None:
    phone = again(bot, attempt=1)
    await phone.dial()
    await greeted(phone)
    await phone.hang_up()
    await gateway_close()
    assert [turn[1] for turn in await transcript()] == ["Welcome."]
    assert [call.attempts for call in await calls()] == [1]


async def test_a_quiet_return_says_nothing(running: Gateway, bot: TwilioConfig) -> None:
    first = Phone(bot)
    await first.dial()
    await greeted(first)
    await first.vanish()
    await gateway_close()
    phone = again(bot, silent=True)
    await phone.dial()
    await until(phone, lambda: bool(gateway().sessions))
    (session,) = gateway().sessions.values()
    assert session.conversation.phase is Phase.LISTENING
    await phone.hang_up()
    assert not phone.heard


async def test_an_end_on_purpose_is_written_before_the_socket_closes(
    running: Gateway, bot: TwilioConfig
) -> None:
    phone = Phone(bot)
    await phone.dial()
    await phone.until("media")
    (session,) = running.sessions.values()
    session.line.hang_up("bot_ended")
    while (await phone.message())["event"] != "close":
        pass
    assert [(call.status, call.end_reason) for call in await calls()] == [
        ("completed", "bot_ended")
    ]
