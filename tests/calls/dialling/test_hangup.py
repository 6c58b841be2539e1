"""POST /calls/{id}/hangup: whatever the call is doing, and however often."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import Account, AuditEntry, TwilioConnection
from apps.accounts.signing import signing_secrets_refresh
from apps.bots.models import TwilioConfig
from apps.calls import control
from apps.calls.callbacks import callbacks_sweep
from apps.calls.due import calls_due_dial
from apps.calls.hangup import AGAIN, hang_ups_say
from apps.calls.lookups import unknown_look_up
from apps.calls.models import Call
from apps.webhooks.models import Endpoint, Event
from tests.calls.dialling.conftest import Post, StandingClock, before_the_answer, the_call
from tests.calls.test_calls_api import make_call
from tests.calls.test_control import GATEWAY, Holder
from tests.conftest import ApiFor
from tests.support.twilio import TwilioStandIn

Status = Call.Status


def hang_up(api: APIClient) -> Any:
    return api.post(f"/calls/{the_call().id}/hangup")


def test_a_scheduled_call_is_canceled_and_never_dialled(
    dial: Post, api: APIClient, twilio: TwilioStandIn, account: Account
) -> None:
    Endpoint.objects.create(account=account, url="https://hooks.example.com/", secret="whsec_x")
    at = timezone.now() + timedelta(minutes=5)
    dial(schedule_at=at.isoformat())
    answer = hang_up(api)
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["status"], shown["end_reason"]) == ("canceled", "canceled")
    assert shown["duration_s"] == 0
    assert calls_due_dial(clock=StandingClock(at)) == 0
    assert twilio.requests == []
    assert Event.objects.get(kind="call.ended").data["call"]["status"] == "canceled"


def test_a_call_that_twilio_put_off_is_canceled(
    dial: Post, api: APIClient, twilio: TwilioStandIn
) -> None:
    twilio.drills.refuses(20429)
    dial()
    assert hang_up(api).json()["status"] == "canceled"
    assert calls_due_dial(clock=StandingClock(timezone.now() + timedelta(hours=1))) == 0
    assert twilio.calls == []


@pytest.mark.parametrize("moves", [[], ["ringing"], ["ringing", "in-progress"]])
def test_a_live_call_is_ended_at_twilio(
    dial: Post, api: APIClient, twilio: TwilioStandIn, moves: list[str]
) -> None:
    dial()
    twilio.moves(twilio.call, *moves)
    assert hang_up(api).status_code == 200
    assert twilio.call.ended
    (asked,) = twilio.asked("calls.update")
    assert asked == {"Status": "completed"}


def test_ending_it_twice_asks_twilio_once(
    dial: Post, api: APIClient, twilio: TwilioStandIn
) -> None:
    dial()
    assert hang_up(api).status_code == 200
    assert hang_up(api).status_code == 200
    assert len(twilio.asked("calls.update")) == 1
    assert AuditEntry.objects.filter(action="call.hang_up").count() == 1


@pytest.mark.parametrize("status", Call.TERMINAL)
def test_a_call_that_is_over_stays_as_it_is(
    dial: Post, api: APIClient, twilio: TwilioStandIn, status: str
) -> None:
    dial()
    Call.objects.update(status=status)
    answer = hang_up(api)
    assert (answer.status_code, answer.json()["status"]) == (200, status)
    assert twilio.asked("calls.update") == []


def test_a_caller_who_hung_up_first_is_success(
    dial: Post, api: APIClient, twilio: TwilioStandIn
) -> None:
    """21220 is Twilio's word for it; how it ended is asked, for no callback may have come."""
    dial()
    twilio.moves(twilio.call, "ringing", "in-progress", "completed")
    answer = hang_up(api)
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")


def test_a_call_that_we_end_says_so(
    dial: Post, api: APIClient, twilio: TwilioStandIn, client: Client, account: Account
) -> None:
    """Its stream says that the caller hung up, for so it looks from there."""
    signing_secrets_refresh(account)
    dial()
    twilio.moves(twilio.call, "initiated", "ringing", "in-progress")
    hang_up(api)
    Call.objects.update(end_reason="caller_hung_up")
    twilio.moves(twilio.call, "completed")
    twilio.deliver(client)
    callbacks_sweep()
    assert (the_call().status, the_call().end_reason) == ("completed", "hung_up")


def test_a_call_that_twilio_does_not_know_is_success(
    dial: Post, api: APIClient, twilio: TwilioStandIn
) -> None:
    dial()
    Call.objects.update(call_sid="CA" + "0" * 32)
    assert hang_up(api).status_code == 200


def test_a_call_that_is_not_settled_yet_is_ended_as_soon_as_it_is(
    dial: Post, api: APIClient, twilio: TwilioStandIn
) -> None:
    twilio.drills.fails(done=True)
    dial()
    answer = hang_up(api)
    assert (answer.status_code, answer.json()["status"]) == (200, "unknown")
    assert hang_ups_say() == 0
    retry_at = the_call().retry_at
    assert retry_at is not None
    unknown_look_up(clock=StandingClock(retry_at))
    assert hang_ups_say() == 1
    assert twilio.call.ended
    assert hang_ups_say() == 0


def test_a_call_that_is_being_dialled_is_ended_when_its_sid_is_there(
    dial: Post, api: APIClient, twilio: TwilioStandIn
) -> None:
    with before_the_answer(lambda _: hang_up_unasked(api)):
        dial()
    assert twilio.call.status == "queued"
    assert hang_ups_say() == 1
    assert twilio.call.ended


def hang_up_unasked(api: APIClient) -> None:
    assert hang_up(api).status_code == 200


def test_a_call_that_twilio_puts_off_while_it_is_ended_is_not_dialled_again(
    dial: Post, api: APIClient, twilio: TwilioStandIn
) -> None:
    twilio.drills.refuses(20429)
    with before_the_answer(lambda _: hang_up_unasked(api)):
        dial()
    assert the_call().status == "canceled"
    assert calls_due_dial(clock=StandingClock(timezone.now() + timedelta(minutes=1))) == 0


@pytest.mark.parametrize("fault", ["fails", "resets"])
def test_what_twilio_did_not_answer_is_said_again_later(
    dial: Post, api: APIClient, twilio: TwilioStandIn, fault: str
) -> None:
    dial()
    getattr(twilio.drills, fault)(done=False, operation="calls.update")
    assert hang_up(api).status_code == 200
    assert twilio.call.status == "queued"
    clock = StandingClock(timezone.now())
    assert hang_ups_say(clock=clock) == 1
    assert twilio.call.ended
    clock.forward(AGAIN.total_seconds())
    assert hang_ups_say(clock=clock) == 0


def test_what_twilio_refuses_is_said(
    dial: Post, api: APIClient, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    dial()
    TwilioConnection.objects.filter(pk=connection.pk).update(auth_token="not it")
    answer = hang_up(api)
    assert answer.status_code == 409
    assert answer.json()["reason"] == "authentication_failed"
    # Whoever was told so tries again when it is put right; no worker does.
    TwilioConnection.objects.filter(pk=connection.pk).update(auth_token=twilio.token)
    assert hang_ups_say() == 0
    assert hang_up(api).status_code == 200
    assert twilio.call.ended


def test_a_call_that_came_in_is_ended_by_the_connection_of_its_twilio_account(
    config: TwilioConfig, connection: TwilioConnection, api: APIClient, twilio: TwilioStandIn
) -> None:
    make_call(config, "CA" + "0" * 32, twilio_account_sid=twilio.sid)
    assert hang_up(api).status_code == 200
    assert len(twilio.asked("calls.update")) == 1


def test_a_call_without_a_connection_cannot_be_ended_from_here(
    config: TwilioConfig, api: APIClient
) -> None:
    make_call(config, twilio_account_sid="AC" + "9" * 32)
    answer = hang_up(api)
    assert answer.status_code == 409
    assert "connection" in answer.json()["info"]


@pytest.fixture
def held(config: TwilioConfig) -> Call:
    """A call by a Bin alone, which a gateway of this process holds."""
    return make_call(config, gateway=GATEWAY, twilio_account_sid="AC" + "9" * 32)


@pytest.mark.usefixtures("held")
def test_a_call_without_a_connection_is_ended_by_its_gateway(api: APIClient) -> None:
    holder = Holder({"ok": True})
    deaf = control.listen(GATEWAY, holder)
    try:
        assert hang_up(api).status_code == 200
        assert hang_up(api).status_code == 200
    finally:
        deaf()
    (order,) = holder.orders
    assert (order["kind"], order["reason"]) == ("end", "hung_up")


@pytest.mark.usefixtures("held")
def test_a_gateway_that_is_not_reached_can_be_asked_again(api: APIClient) -> None:
    answer = hang_up(api)
    assert answer.status_code == 503
    assert answer["Retry-After"] == "1"
    # Should it end by itself now, it was not us who ended it.
    assert "hang_up" not in the_call().asked
    holder = Holder({"ok": True})
    deaf = control.listen(GATEWAY, holder)
    try:
        assert hang_up(api).status_code == 200
    finally:
        deaf()
    assert len(holder.orders) == 1


def test_a_stranger_ends_nothing(
    dial: Post, api_for: ApiFor, stranger: Account, twilio: TwilioStandIn
) -> None:
    dial()
    assert hang_up(api_for(stranger)).status_code == 404
    assert twilio.asked("calls.update") == []
