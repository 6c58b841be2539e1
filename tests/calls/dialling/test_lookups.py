"""What became of a call, where nobody has told us: looked up at Twilio, settled beyond doubt."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.accounts.models import Account, TwilioConnection
from apps.accounts.signing import signing_secrets_refresh
from apps.bots.models import TwilioConfig
from apps.calls.callbacks import callbacks_sweep
from apps.calls.lookups import GIVE_UP, LOOK_AGAIN, NEVER, strangers_look_up, unknown_look_up
from apps.calls.models import Call
from apps.calls.posting import LOOK_FIRST
from tests.calls.dialling.conftest import (
    OURS,
    THEIRS,
    Post,
    StandingClock,
    before_the_answer,
    the_call,
)
from tests.calls.test_calls_api import make_call
from tests.support.twilio import TwilioStandIn

Status = Call.Status


@pytest.fixture
def lost(dial: Post, twilio: TwilioStandIn) -> StandingClock:
    """A call that Twilio placed and whose answer was lost; the clock, when it is looked up."""
    twilio.drills.fails(done=True)
    dial()
    return looking_at(the_call())


@pytest.fixture
def unsent(dial: Post, twilio: TwilioStandIn) -> StandingClock:
    """A call that Twilio never placed, though nobody said so."""
    twilio.drills.fails(done=False)
    dial()
    return looking_at(the_call())


def looking_at(call: Call) -> StandingClock:
    assert call.retry_at is not None
    return StandingClock(call.retry_at)


def test_a_lost_answer_is_found_in_twilios_list(lost: StandingClock, twilio: TwilioStandIn) -> None:
    assert unknown_look_up(clock=lost) == 1
    call = the_call()
    assert (call.status, call.call_sid) == ("dialing", twilio.call.sid)
    assert call.twilio_account_sid == twilio.sid
    assert len(twilio.asked("calls.create")) == 1
    (asked,) = twilio.asked("calls.list")
    assert (asked["To"], asked["From"]) == (THEIRS, OURS)


def test_it_is_not_looked_for_before_callbacks_had_their_time(
    lost: StandingClock, twilio: TwilioStandIn
) -> None:
    lost.forward(-0.001)
    assert unknown_look_up(clock=lost) == 0
    assert twilio.asked("calls.list") == []
    posted_at = the_call().posted_at
    assert posted_at is not None
    assert lost.now - posted_at >= LOOK_FIRST - timedelta(seconds=1)


@pytest.mark.parametrize("status", ["completed", "busy", "no-answer", "canceled", "failed"])
def test_a_call_that_is_over_by_then_is_over_here(
    lost: StandingClock, twilio: TwilioStandIn, status: str
) -> None:
    twilio.moves(
        twilio.call, "ringing", *(["in-progress"] if status == "completed" else []), status
    )
    assert unknown_look_up(clock=lost) == 1
    call = the_call()
    assert call.status == status
    assert call.ended_at is not None
    assert call.end_reason
    assert call.billed_s == 0
    assert (call.answered_at is not None) is (status == "completed")


@pytest.mark.parametrize("status", ["ringing", "in-progress"])
def test_a_call_that_runs_is_known_to_run(
    lost: StandingClock, twilio: TwilioStandIn, status: str
) -> None:
    twilio.moves(twilio.call, "ringing", *(["in-progress"] if status == "in-progress" else []))
    unknown_look_up(clock=lost)
    assert the_call().status == status


def test_what_twilio_never_had_was_never_placed(
    unsent: StandingClock, twilio: TwilioStandIn, api: APIClient
) -> None:
    posted_at = the_call().posted_at
    assert posted_at is not None
    while unsent.now <= posted_at + NEVER:
        assert unknown_look_up(clock=unsent) == 0
        assert the_call().status == Status.UNKNOWN
        unsent.forward(LOOK_AGAIN.total_seconds())
    assert unknown_look_up(clock=unsent) == 1
    shown = api.get(f"/calls/{the_call().id}").json()
    assert (shown["status"], shown["end_reason"]) == ("failed", "never_placed")
    assert len(twilio.asked("calls.create")) == 1


def test_a_twilio_that_cannot_be_asked_settles_nothing(
    unsent: StandingClock, twilio: TwilioStandIn
) -> None:
    twilio.drills.fails(operation="calls.list", times=1)
    unsent.forward(NEVER.total_seconds())
    assert unknown_look_up(clock=unsent) == 0
    assert the_call().status == Status.UNKNOWN
    # Nor is it asked again at once.
    assert unknown_look_up(clock=unsent) == 0
    assert len(twilio.asked("calls.list")) == 1
    unsent.forward(LOOK_AGAIN.total_seconds())
    assert unknown_look_up(clock=unsent) == 1


def test_of_two_equal_calls_without_answers_neither_is_guessed(
    dial: Post, twilio: TwilioStandIn, account: Account, lost: StandingClock
) -> None:
    Account.objects.filter(pk=account.pk).update(calls_per_second=9)
    twilio.drills.fails(done=False)
    dial()
    lost.forward(30)
    assert unknown_look_up(clock=lost) == 0
    assert {call.status for call in Call.objects.all()} == {"unknown"}
    lost.forward(GIVE_UP.total_seconds())
    assert unknown_look_up(clock=lost) == 2
    assert set(Call.objects.values_list("end_reason", flat=True)) == {"never_settled"}
    assert len(twilio.calls) == 1


def test_a_callback_settles_one_of_two_and_so_the_other(
    dial: Post, twilio: TwilioStandIn, account: Account, lost: StandingClock, client: Client
) -> None:
    signing_secrets_refresh(account)
    placed = the_call()
    Account.objects.filter(pk=account.pk).update(calls_per_second=9)
    twilio.drills.fails(done=False)
    dial()
    twilio.moves(twilio.call, "initiated", "ringing")
    twilio.deliver(client)
    callbacks_sweep()
    placed.refresh_from_db()
    assert (placed.status, placed.call_sid) == ("ringing", twilio.call.sid)
    lost.forward(NEVER.total_seconds() + 1)
    assert unknown_look_up(clock=lost) == 1
    other = Call.objects.exclude(pk=placed.pk).get()
    assert other.end_reason == "never_placed"


def test_a_call_that_is_known_already_is_not_taken_for_the_lost_one(
    dial: Post, twilio: TwilioStandIn, account: Account
) -> None:
    Account.objects.filter(pk=account.pk).update(calls_per_second=9)
    dial()
    twilio.drills.fails(done=False)
    dial()
    unknown = Call.objects.get(status=Status.UNKNOWN)
    clock = looking_at(unknown)
    assert unknown_look_up(clock=clock) == 0
    clock.forward(NEVER.total_seconds())
    assert unknown_look_up(clock=clock) == 1
    unknown.refresh_from_db()
    assert unknown.end_reason == "never_placed"


def test_a_call_of_another_time_is_not_taken_for_the_lost_one(
    unsent: StandingClock, twilio: TwilioStandIn
) -> None:
    created = the_call().started_at + timedelta(minutes=5)
    twilio.world.now = lambda: created
    by_hand(twilio)
    assert unknown_look_up(clock=unsent) == 0


def test_a_callback_that_comes_while_it_is_looked_up_wins(
    lost: StandingClock, twilio: TwilioStandIn
) -> None:
    def told(_: httpx.Response) -> None:
        Call.objects.update(call_sid=twilio.call.sid, twilio_status="busy", status="busy")

    with before_the_answer(told):
        assert unknown_look_up(clock=lost) == 0
    assert the_call().status == "busy"


# --- the Bin's way: dialled with Twilio's own API, not by us --------------------------------------


def by_hand(twilio: TwilioStandIn, **more: str) -> str:
    """Dial as the original's documentation does, with curl: a Bin's URL, To and From."""
    fields = {"Url": "https://handler.twilio.com/twiml/EH1", "To": THEIRS, "From": OURS, **more}
    answer = httpx.post(
        f"{twilio.url}/2010-04-01/Accounts/{twilio.sid}/Calls.json",
        data=fields,
        auth=(twilio.sid, twilio.token),
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["sid"])


def a_stream_came(config: TwilioConfig, twilio: TwilioStandIn, sid: str, **values: Any) -> Call:
    """The row that a stream leaves which a Bin's token has let in."""
    now = twilio.world.now()
    known = {"twilio_account_sid": twilio.sid, "stream_sid": "MZ1", "started_at": now}
    return make_call(config, sid, **{**known, **values})


def test_a_call_that_was_dialled_by_curl_is_recorded_with_its_numbers(
    config: TwilioConfig, connection: TwilioConnection, twilio: TwilioStandIn, api: APIClient
) -> None:
    call = a_stream_came(config, twilio, by_hand(twilio))
    assert strangers_look_up() == 1
    shown = api.get(f"/calls/{call.id}").json()
    assert (shown["direction"], shown["from"], shown["to"]) == ("outbound", OURS, THEIRS)
    assert shown["status"] == "in-progress"
    # Once.
    assert strangers_look_up() == 0
    assert len(twilio.asked("calls.get")) == 1


def test_a_strange_call_of_an_unknown_twilio_account_is_left_alone(
    config: TwilioConfig, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    a_stream_came(config, twilio, "CA1", twilio_account_sid="AC" + "9" * 32)
    assert strangers_look_up() == 0
    assert twilio.asked("calls.get") == []


def test_a_call_whose_numbers_are_known_is_not_asked_about(
    config: TwilioConfig, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    a_stream_came(config, twilio, "CA1", from_number=THEIRS)
    assert strangers_look_up() == 0


def test_what_twilio_does_not_know_is_asked_about_once(
    config: TwilioConfig, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    a_stream_came(config, twilio, "CA1")
    assert strangers_look_up() == 1
    assert strangers_look_up() == 0
    assert len(twilio.asked("calls.get")) == 1


def test_a_twilio_that_cannot_be_asked_is_asked_again_a_minute_later(
    config: TwilioConfig, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    call = a_stream_came(config, twilio, by_hand(twilio))
    twilio.drills.fails(operation="calls.get")
    clock = StandingClock(call.started_at)
    assert strangers_look_up(clock=clock) == 0
    assert strangers_look_up(clock=clock) == 0
    assert len(twilio.asked("calls.get")) == 1
    clock.forward(60)
    assert strangers_look_up(clock=clock) == 1
    call.refresh_from_db()
    assert call.to_number == THEIRS
