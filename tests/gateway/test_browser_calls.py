"""Calls from a browser: who is let in without Twilio's signature, and what becomes of the call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry, User
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import Write, config_create, config_replace
from apps.calls import live, transfers
from apps.calls.browser import BrowserCall, browser_call_abandon, browser_call_begin
from apps.calls.control import OrderRefused
from apps.calls.dialling import NotNow, WishRefused
from apps.calls.hangup import call_hang_up
from apps.calls.lines import Busy
from apps.calls.lookups import connection_of
from apps.calls.models import Call, Turn
from apps.calls.reaping import calls_reap
from apps.calls.tokens import StreamToken, token_make, token_read
from apps.calls.transfers import TransferWish
from apps.core.threads import twice
from apps.gateway.runtime import Gateway, gateway_close
from tests.conftest import ApiFor
from tests.gateway.conftest import BotWith, Phone, in_database_thread, speech

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "12345678901234567890123456789012"


@pytest.fixture
def ada(account: Account) -> Actor:
    return Actor(user=User.objects.create_user("ada", password="x"))


@pytest.fixture
def bot(bot_with: BotWith) -> TwilioConfig:
    return bot_with(
        stt={"lines": ["Hello there."]},
        llm={"replies": ["Good day."]},
        greeting={"mode": "text", "text": "Welcome to the hotel."},
        transfers={"desk": {"to": "+14155550101"}},
    )


@pytest.fixture
def begun(account: Account, bot: TwilioConfig, ada: Actor) -> BrowserCall:
    # Twilio's handshakes to this account are checked.
    account.twilio_auth_token = TOKEN
    account.save()
    return browser_call_begin(account=account, config_id=bot.pk, actor=ada)


def page(bot: TwilioConfig, begun: BrowserCall) -> Phone:
    """What the page does with what it was given."""
    found = Phone(bot, call_sid=begun.start["callSid"])
    found.stream_sid = begun.start["streamSid"]
    found.parameters = dict(begun.start["customParameters"])
    return found


async def refused(phone: Phone) -> None:
    await phone.dial()
    assert await phone.message() == {"event": "close", "code": 1008}


@in_database_thread
def row() -> Call:
    return twice(Call.objects.get)


async def test_a_page_talks_to_the_bot_over_the_socket_of_phones(
    running: Gateway, bot: TwilioConfig, begun: BrowserCall
) -> None:
    phone = page(bot, begun)
    await phone.dial()
    await phone.until("mark")
    await phone.say(speech())
    await phone.until("media")
    await phone.until("mark")
    await phone.hang_up()
    await gateway_close()
    call = await row()
    assert (call.medium, call.direction, call.status) == ("browser", "inbound", "completed")
    assert (call.from_number, call.end_reason) == ("client:ada", "caller_hung_up")
    assert call.twilio_account_sid == ""
    assert await in_database_thread(Turn.objects.count)() >= 3


async def test_its_token_lets_one_stream_in(
    running: Gateway, bot: TwilioConfig, begun: BrowserCall
) -> None:
    first = page(bot, begun)
    await first.dial()
    await first.until("mark")
    await refused(page(bot, begun))
    await first.hang_up()


@pytest.mark.parametrize("changed", ["call_sid", "account", "token"])
async def test_it_is_good_for_its_own_call_alone(
    running: Gateway, bot: TwilioConfig, begun: BrowserCall, stranger: Account, changed: str
) -> None:
    phone = page(bot, begun)
    if changed == "call_sid":
        phone.call_sid = "CA" + "1" * 32
    elif changed == "account":
        phone.parameters["account"] = str(stranger.pk)
    else:
        phone.parameters["token"] += "x"
    await refused(phone)
    # Nothing was used up by that.
    mine = page(bot, begun)
    await mine.dial()
    await mine.until("mark")
    await mine.hang_up()


async def test_every_other_stream_of_the_account_is_signed_as_before(
    running: Gateway, bot: TwilioConfig, begun: BrowserCall
) -> None:
    by_bin = Phone(bot)
    await refused(by_bin)
    by_bin_as_page = Phone(bot, call_sid=begun.start["callSid"])
    by_bin_as_page.stream_sid = "MZ1"
    await refused(by_bin_as_page)
    # A token for a phone's stream, for the page's call: the call is of the other kind.
    sid = begun.start["callSid"]
    for_phones = page(bot, begun)
    made = StreamToken(begun.call.pk, bot.pk, 1, call_sid=sid)
    for_phones.parameters["token"] = token_make(made)
    await refused(for_phones)


async def test_a_browsers_token_opens_no_phones_call(
    running: Gateway, bot: TwilioConfig, begun: BrowserCall
) -> None:
    change = in_database_thread(Call.objects.filter(pk=begun.call.pk).update)
    await change(medium=Call.Medium.PHONE)
    await refused(page(bot, begun))


def test_a_token_is_old_after_a_minute(begun: BrowserCall, monkeypatch: pytest.MonkeyPatch) -> None:
    text = begun.start["customParameters"]["token"]
    found = token_read(text)
    assert found is not None
    assert found.browser
    later = timezone.now().timestamp() + 60
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)
    assert token_read(text) is None


async def test_a_socket_that_breaks_ends_the_call(
    running: Gateway, bot: TwilioConfig, begun: BrowserCall
) -> None:
    phone = page(bot, begun)
    await phone.dial()
    await phone.until("mark")
    await phone.vanish()
    await gateway_close()
    call = await row()
    assert (call.status, call.end_reason) == ("completed", "connection_lost")


async def test_nobody_is_put_through_and_no_keys_are_pressed(
    running: Gateway, account: Account, bot: TwilioConfig, begun: BrowserCall, ada: Actor
) -> None:
    phone = page(bot, begun)
    await phone.dial()
    await phone.until("mark")
    toolbox = running.sessions[begun.call.pk].conversation.parts.speaker.tools._toolbox
    assert toolbox._summarise is None  # type: ignore[attr-defined]
    to_desk = TransferWish(target="desk")

    @in_database_thread
    def orders() -> None:
        with pytest.raises(OrderRefused, match="put through"):
            transfers.call_transfer(account=account, call_id=begun.call.pk, wish=to_desk, actor=ada)
        with pytest.raises(OrderRefused, match="phones only"):
            live.call_press(account=account, call_id=begun.call.pk, digits="1", actor=ada)

    await orders()
    await phone.hang_up()


async def test_an_operator_hangs_up_without_twilio(
    running: Gateway, account: Account, bot: TwilioConfig, begun: BrowserCall, ada: Actor
) -> None:
    phone = page(bot, begun)
    await phone.dial()
    await phone.until("mark")
    await running.journal.flushed(5)
    await in_database_thread(
        lambda: call_hang_up(account=account, call_id=begun.call.pk, actor=ada)
    )()
    while (await phone.message())["event"] != "close":
        pass
    await gateway_close()
    assert (await row()).end_reason == "hung_up"


def test_a_call_says_who_made_it_and_that_it_was_a_browser(
    account: Account, begun: BrowserCall, api_for: ApiFor
) -> None:
    entry = AuditEntry.objects.get(action="call.browser")
    assert (entry.actor_name, entry.target_id) == ("ada", str(begun.call.pk))
    api = api_for(account, "calls:read")
    (shown,) = api.get("/calls?medium=browser").json()["results"]
    assert (shown["medium"], shown["from"], shown["to"]) == ("browser", "client:ada", "")
    assert api.get("/calls?medium=phone").json()["results"] == []
    assert api.get("/calls?medium=fax").status_code == 400


def test_twilio_is_never_asked_about_it(begun: BrowserCall) -> None:
    # Whatever a page may have claimed.
    begun.call.twilio_account_sid = "AC" + "1" * 32
    assert connection_of(begun.call) is None


def test_a_page_that_never_connects_gives_its_line_back(
    account: Account, bot: TwilioConfig, ada: Actor
) -> None:
    account.max_live_calls = 1
    account.save()
    begun = browser_call_begin(account=account, config_id=bot.pk, actor=ada)
    with pytest.raises(Busy):
        browser_call_begin(account=account, config_id=bot.pk, actor=ada)
    calls_reap(now=timezone.now() + timedelta(seconds=61))
    begun.call.refresh_from_db()
    assert (begun.call.status, begun.call.end_reason) == ("canceled", "reaped_no_stream")
    again = browser_call_begin(account=account, config_id=bot.pk, actor=ada)
    browser_call_abandon(account=account, call_id=again.call.pk)
    again.call.refresh_from_db()
    assert (again.call.status, again.call.end_reason) == ("canceled", "canceled")


def test_another_accounts_bot_is_none(stranger: Account, bot: TwilioConfig, ada: Actor) -> None:
    with pytest.raises(TwilioConfig.DoesNotExist):
        browser_call_begin(account=stranger, config_id=bot.pk, actor=ada)


async def test_a_draft_is_talked_to_before_it_is_published(
    running: Gateway, account: Account, bot: TwilioConfig, ada: Actor
) -> None:
    @in_database_thread
    def begin() -> BrowserCall:
        config = bot.current.document if bot.current else {}
        assert config
        body: dict[str, Any] = {
            "name": "Bot",
            "config": {
                "llm": {"provider": "scripted", "prompt": "x"},
                "stt": {"provider": "scripted"},
                "tts": {"provider": "scripted"},
                "greeting": {"mode": "text", "text": "The draft speaks."},
            },
        }
        write = Write(account=account, config_id=bot.pk, actor=ada, publish=False)
        config_replace(write, body)
        return browser_call_begin(account=account, config_id=bot.pk, actor=ada, draft=True)

    begun = await begin()
    phone = page(bot, begun)
    await phone.dial()
    await phone.until("mark")
    assert running.sessions[begun.call.pk].conversation.settings.lines.greeting.startswith(
        "The draft"
    )
    await phone.hang_up()
    await gateway_close()
    assert (await row()).version_id == begun.call.version_id


def test_what_was_never_published_has_a_draft_only(account: Account, ada: Actor) -> None:
    draft = draft_read(
        {
            "name": "New",
            "config": {
                "llm": {"provider": "scripted", "prompt": "{{guest}}"},
                "stt": {"provider": "scripted"},
                "tts": {"provider": "scripted"},
            },
        }
    )
    config = config_create(account=account, draft=draft, actor=ada, publish=False)
    with pytest.raises(NotNow, match="draft"):
        browser_call_begin(account=account, config_id=config.pk, actor=ada)
    with pytest.raises(WishRefused) as wrong:
        browser_call_begin(
            account=account, config_id=config.pk, actor=ada, draft=True, variables={"x": "1"}
        )
    assert "x" in wrong.value.fields["variables"]
    begun = browser_call_begin(
        account=account, config_id=config.pk, actor=ada, draft=True, variables={"guest": "Ann"}
    )
    assert begun.call.variables == {"guest": "Ann"}


async def test_a_bots_own_token_makes_no_browsers_call(
    running: Gateway, bot: TwilioConfig, account: Account, ada: Actor
) -> None:
    """Not even where no signature is asked for: it would take the call's place in the list."""
    begin = in_database_thread(browser_call_begin)
    begun = await begin(account=account, config_id=bot.pk, actor=ada)
    phone = Phone(bot, call_sid=begun.start["callSid"])
    phone.stream_sid = "MZ1"
    await refused(phone)
