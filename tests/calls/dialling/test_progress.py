"""What Twilio tells of a call that we dialled, from the create to the end, whatever is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import Account, TwilioConnection
from apps.accounts.signing import signing_secrets_refresh
from apps.calls.callbacks import callbacks_sweep
from apps.calls.models import CallEvent, TwilioCallback
from tests.calls.dialling.conftest import Post, before_the_answer, the_call
from tests.support.twilio import TwilioStandIn

WHOLE = ("initiated", "ringing", "in-progress", "completed")
Spoil = Callable[[TwilioStandIn], None]


@pytest.fixture(autouse=True)
def signing(connection: TwilioConnection, account: Account) -> None:
    """The connection's token checks what comes."""
    signing_secrets_refresh(account)


def told(twilio: TwilioStandIn, client: Client, *statuses: str) -> list[int]:
    """Have Twilio move the call and tell us; let it take effect. Returns our answers."""
    twilio.moves(twilio.call, *statuses)
    answers = [answer.status_code for answer in twilio.deliver(client)]
    callbacks_sweep(now=timezone.now() + timedelta(minutes=1))
    return answers


def test_a_call_is_followed_to_its_end(dial: Post, twilio: TwilioStandIn, client: Client) -> None:
    dial()
    seen = []
    for status in WHOLE:
        assert told(twilio, client, status) == [204]
        seen.append(the_call().status)
    assert seen == ["dialing", "ringing", "in-progress", "completed"]
    assert the_call().call_sid == twilio.call.sid


SPOILS: dict[str, Spoil] = {
    "twice": lambda twilio: twilio.callbacks.twice("*", 4),
    "first lost": lambda twilio: twilio.callbacks.dropped("initiated"),
    "answer lost": lambda twilio: twilio.callbacks.dropped("answered"),
    "ringing late": lambda twilio: twilio.callbacks.swapped("ringing"),
    "answer late": lambda twilio: twilio.callbacks.swapped("answered"),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_lost_late_and_doubled_callbacks_change_nothing_of_the_end(
    dial: Post, twilio: TwilioStandIn, client: Client, spoil: str
) -> None:
    dial()
    SPOILS[spoil](twilio)
    for status in WHOLE:
        told(twilio, client, status)
    call = the_call()
    assert (call.status, call.end_reason) == ("completed", "twilio_completed")
    assert call.billed_s is not None
    assert TwilioCallback.objects.filter(applied_at=None).count() == 0
    assert TwilioCallback.objects.count() == (3 if "lost" in spoil else 4)


def test_a_call_that_rings_before_its_create_is_answered_goes_on_ringing(
    dial: Post, twilio: TwilioStandIn, client: Client
) -> None:
    def rings(_: httpx.Response) -> None:
        told(twilio, client, "initiated", "ringing")

    with before_the_answer(rings):
        assert dial().status_code == 201
    assert (the_call().status, the_call().call_sid) == ("ringing", twilio.call.sid)


def test_a_call_that_is_over_before_its_create_is_answered_stays_over(
    dial: Post, twilio: TwilioStandIn, client: Client
) -> None:
    def fails(_: httpx.Response) -> None:
        told(twilio, client, "failed")

    with before_the_answer(fails):
        dial()
    assert (the_call().status, the_call().end_reason) == ("failed", "twilio_failed")


def test_a_create_without_an_answer_is_settled_by_a_callback(
    dial: Post, twilio: TwilioStandIn, client: Client
) -> None:
    twilio.drills.fails(503)
    dial()
    assert the_call().status == "unknown"
    told(twilio, client, "initiated", "ringing")
    assert (the_call().status, the_call().call_sid) == ("ringing", twilio.call.sid)
    assert len(twilio.asked("calls.create")) == 1


def test_every_event_is_asked_for_by_itself(dial: Post, twilio: TwilioStandIn) -> None:
    dial()
    (asked,) = twilio.asked("calls.create")
    assert asked["StatusCallbackEvent"] == ["initiated", "ringing", "answered", "completed"]


def test_who_answered_is_told_by_twilio(dial: Post, twilio: TwilioStandIn, client: Client) -> None:
    dial(machine_detection={"mode": "async"})
    told(twilio, client, "initiated", "ringing", "in-progress")
    twilio.post(
        str(twilio.call.asked.get("AsyncAmdStatusCallback")),
        CallSid=twilio.call.sid,
        AccountSid=twilio.sid,
        AnsweredBy="machine_start",
        MachineDetectionDuration="3000",
    )
    assert [answer.status_code for answer in twilio.deliver(client)] == [204]
    callbacks_sweep()
    assert the_call().answered_by == "machine_start"
    assert CallEvent.objects.filter(kind="machine_detection").count() == 1
