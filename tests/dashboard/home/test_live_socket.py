"""The socket of the home page: the card of live calls, as it changes, to who may see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from apps.accounts.models import Account, Membership, User
from apps.bots.models import TwilioConfig
from apps.calls.models import Call
from apps.calls.statistics.selectors import live_calls
from apps.core.threads import shared_close
from apps.dashboard.consumers import live
from apps.dashboard.consumers.watch import FAILED, NOT_ALLOWED
from tests.calls.test_calls_api import make_call
from tests.dashboard.people import person
from tests.dashboard.sockets import PageSocket, session_of
from tests.gateway.conftest import in_database_thread

pytestmark = pytest.mark.django_db(transaction=True)
CARD = "/admin/ws/live"


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(live, "ASK_EVERY_S", 0.02)


@pytest_asyncio.fixture(autouse=True)
async def _threads_end() -> AsyncIterator[None]:
    yield
    await shared_close()


@in_database_thread
def viewer(account: Account, role: str = "viewer") -> SessionStore:
    return session_of(person(role, account, role))


@in_database_thread
def begins(config: TwilioConfig, sid: str, **values: Any) -> Call:
    now = timezone.now()
    return make_call(config, sid, started_at=now, answered_at=now, **values)


@in_database_thread
def ends(call: Call) -> None:
    Call.objects.filter(pk=call.pk).update(status="completed", ended_at=timezone.now())


async def test_a_call_shows_when_it_begins_and_is_gone_when_it_ends(
    account: Account, config: TwilioConfig
) -> None:
    page = PageSocket(CARD, await viewer(account))
    assert await page.connect()
    assert "Nobody is on the phone" in await page.text()
    call = await begins(config, "CA1", from_number="+14155550100")
    shown = await page.text()
    assert "+14155550100" in shown
    assert f"/admin/calls/call/{call.pk}/change/" in shown
    await ends(call)
    assert "+14155550100" not in await page.text()
    await page.leave()


async def test_what_has_not_changed_is_not_sent_again(
    account: Account, config: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def counted(*given: Any, **more: Any) -> Any:
        looks.append(1)
        return live_calls(*given, **more)

    monkeypatch.setattr(live, "live_calls", counted)
    page = PageSocket(CARD, await viewer(account))
    assert await page.connect()
    assert "Nobody" in await page.text()
    seen = len(looks)
    while len(looks) < seen + 3:
        await in_database_thread(Call.objects.count)()
    await begins(config, "CA1")
    assert "1</span> live call" in await page.text()
    await page.leave()


async def test_another_accounts_calls_are_not_shown(
    account: Account, stranger: Account, config: TwilioConfig
) -> None:
    page = PageSocket(CARD, await viewer(stranger))
    assert await page.connect()
    await begins(config, "CA1", from_number="+14155550100")
    assert "+14155550100" not in await page.text()
    await page.leave()


async def test_a_viewer_who_chose_an_account_sees_its_calls_alone(
    account: Account, stranger: Account, config: TwilioConfig
) -> None:
    @in_database_thread
    def chose() -> SessionStore:
        session = session_of(person("root", None, "superuser"))
        session["account"] = str(stranger.pk)
        session.save()
        return session

    await begins(config, "CA1", from_number="+14155550100")
    page = PageSocket(CARD, await chose())
    assert await page.connect()
    assert "Nobody is on the phone" in await page.text()
    await page.leave()


@pytest.mark.parametrize("who", ["nobody", "no member", "no staff", "another site", "no origin"])
async def test_nobody_else_is_let_in(account: Account, who: str) -> None:
    @in_database_thread
    def made() -> SessionStore | None:
        if who == "nobody":
            return None
        if who == "no staff":
            return session_of(User.objects.create(username="x"))
        return session_of(person("x", None if who == "no member" else account, "viewer"))

    origins = {"another site": "https://evil.example", "no origin": ""}
    more = {"origin": origins[who]} if who in origins else {}
    assert not await PageSocket(CARD, await made(), **more).connect()


async def test_who_logs_out_sees_no_more(account: Account) -> None:
    session = await viewer(account)
    page = PageSocket(CARD, session)
    assert await page.connect()
    assert "Nobody" in await page.text()
    await in_database_thread(session.delete)()
    assert await page.text() == str(NOT_ALLOWED)
    await page.leave()


async def test_who_is_no_member_any_more_sees_no_more(account: Account) -> None:
    page = PageSocket(CARD, await viewer(account))
    assert await page.connect()
    assert "Nobody" in await page.text()
    await in_database_thread(Membership.objects.all().delete)()
    assert await page.text() == str(NOT_ALLOWED)
    await page.leave()


async def test_where_the_database_fails_the_page_is_told_to_come_back(
    account: Account, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    page = PageSocket(CARD, await viewer(account))
    assert await page.connect()
    assert "Nobody" in await page.text()

    def fails(*given: Any, **more: Any) -> Any:
        raise ValueError("broken")

    monkeypatch.setattr(live, "live_calls", fails)
    assert await page.text() == str(FAILED)
    assert "could not be kept" in caplog.text
    await page.leave()
