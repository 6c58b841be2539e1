"""The socket by which a page sees and hears a call: who is let in, and what comes."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.db import OperationalError

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry, Membership, User
from apps.accounts.services import membership_put
from apps.bots.models import TwilioConfig
from apps.calls.models import Call
from apps.dashboard.consumers import watch
from apps.gateway.runtime import Gateway, gateway, gateway_close
from tests.calls.test_calls_api import make_call
from tests.dashboard.sockets import PageSocket, session_of
from tests.gateway.conftest import Phone, bot_with, in_database_thread, running, speech

__all__ = ("bot_with", "running")  # fixtures

pytestmark = pytest.mark.django_db(transaction=True)

PersonWith = Callable[..., Any]


@pytest.fixture
def session_with() -> PersonWith:
    """Log somebody in who has a role in an account."""

    def make(role: str, account: Account) -> Any:
        user = User.objects.create(username=f"{role}-{uuid.uuid4().hex[:6]}", is_staff=True)
        membership_put(account=account, user=user, role=role, actor=Actor())
        return session_of(user)

    return make


@pytest.fixture
def bot(bot_with: Any) -> TwilioConfig:
    found: TwilioConfig = bot_with(
        stt={"lines": ["Hello there."]},
        llm={"replies": ["Good day."]},
        greeting={"mode": "text", "text": "Welcome."},
    )
    return found


def watching(call: Call, session: Any, **more: str) -> PageSocket:
    return PageSocket(f"/admin/ws/calls/{call.pk}/watch", session, **more)


async def on(running: Gateway, phone: Phone) -> Call:
    await phone.dial()
    assert (await phone.message())["event"] == "media"
    await running.journal.flushed(5)
    (call_id,) = running.sessions
    return await in_database_thread(Call.objects.get)(pk=call_id)


async def test_an_operator_sees_and_hears_a_call_to_its_end(
    running: Gateway, account: Account, bot: TwilioConfig, session_with: PersonWith
) -> None:
    session = await in_database_thread(session_with)("operator", account)
    phone = Phone(bot)
    call = await on(running, phone)
    page = watching(call, session, query="audio=1")
    assert await page.connect()
    assert (await page.event()) == {"kind": "listening", "audio": True, "why": ""}
    assert (await page.event())["status"] == "in-progress"
    assert (await page.until("watching"))["phase"] == "speaking"
    await phone.until("mark")
    await phone.say(speech())
    await phone.until("media")
    await phone.until("mark")
    while (turn := await page.until("turn"))["role"] != "caller":
        pass
    assert turn["heard"] == "Hello there."
    await phone.hang_up()
    assert (await page.until("stream.ended"))["reason"] == "caller_hung_up"
    await running.journal.flushed(5)
    assert (await page.until("call"))["status"] == "completed"
    await page.until("over")
    assert (await page.event()) == {"kind": "close", "code": 1000}
    assert len(page.heard) > 8_000
    entry = await in_database_thread(AuditEntry.objects.get)(action="call.listened")
    assert entry.target_id == str(call.pk)


async def test_a_viewer_reads_along_and_hears_nothing(
    running: Gateway, account: Account, bot: TwilioConfig, session_with: PersonWith
) -> None:
    session = await in_database_thread(session_with)("viewer", account)
    phone = Phone(bot)
    call = await on(running, phone)
    page = watching(call, session, query="audio=1")
    assert await page.connect()
    told = await page.event()
    assert (told["audio"], "operator" in told["why"]) == (False, True)
    await page.until("watching")
    await phone.hang_up()
    await page.until("stream.ended")
    assert page.heard == b""
    assert not await in_database_thread(AuditEntry.objects.filter(action="call.listened").exists)()
    await page.leave()


@pytest.mark.parametrize("who", ["nobody", "stranger", "another site", "no origin"])
async def test_nobody_else_is_let_in(
    account: Account, stranger: Account, config: TwilioConfig, session_with: PersonWith, who: str
) -> None:
    @in_database_thread
    def made() -> tuple[Call, Any]:
        theirs = session_with("owner", stranger if who == "stranger" else account)
        return make_call(config), None if who == "nobody" else theirs

    call, session = await made()
    origins = {"another site": "https://evil.example", "no origin": ""}
    more = {"origin": origins[who]} if who in origins else {}
    page = watching(call, session, **more)
    assert not await page.connect()
    await gateway_close()


@pytest.mark.parametrize("what", ["logged out", "no member any more"])
async def test_who_may_no_more_sees_no_more(
    running: Gateway,
    account: Account,
    bot: TwilioConfig,
    session_with: PersonWith,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    monkeypatch.setattr(watch, "CAUGHT_UP_S", 0.05)
    session = await in_database_thread(session_with)("operator", account)
    phone = Phone(bot)
    page = watching(await on(running, phone), session)
    assert await page.connect()
    await page.until("watching")
    gone = session.delete if what == "logged out" else Membership.objects.all().delete
    await in_database_thread(gone)()
    while (event := await page.event())["kind"] != "close":
        pass
    assert event["code"] == watch.NOT_ALLOWED
    await page.leave()
    await phone.hang_up()


async def test_a_call_that_is_out_of_reach_is_read_from_the_database(
    account: Account,
    config: TwilioConfig,
    session_with: PersonWith,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.REDIS_URL = ""
    monkeypatch.setattr(watch, "POLL_S", 0.05)

    @in_database_thread
    def made() -> tuple[Call, Any]:
        changes: dict[str, Any] = {"status": "in-progress", "ended_at": None}
        changes["gateway"] = uuid.uuid4()
        return make_call(config, **changes), session_with("viewer", account)

    call, session = await made()
    page = watching(call, session)
    assert await page.connect()
    assert "set REDIS_URL" in (await page.until("unreachable"))["why"]
    ended: Callable[..., Awaitable[int]] = in_database_thread(
        Call.objects.filter(pk=call.pk).update
    )
    await ended(status="completed")
    await page.until("over")
    await page.leave()
    await gateway_close()


async def test_who_leaves_is_sent_nothing_more(
    running: Gateway, account: Account, bot: TwilioConfig, session_with: PersonWith
) -> None:
    session = await in_database_thread(session_with)("operator", account)
    phone = Phone(bot)
    call = await on(running, phone)
    page = watching(call, session)
    assert await page.connect()
    await page.until("watching")
    tap = gateway().sessions[call.pk].tap
    assert tap is not None
    await page.leave()
    assert tap.viewers == {}
    await phone.hang_up()


async def test_where_the_database_fails_the_page_is_told_to_come_back(
    running: Gateway,
    account: Account,
    bot: TwilioConfig,
    session_with: PersonWith,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(watch, "CAUGHT_UP_S", 0.05)
    session = await in_database_thread(session_with)("operator", account)
    phone = Phone(bot)
    page = watching(await on(running, phone), session)
    assert await page.connect()
    await page.until("watching")

    def fails(*given: Any) -> Any:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(watch, "viewer_of", fails)
    while (event := await page.event())["kind"] != "close":
        pass
    assert event["code"] == watch.FAILED
    assert "could not be watched" in caplog.text
    await page.leave()
    await phone.hang_up()
