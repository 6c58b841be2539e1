"""Calls to our numbers of which nobody told us are found in Twilio's list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.audit import Actor
from apps.accounts.models import TwilioConnection
from apps.bots.models import TwilioConfig
from apps.calls.missed import EVERY, SETTLED, missed_look_up
from apps.calls.models import Call, call_id
from apps.calls.number_watch import numbers_sweep
from apps.calls.numbers import Change, number_assign
from apps.simulator.twilio.state import Call as TheirCall
from apps.simulator.twilio.state import Resource, Times, sid_new
from apps.webhooks.models import Endpoint, Event
from tests.support.twilio import TwilioStandIn

OURS, CALLER = "+14155550100", "+12025550143"


@pytest.fixture
def number(connection: TwilioConnection, twilio: TwilioStandIn, config: TwilioConfig) -> Resource:
    """A number of ours that a bot answers."""
    made = twilio.add_number(OURS)
    numbers_sweep(now=timezone.now())
    number_assign(Change(config.account, made.sid, Actor()), config)
    return made


def was_called(
    twilio: TwilioStandIn, *statuses: str, to: str = OURS, direction: str = "inbound"
) -> TheirCall:
    """A call that has come and gone without a word to us."""
    when = datetime.now(UTC)
    call = TheirCall(
        sid_new("CA"), twilio.sid, to, CALLER, direction, Times(when, when), history=["ringing"]
    )
    twilio.world.call_add(call)
    for status in statuses:
        twilio.world.call_move(call, status)
    return call


def look(*, after: timedelta = SETTLED + timedelta(seconds=1)) -> int:
    return missed_look_up(clock=lambda: timezone.now() + after)


def test_a_missed_call_is_written_down_and_told_of(
    number: Resource, twilio: TwilioStandIn, config: TwilioConfig
) -> None:
    Endpoint.objects.create(account=config.account, url="https://hooks.example.com/")
    theirs = was_called(twilio, "in-progress", "completed")
    assert look() == 1
    call = Call.objects.get()
    assert call.id == call_id(account_id=config.account_id, call_sid=theirs.sid)
    assert (call.direction, call.status, call.config) == ("inbound", "completed", config)
    assert (call.from_number, call.to_number) == (CALLER, OURS)
    assert call.ended_at is not None
    assert Event.objects.get(kind="call.ended").data["call"]["id"] == str(call.id)


@pytest.mark.parametrize(
    ("statuses", "more"),
    [
        (("in-progress",), {}),  # still on
        (("in-progress", "completed"), {"to": "+14155550199"}),  # no number of a bot
        (("in-progress", "completed"), {"direction": "outbound-api"}),  # somebody dialled it
    ],
)
def test_other_calls_are_left_alone(
    number: Resource, twilio: TwilioStandIn, statuses: tuple[str, ...], more: dict[str, Any]
) -> None:
    was_called(twilio, *statuses, **more)
    assert look() == 0
    assert not Call.objects.exists()


def test_what_has_just_ended_may_still_be_told(number: Resource, twilio: TwilioStandIn) -> None:
    was_called(twilio, "in-progress", "completed")
    assert look(after=timedelta(seconds=30)) == 0
    assert look(after=timedelta(seconds=30) + EVERY) == 1


def test_a_call_that_is_known_is_not_written_again(
    number: Resource, twilio: TwilioStandIn, config: TwilioConfig
) -> None:
    was_called(twilio, "in-progress", "completed")
    look()
    ended = Call.objects.get().ended_at
    assert look(after=SETTLED + EVERY * 2) == 0
    assert Call.objects.get().ended_at == ended


def test_twilio_is_asked_once_a_minute(number: Resource, twilio: TwilioStandIn) -> None:
    look()
    look()
    assert len(twilio.asked("calls.list")) == 1
    look(after=SETTLED + EVERY + timedelta(seconds=2))
    assert len(twilio.asked("calls.list")) == 2


def test_nobody_is_asked_for_who_has_no_number_with_a_bot(
    connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    twilio.add_number(OURS)
    numbers_sweep(now=timezone.now())
    assert look() == 0
    assert twilio.asked("calls.list") == []


def test_twilio_out_of_reach_is_asked_again(number: Resource, twilio: TwilioStandIn) -> None:
    was_called(twilio, "in-progress", "completed")
    twilio.drills.fails(503, operation="calls.list")
    assert look() == 0
    assert look(after=SETTLED + EVERY + timedelta(seconds=2)) == 1
