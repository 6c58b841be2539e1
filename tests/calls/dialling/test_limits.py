"""How many calls at once, how many a second, and that nothing is dialled twice."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.models import Account, TwilioConnection
from apps.bots.models import TwilioConfig
from apps.calls.dialling import call_dial, dialled_id
from apps.calls.lines import WINDOW, TooFast
from apps.calls.models import Call
from apps.calls.posting import POSTING, postings_abandon
from apps.calls.wishes import Wish
from apps.core.idempotency import LEASE
from apps.core.models import IdempotentAnswer
from tests.calls.dialling.conftest import OURS, THEIRS, Post, StandingClock, the_call
from tests.support.twilio import TwilioStandIn

Status = Call.Status


@pytest.fixture
def quick(account: Account) -> Account:
    """Ours, and it may begin many calls in a second."""
    Account.objects.filter(pk=account.pk).update(calls_per_second=100)
    return account


def lines_of(account: Account, lines: int) -> None:
    Account.objects.filter(pk=account.pk).update(max_live_calls=lines)


@pytest.mark.parametrize("status", Call.LIVE)
def test_it_stops_at_the_live_call_limit(
    dial: Post, quick: Account, twilio: TwilioStandIn, status: str
) -> None:
    lines_of(quick, 1)
    dial()
    Call.objects.update(status=status)
    answer = dial()
    assert answer.status_code == 409
    assert answer.json()["info"].startswith("All 1 lines of the account are in use")
    assert len(twilio.calls) == 1
    assert Call.objects.count() == 1


@pytest.mark.parametrize("status", [*Call.TERMINAL, Status.SCHEDULED, Status.QUEUED])
def test_what_is_over_or_not_begun_takes_no_line(dial: Post, quick: Account, status: str) -> None:
    lines_of(quick, 1)
    dial()
    Call.objects.update(status=status)
    assert dial().status_code == 201


def test_strangers_calls_take_none_of_our_lines(
    dial: Post, quick: Account, stranger: Account
) -> None:
    lines_of(quick, 1)
    dial()
    Call.objects.update(account=stranger)
    assert dial().status_code == 201


def test_more_calls_in_a_second_than_allowed_are_told_to_wait(
    dial: Post, twilio: TwilioStandIn, account: Account
) -> None:
    assert dial().status_code == 201
    answer = dial()
    assert answer.status_code == 429
    assert answer["Retry-After"] == "1"
    assert "1 calls a second" in answer.json()["info"]
    assert len(twilio.calls) == 1
    Call.objects.update(posted_at=the_call().started_at - timedelta(seconds=1))
    assert dial().status_code == 201


def test_a_second_is_any_second(
    account: Account, config: TwilioConfig, connection: TwilioConnection, clock: StandingClock
) -> None:
    """Not one of the clock's: two calls at a second's seam are two in one second."""
    wish = Wish(config.id, THEIRS, OURS)
    call_dial(account=account, wish=wish, actor=Actor(), clock=clock)
    clock.forward(0.999)
    with pytest.raises(TooFast):
        call_dial(account=account, wish=wish, actor=Actor(), clock=clock)
    clock.forward(0.001)
    call_dial(account=account, wish=wish, actor=Actor(), clock=clock)
    assert Call.objects.count() == 2


# --- the same request again -----------------------------------------------------------------------


def test_the_same_request_again_dials_once_and_is_answered_alike(
    dial: Post, twilio: TwilioStandIn
) -> None:
    first, second = dial(idempotency_key="one"), dial(idempotency_key="one")
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second["Idempotency-Replayed"] == "true"
    assert len(twilio.asked("calls.create")) == 1


def test_a_request_whose_process_died_after_dialling_dials_no_second_time(
    dial: Post, twilio: TwilioStandIn
) -> None:
    """Between the row's commit and the note of its answer: the lease ends, a retry takes over."""
    first = dial(idempotency_key="one")
    IdempotentAnswer.objects.update(
        state="in-flight", status=None, leased_until=the_call().started_at - LEASE
    )
    second = dial(idempotency_key="one")
    assert second.status_code == 201
    assert "Idempotency-Replayed" not in second
    assert second.json()["id"] == first.json()["id"]
    assert len(twilio.asked("calls.create")) == 1


def test_a_request_whose_process_died_while_dialling_dials_no_second_time(
    dial: Post, twilio: TwilioStandIn, account: Account, clock: StandingClock
) -> None:
    dial(idempotency_key="one")
    Call.objects.update(call_sid="", twilio_account_sid="", posted_at=clock.now)
    IdempotentAnswer.objects.all().delete()
    assert dial(idempotency_key="one").json()["status"] == "dialing"
    clock.forward(POSTING.total_seconds() + 1)
    postings_abandon(clock=clock)
    IdempotentAnswer.objects.all().delete()
    assert dial(idempotency_key="one").json()["status"] == "unknown"
    assert the_call().id == dialled_id(account, "one")
    assert len(twilio.asked("calls.create")) == 1


def test_a_call_is_found_by_its_key_though_it_could_not_be_dialled_any_more(
    dial: Post, api: APIClient, config: TwilioConfig
) -> None:
    first = dial(idempotency_key="one")
    IdempotentAnswer.objects.all().delete()
    api.delete(f"/twilio-config/{config.id}")
    second = dial(idempotency_key="one")
    assert (second.status_code, second.json()["id"]) == (201, first.json()["id"])


def test_a_key_stands_for_one_call_for_ever(dial: Post, twilio: TwilioStandIn) -> None:
    dial(idempotency_key="one")
    # Answers are kept for a day, calls for longer.
    IdempotentAnswer.objects.all().delete()
    other = dial(idempotency_key="one", timeout=30)
    assert other.status_code == 422
    assert len(twilio.calls) == 1


def test_a_refused_call_is_refused_again_by_its_key(dial: Post, twilio: TwilioStandIn) -> None:
    twilio.drills.refuses(10001)
    first = dial(idempotency_key="one")
    # A 409 is of the moment, so its answer is not kept: the row is.
    second = dial(idempotency_key="one")
    assert (first.status_code, second.status_code) == (409, 409)
    assert second.json()["call_id"] == first.json()["call_id"]
    assert len(twilio.asked("calls.create")) == 1


def test_a_limit_that_was_reached_makes_no_call_of_the_key(
    dial: Post, twilio: TwilioStandIn, quick: Account
) -> None:
    lines_of(quick, 0)
    assert dial(idempotency_key="one").status_code == 409
    lines_of(quick, 1)
    assert dial(idempotency_key="one").status_code == 201
    assert len(twilio.calls) == 1


def test_a_strangers_key_is_another_key(account: Account, stranger: Account) -> None:
    assert dialled_id(account, "one") != dialled_id(stranger, "one")


# --- many at once ---------------------------------------------------------------------------------


AtOnce = Callable[..., Counter[int]]


@pytest.fixture
def at_once(api: APIClient, body: dict[str, Any], connection: TwilioConnection) -> AtOnce:
    """Sends a request many times at once, and counts the answers by their status."""
    if database.vendor == "sqlite":
        pytest.skip("One writer at a time: nothing happens at once.")

    def send(times: int, key: str = "") -> Counter[int]:
        start = threading.Barrier(times)
        headers = {"idempotency-key": key} if key else {}

        def post(_: int) -> int:
            own = APIClient()
            own.defaults.update(api.defaults)
            start.wait(30)
            try:
                return int(own.post("/calls", body, headers=headers).status_code)
            finally:
                database.close()

        with ThreadPoolExecutor(times) as pool:
            return Counter(pool.map(post, range(times)))

    return send


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_no_more_are_dialled_than_there_are_lines(
    at_once: AtOnce, quick: Account, twilio: TwilioStandIn
) -> None:
    lines_of(quick, 5)
    assert at_once(12) == {201: 5, 409: 7}
    assert len(twilio.calls) == 5


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_no_more_are_dialled_than_a_second_allows(
    at_once: AtOnce, account: Account, twilio: TwilioStandIn
) -> None:
    Account.objects.filter(pk=account.pk).update(calls_per_second=3)
    answers = at_once(12)
    assert answers.keys() == {201, 429}
    assert 3 <= answers[201] == len(twilio.calls)
    # A busy machine may take longer than a second to ask.
    posted = sorted(call.posted_at for call in Call.objects.all() if call.posted_at)
    pairs = zip(posted, posted[3:], strict=False)
    assert all(later - first >= WINDOW for first, later in pairs)


@pytest.mark.django_db(transaction=True)
def test_of_many_equal_requests_at_once_one_is_dialled(
    at_once: AtOnce, quick: Account, twilio: TwilioStandIn
) -> None:
    codes = at_once(12, key="one")
    assert set(codes) <= {201, 409}
    assert len(twilio.asked("calls.create")) == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_that_take_over_at_once_none_dials_again(
    at_once: AtOnce, config: TwilioConfig, quick: Account, twilio: TwilioStandIn
) -> None:
    """Behind the middleware: the rows alone see to it."""
    start = threading.Barrier(12)

    def post(_: int) -> str:
        start.wait(30)
        try:
            wish = Wish(config.id, THEIRS, OURS)
            return str(call_dial(account=quick, wish=wish, actor=Actor(), key="one").id)
        finally:
            database.close()

    with ThreadPoolExecutor(12) as pool:
        assert len(set(pool.map(post, range(12)))) == 1
    assert len(twilio.asked("calls.create")) == 1
