"""Calls that are dialled later: when, by whom, and what keeps them from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection as database
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from apps.accounts.models import Account, TwilioConnection
from apps.bots.models import TwilioConfig
from apps.calls import due
from apps.calls.due import LATE, calls_at_once, calls_due_dial
from apps.calls.models import Call
from apps.webhooks.models import Endpoint, Event
from tests.calls.dialling.conftest import THEIRS, Post, StandingClock, the_call
from tests.support.twilio import TwilioStandIn

Status = Call.Status
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def at(dial: Post) -> datetime:
    """When a call is to be dialled that stands scheduled."""
    when = timezone.now().replace(microsecond=0) + timedelta(hours=1)
    answer = dial(schedule_at=when.isoformat())
    assert answer.status_code == 201, answer.content
    assert answer.json()["status"] == "scheduled"
    assert datetime.fromisoformat(answer.json()["scheduled_at"]) == when
    return when


def test_a_scheduled_call_is_dialled_at_its_time_and_once(
    at: datetime, twilio: TwilioStandIn
) -> None:
    clock = StandingClock(at - timedelta(seconds=1))
    assert calls_due_dial(clock=clock) == 0
    assert twilio.calls == []
    clock.now = at
    assert calls_due_dial(clock=clock) == 1
    assert calls_due_dial(clock=clock) == 0
    call = the_call()
    assert (call.status, call.posted_at, call.call_sid) == ("dialing", at, twilio.call.sid)
    assert len(twilio.calls) == 1


def test_a_time_may_be_given_in_any_zone(dial: Post) -> None:
    when = (timezone.now() + timedelta(hours=2)).replace(microsecond=0)
    dial(schedule_at=when.astimezone(NEW_YORK).isoformat())
    assert the_call().scheduled_at == when


def test_a_late_worker_dials_within_the_window(at: datetime, twilio: TwilioStandIn) -> None:
    assert calls_due_dial(clock=StandingClock(at + LATE)) == 1
    assert len(twilio.calls) == 1


def test_a_later_one_does_not_and_says_so(
    at: datetime, twilio: TwilioStandIn, account: Account, api: APIClient
) -> None:
    Endpoint.objects.create(account=account, url="https://hooks.example.com/", secret="whsec_x")
    late = StandingClock(at + LATE + timedelta(seconds=1))
    assert calls_due_dial(clock=late) == 0
    shown = api.get(f"/calls/{the_call().id}").json()
    assert (shown["status"], shown["end_reason"]) == ("failed", "too_late")
    assert "60 minutes" in shown["error"]["hint"]
    assert twilio.calls == []
    assert Event.objects.get(kind="call.ended").data["call"]["end_reason"] == "too_late"


def test_it_speaks_as_the_bot_does_by_then(
    at: datetime, api: APIClient, config: TwilioConfig
) -> None:
    api.patch(f"/twilio-config/{config.id}", {"name": "Newer"}, format="json")
    calls_due_dial(clock=StandingClock(at))
    assert the_call().version.number == 2


def test_without_its_bot_it_fails(at: datetime, api: APIClient, config: TwilioConfig) -> None:
    api.delete(f"/twilio-config/{config.id}")
    calls_due_dial(clock=StandingClock(at))
    assert (the_call().status, the_call().end_reason) == ("failed", "bot_gone")


def test_without_its_connection_it_fails(at: datetime, connection: TwilioConnection) -> None:
    connection.delete()
    calls_due_dial(clock=StandingClock(at))
    assert (the_call().status, the_call().end_reason) == ("failed", "no_connection")


def test_a_refusal_of_twilios_is_kept(at: datetime, twilio: TwilioStandIn) -> None:
    twilio.drills.refuses(21214)
    calls_due_dial(clock=StandingClock(at))
    call = the_call()
    assert (call.status, call.end_reason, call.error_code) == (
        "failed",
        "number_unreachable",
        "21214",
    )


def scheduled(account: Account, config: TwilioConfig, at: datetime, number: int) -> list[Call]:
    assert config.current is not None
    return [
        Call.objects.create(
            account=account,
            connection=TwilioConnection.objects.get(account=account),
            config=config,
            version=config.current,
            direction="outbound",
            status="scheduled",
            from_number="+14155550100",
            to_number=THEIRS,
            started_at=at - timedelta(hours=1),
            scheduled_at=at,
        )
        for _ in range(number)
    ]


def test_many_are_paced_by_the_accounts_second(
    account: Account, config: TwilioConfig, connection: TwilioConnection, clock: StandingClock
) -> None:
    Account.objects.filter(pk=account.pk).update(calls_per_second=2)
    scheduled(account, config, clock.now, 5)
    dialled = []
    for _ in range(4):
        dialled.append(calls_due_dial(clock=clock))
        clock.forward(1)
    assert dialled == [2, 2, 1, 0]


def test_many_wait_for_a_free_line(
    account: Account, config: TwilioConfig, connection: TwilioConnection, clock: StandingClock
) -> None:
    Account.objects.filter(pk=account.pk).update(calls_per_second=100, max_live_calls=2)
    scheduled(account, config, clock.now, 3)
    assert calls_due_dial(clock=clock) == 2
    clock.forward(5)
    assert calls_due_dial(clock=clock) == 0
    first = Call.objects.filter(status="dialing").first()
    assert first is not None
    Call.objects.filter(pk=first.pk).update(status="busy")
    assert calls_due_dial(clock=clock) == 1


def test_one_accounts_thousand_do_not_hold_up_anothers_one(
    account: Account,
    stranger: Account,
    config: TwilioConfig,
    connection: TwilioConnection,
    clock: StandingClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As many as there is time for in a sweep.
    monkeypatch.setattr(due, "BATCH", 2)
    TwilioConnection.objects.create(
        account=stranger, account_sid=connection.account_sid, auth_token=connection.auth_token
    )
    scheduled(account, config, clock.now - timedelta(minutes=1), 7)
    # The same bot will do: whose it is, is checked when the call is asked for.
    (theirs,) = scheduled(stranger, config, clock.now, 1)
    assert calls_due_dial(clock=clock) == 2
    theirs.refresh_from_db()
    assert theirs.status == "dialing"


def test_an_account_that_is_full_is_asked_once_in_a_sweep(
    account: Account,
    config: TwilioConfig,
    connection: TwilioConnection,
    clock: StandingClock,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    Account.objects.filter(pk=account.pk).update(max_live_calls=0)
    scheduled(account, config, clock.now, 20)
    with django_assert_max_num_queries(15):
        assert calls_due_dial(clock=clock) == 0


# --- calling hours --------------------------------------------------------------------------------


def hours(account: Account, begin: str, until: str, **more: Any) -> None:
    value = {"from": begin, "until": until, "timezone": "America/New_York", **more}
    Account.objects.filter(pk=account.pk).update(calling_hours=value)


def closed_now(account: Account) -> datetime:
    """Close the account for the next hours, and return when it opens: tomorrow, at that minute."""
    local = timezone.now().astimezone(NEW_YORK)
    opens = (local - timedelta(minutes=30)).replace(second=0, microsecond=0)
    hours(account, opens.strftime("%H:%M"), (opens + timedelta(minutes=1)).strftime("%H:%M"))
    return opens + timedelta(days=1)


def test_outside_the_hours_nobody_is_called_and_the_answer_says_when(
    dial: Post, account: Account, twilio: TwilioStandIn
) -> None:
    opens = closed_now(account)
    answer = dial()
    assert answer.status_code == 409
    (complaint,) = answer.json()["fields"]["to"]
    said = complaint.split("the next time is ")[1].split(". ")[0]
    assert datetime.fromisoformat(said) == opens
    assert "schedule_at" in complaint
    assert twilio.calls == []
    assert not Call.objects.exists()


def test_outside_the_hours_no_call_is_scheduled(dial: Post, account: Account) -> None:
    opens = closed_now(account)
    answer = dial(schedule_at=(timezone.now() + timedelta(minutes=10)).isoformat())
    assert answer.status_code == 400
    assert "Outside the account's calling hours" in answer.json()["fields"]["schedule_at"][0]
    assert dial(schedule_at=opens.isoformat()).status_code == 201


def test_hours_of_the_callee_are_those_of_their_number(dial: Post, account: Account) -> None:
    local = timezone.now().astimezone(ZoneInfo("America/Los_Angeles"))
    value = {"from": "00:00", "until": "24:00", "days": [local.strftime("%a").lower()]}
    Account.objects.filter(pk=account.pk).update(calling_hours={**value, "timezone": "callee"})
    assert dial().status_code == 201
    # A SIP address lies in no zone.
    assert "no hour" in dial(to="sip:desk@pbx.example.com").json()["info"]


@pytest.mark.parametrize(("minutes", "status"), [(30, "scheduled"), (90, "failed")])
def test_hours_that_changed_make_a_scheduled_call_wait_as_long_as_it_may(
    at: datetime, account: Account, twilio: TwilioStandIn, minutes: int, status: str
) -> None:
    opens = (at + timedelta(minutes=minutes)).astimezone(NEW_YORK).replace(second=0)
    opens += timedelta(minutes=1)
    if opens.hour == 23 and opens.minute > 58:
        opens += timedelta(minutes=5)
    hours(account, opens.strftime("%H:%M"), (opens + timedelta(minutes=1)).strftime("%H:%M"))
    clock = StandingClock(at)
    assert calls_due_dial(clock=clock) == 0
    assert the_call().status == status
    if status == "failed":
        assert the_call().end_reason == "outside_hours"
        return
    assert the_call().retry_at == opens
    clock.now = opens
    assert calls_due_dial(clock=clock) == 1
    assert len(twilio.calls) == 1


# --- several workers ------------------------------------------------------------------------------


@pytest.fixture
def several() -> Iterator[int]:
    if database.vendor == "sqlite":
        pytest.skip("One writer at a time: nothing happens at once.")
    yield 6


@pytest.mark.django_db(transaction=True)
def test_several_workers_dial_each_call_once(
    several: int,
    account: Account,
    config: TwilioConfig,
    connection: TwilioConnection,
    twilio: TwilioStandIn,
) -> None:
    Account.objects.filter(pk=account.pk).update(calls_per_second=100)
    clock = StandingClock()
    scheduled(account, config, clock.now, 20)
    start = threading.Barrier(several)

    def work(_: int) -> int:
        start.wait(30)
        try:
            return calls_due_dial(clock=clock, each=calls_at_once)
        finally:
            database.close()

    with ThreadPoolExecutor(several) as pool:
        assert sum(pool.map(work, range(several))) == 20
    assert len(twilio.asked("calls.create")) == 20
    assert len(set(Call.objects.values_list("call_sid", flat=True))) == 20
