"""The home page: whose figures it shows, in which words, and in how many queries."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Account, TwilioConnection
from apps.bots.models import TwilioConfig
from apps.calls.models import Call, CallEvent, PhoneNumber, Turn
from apps.calls.statistics.alarms import Alarm, AlarmKind
from apps.calls.statistics.counting import hours_count
from apps.calls.statistics.figures import Ending
from apps.dashboard.home.words import failure_words, ms_words, notice_of
from tests.calls.test_calls_api import make_call
from tests.dashboard.people import ROLES, Login

HOME = "/admin/"
FIGURES, LIVE = "/admin/home/figures", "/admin/home/live"


def over(config: TwilioConfig, sid: str = "CA1", *answers_ms: int, **values: Any) -> Call:
    """A call that has just ended."""
    now = timezone.now()
    call = make_call(
        config,
        sid,
        **{
            **{"started_at": now, "ended_at": now, "status": "completed", "stream_sid": "MZ1"},
            **{"end_reason": "caller_hung_up", "cost_is_complete": True, **values},
        },
    )
    for index, ms in enumerate(answers_ms):
        turn = {"call": call, "stream_sid": "MZ1", "index": index, "role": "bot"}
        Turn.objects.create(**turn, answer_ms=ms, started_at=now, ended_at=now)
    return call


def read(client: Client, path: str = HOME) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def tiles(page: str) -> dict[str, tuple[str, str]]:
    """Return the figures of the day: value and note by name."""
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd><dd class=.bc-stat-note.>(.*?)</dd>", page)
    return {name: (value, note) for name, value, note in found}


# --- what it shows --------------------------------------------------------------------------------


def test_it_says_what_happened_today(as_: Login, account: Account, config: TwilioConfig) -> None:
    over(config, "CA1", 400, 500, 900, first_word_ms=120, cost_usd=Decimal("1.5"))
    over(config, "CA2", status="busy", end_reason="busy", stream_sid="", cost_is_complete=False)
    shown = tiles(read(as_(account, "viewer")))
    assert shown["Calls today"] == ("2", "1 held")
    assert shown["Answer → first word"] == ("122 ms", "p50, p95 122 ms")
    assert shown["Turn latency"] == ("504 ms", "p50, p95 912 ms")
    assert shown["Failures"] == ("1", "50 % of the calls")
    assert shown["Cost"] == ("$1.50", "$0.7500 a call")


def test_costs_that_are_not_known_are_said(
    as_: Login, account: Account, config: TwilioConfig
) -> None:
    over(config, cost_usd=Decimal("0.5"), cost_is_complete=False)
    assert tiles(read(as_(account, "viewer")))["Cost"] == ("$0.5000", "and 1 unpriced calls")


def test_failures_are_said_in_words(as_: Login, account: Account, config: TwilioConfig) -> None:
    over(config, status="failed", end_reason="twilio_failed", error_code="13224")
    page = read(as_(account, "viewer"))
    assert "Twilio could not place it (Twilio&#x27;s 13224)" in page


def test_live_calls_lead_to_their_page(as_: Login, account: Account, config: TwilioConfig) -> None:
    call = make_call(config, from_number="+14155550100", started_at=timezone.now())
    page = read(as_(account, "viewer"))
    assert f'href="/admin/calls/call/{call.pk}/change/"' in page
    assert "+14155550100" in page


def test_a_name_of_a_bot_is_text(as_: Login, account: Account, config: TwilioConfig) -> None:
    TwilioConfig.objects.update(name="<b>bold</b>")
    make_call(config, started_at=timezone.now())
    page = read(as_(account, "viewer"))
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page


@pytest.mark.parametrize("role", [*ROLES, "superuser"])
def test_every_role_sees_it(as_: Login, account: Account, config: TwilioConfig, role: str) -> None:
    over(config)
    client = as_(account, role)
    for path in (HOME, FIGURES, LIVE):
        read(client, path)


def test_another_accounts_calls_are_not_counted(
    as_: Login, account: Account, stranger: Account, config: TwilioConfig
) -> None:
    over(config, status="failed", end_reason="provider_failure")
    over(config, "CA2", ended_at=timezone.now() - timedelta(hours=3))
    call = make_call(config, "CA3", from_number="+14155550100", started_at=timezone.now())
    CallEvent.objects.create(
        call=call, at=timezone.now(), kind="provider.failed", data={"provider": "openai"}
    )
    hours_count()
    client = as_(stranger, "owner")
    assert "three steps" in read(client)
    assert tiles(read(client, FIGURES))["Calls today"][0] == "0"
    assert "openai" not in read(client, FIGURES)
    assert "+14155550100" not in read(client, LIVE)


def test_a_superuser_may_narrow_it_to_one_account(
    as_: Login, account: Account, stranger: Account, config: TwilioConfig
) -> None:
    over(config)
    client = as_(None, "superuser")
    assert tiles(read(client))["Calls today"][0] == "1"
    client.post("/admin/account/", {"account": str(stranger.pk)})
    assert "three steps" in read(client)


@pytest.mark.parametrize("path", [HOME, FIGURES, LIVE])
def test_who_is_not_logged_in_is_sent_to_do_so(db: None, path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 302
    assert "login" in answer.headers["Location"]


def test_somebody_in_no_account_is_told_what_to_do(as_: Login, db: None) -> None:
    client = as_(None)
    assert "Ask an owner" in read(client)
    assert client.get(FIGURES).status_code == client.get(LIVE).status_code == 403


# --- before the first call ------------------------------------------------------------------------


def test_a_fresh_account_is_shown_the_way(as_: Login, account: Account) -> None:
    page = read(as_(account, "operator"))
    assert "/admin/bots/twilioconfig/add/" in page
    assert "Comes after the step before" in page


def test_who_may_not_make_a_bot_is_not_offered_to(as_: Login, account: Account) -> None:
    page = read(as_(account, "viewer"))
    assert "/admin/bots/twilioconfig/add/" not in page
    assert "role of an operator" in page


def test_with_a_bot_the_next_step_is_to_talk_to_it(
    as_: Login, account: Account, config: TwilioConfig
) -> None:
    page = read(as_(account, "operator"))
    assert "(done)" in page
    assert f"/admin/bots/twilioconfig/{config.pk}/" in page


# --- what needs a look ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(AlarmKind))
@pytest.mark.parametrize("count", [1, 4])
def test_every_alarm_says_what_to_do(kind: AlarmKind, count: int) -> None:
    said = notice_of(Alarm(kind, count, ["a", "b"][:count], detail="no_words"))
    assert "{" not in said.what
    assert said.what
    assert said.todo.endswith(".")
    if count == 4 and "{count}" not in said.what and kind.startswith("number"):
        assert "4" in said.what


def test_an_alarm_stands_above_the_figures(
    as_: Login, account: Account, config: TwilioConfig
) -> None:
    over(config)
    twilio = TwilioConnection.objects.create(account=account, account_sid="AC1")
    PhoneNumber.objects.create(
        account=account,
        connection=twilio,
        config=config,
        sid="PN1",
        number="+14155550100",
        drifted_at=timezone.now(),
    )
    page = read(as_(account, "viewer"))
    assert "+14155550100 leads elsewhere" in page
    assert page.index("leads elsewhere") < page.index("Calls today")


def test_words_for_figures() -> None:
    assert [ms_words(ms) for ms in (None, 0, 999, 1_000, 12_345)] == [
        *("–", "0 ms", "999 ms"),
        *("1.0 s", "12.3 s"),
    ]
    assert failure_words(Ending("failed", "number_invalid", "")) == "Number invalid"


# --- how much it asks -----------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "queries"), [("viewer", 20), ("superuser", 21)])
def test_it_takes_few_queries_however_many_calls(
    as_: Login,
    account: Account,
    config: TwilioConfig,
    django_assert_max_num_queries: DjangoAssertNumQueries,
    role: str,
    queries: int,
) -> None:
    for number in range(20):
        ended = timezone.now() - timedelta(hours=number)
        over(config, f"CA{number}", 500, ended_at=ended)
        make_call(config, f"CB{number}", started_at=timezone.now())
    hours_count()
    client = as_(account, role)
    with django_assert_max_num_queries(queries):
        read(client)
