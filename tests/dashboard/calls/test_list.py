"""The list of calls: found by filters, a page at a time, and taken away as CSV."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import config_create
from apps.calls.models import Call, Recording
from tests.calls.test_calls_api import NOW, make_call
from tests.conftest import BODY
from tests.dashboard.calls.conftest import Login

LIST = "/admin/calls/call/"
EXPORT = f"{LIST}export/"
ROLES = ("owner", "admin", "operator", "viewer")


@pytest.fixture
def viewer(as_: Login, account: Account) -> Client:
    return as_("viewer", account)


def shown(client: Client, **asked: str) -> list[str]:
    """Return the CallSids that the list shows, by their calls' pages."""
    page = client.get(LIST, asked).content.decode()
    found = re.findall(r"/admin/calls/call/([0-9a-f-]{36})/change/", page)
    return [Call.objects.get(pk=pk).call_sid for pk in found]


def cell(page: str) -> str:
    """Return what the list says of the only call's cost."""
    return page.partition("data-cost>")[2].partition("<")[0]


# --- who sees what --------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_members_see_their_accounts_calls_and_take_them_away(
    as_: Login, account: Account, stranger: Account, config: TwilioConfig, role: str
) -> None:
    make_call(config)
    mine, theirs = as_(role, account), as_(role, stranger)
    assert shown(mine) == ["CA1"]
    assert "CA1" in b"".join(mine.get(EXPORT)).decode()
    assert shown(theirs) == []
    assert "CA1" not in b"".join(theirs.get(EXPORT)).decode()
    assert as_("nobody").get(LIST).status_code == 403
    assert as_("nobody").get(EXPORT).status_code == 403


def test_whose_a_call_is_is_said_where_there_are_several_accounts(
    as_: Login, account: Account, stranger: Account, config: TwilioConfig
) -> None:
    make_call(config)
    assert '<th scope="col">Account</th>' not in as_("viewer", account).get(LIST).content.decode()
    several = as_("viewer", account, stranger).get(LIST).content.decode()
    assert '<th scope="col">Account</th>' in several and "Hotel" in several


def test_an_address_of_nothing_finds_nothing_and_a_bad_page_is_the_first(viewer: Client) -> None:
    assert viewer.get(f"{LIST}1/change/").status_code == 404
    answer = viewer.get(LIST, {"cursor": "nonsense"})
    assert (answer.status_code, answer["Location"]) == (302, LIST)


# --- what a row says ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"cost_usd": Decimal("0.01234"), "cost_is_complete": True}, "$0.0123"),
        ({"cost_usd": Decimal("0.01234")}, "at least $0.0123"),
        ({"cost_usd": Decimal("0.00000001"), "cost_is_complete": True}, "$0.0001"),
        ({"cost_usd": Decimal(0), "cost_is_complete": True}, "$0"),
        ({}, "unknown"),
        ({"ended_at": None}, "–"),
    ],
)
def test_a_row_says_what_a_call_cost_and_how_sure_that_is(
    viewer: Client, config: TwilioConfig, values: dict[str, Any], says: str
) -> None:
    make_call(config, **{"ended_at": NOW, **values})
    assert cell(viewer.get(LIST).content.decode()) == says


def test_a_row_says_whom_how_long_and_how_it_ended(viewer: Client, config: TwilioConfig) -> None:
    answered, ended = NOW + timedelta(seconds=30), NOW + timedelta(seconds=95)
    make_call(
        config,
        direction="outbound",
        to_number="+14155550101",
        status="completed",
        end_reason="bot_ended",
        answered_at=answered,
        ended_at=ended,
        first_word_ms=321,
    )
    page = viewer.get(LIST).content.decode()
    for part in ("+14155550101", "Completed", "The bot said goodbye", "1:05", "321&nbsp;ms"):
        assert part in page, part


def test_the_newest_calls_keep_themselves_up_to_date(viewer: Client, config: TwilioConfig) -> None:
    call = make_call(config)
    assert 'hx-trigger="every 5s"' in viewer.get(LIST).content.decode()
    Call.objects.filter(pk=call.pk).update(status="completed")
    assert 'hx-trigger="every 15s"' in viewer.get(LIST).content.decode()


# --- what is found --------------------------------------------------------------------------------


@pytest.fixture
def calls(config: TwilioConfig) -> TwilioConfig:
    """Six calls of two bots: each is the only one of something. Returns the other bot."""
    now, hour = timezone.now(), timedelta(hours=1)
    done: dict[str, Any] = {"status": "completed", "started_at": now - 2 * hour}
    done["ended_at"] = now - 2 * hour + timedelta(seconds=20)
    make_call(config, "CAlive", started_at=now)
    make_call(config, "CAfail", status="failed", end_reason="provider_failure", started_at=now)
    make_call(config, "CAdialled", direction="outbound", to_number="+14155550101", **done)
    old = {**done, "started_at": now - 50 * hour, "ended_at": now - 49 * hour}
    make_call(config, "CAolder", from_number="+4930123456", **old)
    found = make_call(config, "CArecorded", **done)
    Recording.objects.create(call=found, started_at=NOW, status="ready")
    other = config_create(
        account=config.account, draft=draft_read({**BODY, "name": "Bar"}), actor=Actor()
    )
    make_call(other, "CAother", **done)
    return other


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"status": "live"}, {"CAlive"}),
        ({"status": "failed"}, {"CAfail"}),
        ({"reason": "provider_failure"}, {"CAfail"}),
        ({"direction": "outbound"}, {"CAdialled"}),
        ({"q": "+14155550101"}, {"CAdialled"}),
        ({"q": "415 555-01"}, {"CAdialled"}),
        ({"q": "012345"}, {"CAolder"}),
        ({"q": "CAother"}, {"CAother"}),
        ({"q": "+4930999"}, set()),
        ({"recorded": "on"}, {"CArecorded"}),
        ({"longer": "60"}, {"CAolder"}),
        ({"longer": "20", "when": "day"}, {"CAdialled", "CArecorded", "CAother"}),
        ({"when": "day", "status": "completed", "direction": "outbound"}, {"CAdialled"}),
        ({"when": "week", "q": "4930"}, {"CAolder"}),
    ],
)
def test_calls_are_found_by_what_is_known_of_them(
    viewer: Client, calls: TwilioConfig, asked: dict[str, str], found: set[str]
) -> None:
    assert set(shown(viewer, **asked)) == found
    rows = csv.DictReader(io.StringIO(b"".join(viewer.get(EXPORT, asked)).decode("utf-8-sig")))
    assert {row["call_sid"] for row in rows} == found


def test_calls_are_found_by_their_bot_or_id(viewer: Client, calls: TwilioConfig) -> None:
    assert shown(viewer, bot=str(calls.pk)) == ["CAother"]
    call = Call.objects.get(call_sid="CAolder")
    assert shown(viewer, q=str(call.pk)) == ["CAolder"]


def test_a_span_is_in_the_viewers_own_zone(viewer: Client, config: TwilioConfig) -> None:
    make_call(config, "CAmorning", started_at=datetime(2026, 7, 1, 22, 30, tzinfo=UTC))
    make_call(config, "CAevening", started_at=datetime(2026, 7, 1, 21, 30, tzinfo=UTC))
    span = {"when": "custom", "since": "2026-07-02T00:00", "until": "2026-07-03T00:00"}
    viewer.cookies["tz"] = "Europe/Berlin"
    assert shown(viewer, **span) == ["CAmorning"]
    viewer.cookies["tz"] = "UTC"
    assert shown(viewer, **span) == []


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"status": "odd"}, "Select a valid choice"),
        ({"longer": "-1"}, "greater than or equal to 0"),
        ({"since": "yesterday"}, "Enter a valid date/time"),
        ({"since": "2026-07-02T00:00", "until": "2026-07-01T00:00"}, "Later than the beginning"),
        ({"bot": "a-bot-of-nobody"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_looked_for_is_said_at_its_field(
    viewer: Client, config: TwilioConfig, asked: dict[str, str], says: str
) -> None:
    make_call(config)
    page = viewer.get(LIST, asked).content.decode()
    assert says in page and 'class="bc-calls-when"' not in page
    assert viewer.get(EXPORT, asked).status_code == 302


def test_anothers_bot_is_no_choice(
    as_: Login, stranger: Account, config: TwilioConfig, account: Account
) -> None:
    assert str(config.pk) not in as_("owner", stranger).get(LIST).content.decode()
    page = as_("owner", stranger).get(LIST, {"bot": str(config.pk)}).content.decode()
    assert "Select a valid choice" in page


# --- many calls -----------------------------------------------------------------------------------


def test_a_page_has_fifty_calls_and_leads_to_the_older(
    viewer: Client,
    config: TwilioConfig,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(52):
        make_call(config, f"CA{number}", started_at=NOW + timedelta(minutes=number))
    with django_assert_max_num_queries(9):
        page = viewer.get(LIST, {"direction": "inbound"}).content.decode()
    assert page.count('<td class="bc-calls-when">') == 50
    link = re.search(r'rel="next" href="(\?[^"]+)"', page)
    assert link is not None and "direction=inbound" in link[1]
    older = viewer.get(LIST + link[1].replace("&amp;", "&")).content.decode()
    assert older.count('<td class="bc-calls-when">') == 2
    assert 'rel="prev"' in older and 'rel="next"' not in older
    assert "hx-trigger" in page and "hx-trigger" not in older


# --- as CSV ---------------------------------------------------------------------------------------


def test_the_file_is_a_csv_of_what_was_found_and_who_took_it_is_noted(
    viewer: Client, calls: TwilioConfig
) -> None:
    answer = viewer.get(EXPORT, {"status": "failed", "when": "day"})
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert re.search(r'attachment; filename="calls-[0-9-]+\.csv"', answer["Content-Disposition"])
    assert answer.streaming
    assert b"".join(answer).decode("utf-8-sig").count("\r\n") == 2
    entry = AuditEntry.objects.get(action="call.export")
    assert entry.actor_kind == AuditEntry.ActorKind.USER
    assert entry.after == {"filters.status": "failed", "filters.when": "day"}
