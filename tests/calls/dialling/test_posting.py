"""The create: sent once, whatever becomes of its answer; and what the row then says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.accounts.models import TwilioConnection
from apps.calls.due import calls_due_dial
from apps.calls.models import Call
from apps.calls.posting import POSTING, RETRY_S, postings_abandon
from apps.telephony.rest import MEANINGS
from tests.calls.dialling.conftest import (
    THEIRS,
    Post,
    StandingClock,
    before_the_answer,
    the_call,
)
from tests.support.twilio import TwilioStandIn

Status = Call.Status


REFUSALS = [
    (21211, 400, "number_invalid", ["to"]),
    (21214, 400, "number_unreachable", ["to"]),
    (21215, 400, "country_not_permitted", ["to"]),
    (13227, 400, "country_not_permitted", ["to"]),
    (21216, 400, "number_blocked", ["to"]),
    (13225, 400, "number_blocked", ["to"]),
    (21217, 400, "number_invalid", ["to"]),
    (21219, 400, "number_not_verified", ["to"]),
    (21210, 400, "caller_id_not_owned", ["from"]),
    (21212, 400, "caller_id_invalid", ["from"]),
    (20003, 409, "authentication_failed", []),
    (10001, 409, "account_inactive", []),
    (10004, 409, "too_many_calls", []),
    (32018, 400, "twiml_too_long", []),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal[0]))
def test_a_refusal_of_twilios_is_said_in_our_words_and_kept(
    dial: Post, api: APIClient, twilio: TwilioStandIn, refusal: tuple[int, int, str, list[str]]
) -> None:
    code, status, reason, fields = refusal
    twilio.drills.refuses(code)
    answer = dial()
    assert answer.status_code == status
    told = answer.json()
    assert (told["error"], told["reason"], told["twilio_code"]) == ("twilio-error", reason, code)
    assert told["info"] == MEANINGS[code].hint
    assert list(told["fields"]) == fields
    kept = api.get(f"/calls/{told['call_id']}").json()
    assert (kept["status"], kept["end_reason"]) == ("failed", reason)
    assert kept["error"] == {"code": str(code), "reason": reason, "hint": told["info"]}
    assert kept["ended_at"]
    assert kept["duration_s"] == 0
    assert len(twilio.asked("calls.create")) == 1


def test_what_twilio_itself_refuses_is_told_the_same_way(dial: Post, twilio: TwilioStandIn) -> None:
    answer = dial(**{"from": "+12025550100"})
    assert answer.status_code == 400
    assert answer.json()["reason"] == "caller_id_not_owned"


def test_wrong_credentials_fail_the_call(dial: Post, connection: TwilioConnection) -> None:
    connection.auth_token = "not it"
    connection.save()
    assert dial().json()["reason"] == "authentication_failed"


@pytest.mark.parametrize("placed", [True, False])
@pytest.mark.parametrize("fault", ["fails", "resets", "mute"])
def test_an_answer_that_does_not_come_leaves_the_call_unknown(
    dial: Post, twilio: TwilioStandIn, impatient: None, fault: str, placed: bool
) -> None:
    getattr(twilio.drills, fault)(done=placed)
    answer = dial()
    assert answer.status_code == 201
    assert answer.json()["status"] == "unknown"
    assert len(twilio.asked("calls.create")) == 1
    # However long anybody waits, it is not posted again.
    clock = StandingClock(the_call().started_at)
    for _ in range(5):
        clock.forward(60)
        assert calls_due_dial(clock=clock) == 0
    assert len(twilio.asked("calls.create")) == 1


def test_what_twilio_put_off_is_sent_again_later_and_no_sooner(
    dial: Post, twilio: TwilioStandIn
) -> None:
    twilio.drills.refuses(20429)
    answer = dial()
    assert answer.status_code == 201
    assert answer.json()["status"] == "queued"
    call = the_call()
    assert (call.posted_at, twilio.calls) == (None, [])
    assert call.retry_at is not None
    clock = StandingClock(call.retry_at - timedelta(milliseconds=1))
    assert calls_due_dial(clock=clock) == 0
    clock.now = call.retry_at
    assert calls_due_dial(clock=clock) == 1
    assert the_call().status == Status.DIALING
    assert the_call().call_sid == twilio.call.sid
    assert len(twilio.calls) == 1


def test_a_twilio_that_cannot_be_reached_has_done_nothing_and_is_asked_again(
    dial: Post, twilio: TwilioStandIn, settings: Any
) -> None:
    settings.TWILIO_API_URL = "http://127.0.0.1:9"
    assert dial().json()["status"] == "queued"
    settings.TWILIO_API_URL = twilio.url
    retry_at = the_call().retry_at
    assert retry_at is not None
    assert calls_due_dial(clock=StandingClock(retry_at)) == 1
    assert len(twilio.calls) == 1


def test_after_a_few_tries_it_has_failed(dial: Post, twilio: TwilioStandIn) -> None:
    twilio.drills.refuses(20429, times=99)
    dial()
    clock = StandingClock(the_call().started_at)
    waits = []
    while (call := the_call()).status == Status.QUEUED:
        assert call.retry_at is not None
        waits.append(round((call.retry_at - clock.now).total_seconds()))
        clock.now = call.retry_at
        calls_due_dial(clock=clock)
    assert waits == list(RETRY_S)
    assert (call.status, call.end_reason, call.error_code) == ("failed", "rate_limited", "20429")
    assert len(twilio.asked("calls.create")) == len(RETRY_S) + 1
    assert twilio.calls == []


def test_a_callback_that_came_first_knows_better_than_the_answer(
    dial: Post, twilio: TwilioStandIn
) -> None:
    """Twilio calls back before its 201: the answer changes nothing of what that said."""

    def callback_first(request: Any) -> None:
        newer = {"call_sid": twilio.call.sid, "twilio_status": "ringing", "status": "ringing"}
        Call.objects.update(**newer, sequence=1)

    with before_the_answer(callback_first):
        answer = dial()
    assert (answer.status_code, answer.json()["status"]) == (201, "ringing")


def test_a_call_that_is_over_before_the_answer_stays_over(
    dial: Post, twilio: TwilioStandIn, impatient: None
) -> None:
    def busy_already(request: Any) -> None:
        over = {"status": "busy", "twilio_status": "busy", "call_sid": twilio.call.sid}
        Call.objects.update(**over, sequence=2)

    twilio.drills.fails()
    with before_the_answer(busy_already):
        answer = dial()
    assert (answer.status_code, answer.json()["status"]) == (201, "busy")


def test_a_call_that_twilio_has_told_of_is_not_in_doubt(
    dial: Post, twilio: TwilioStandIn, impatient: None
) -> None:
    def initiated(request: Any) -> None:
        Call.objects.update(call_sid=twilio.call.sid, twilio_status="initiated", sequence=0)

    twilio.drills.fails()
    with before_the_answer(initiated):
        answer = dial()
    assert (answer.status_code, answer.json()["status"]) == (201, "dialing")


def test_a_process_that_dies_between_commit_and_answer_leaves_the_call_unknown(
    dial: Post, twilio: TwilioStandIn, clock: StandingClock
) -> None:
    dial()
    # As it stands when nothing was written down after the post.
    Call.objects.update(call_sid="", twilio_account_sid="", posted_at=clock.now)
    clock.now += POSTING
    assert postings_abandon(clock=clock) == 0
    clock.forward(0.001)
    assert postings_abandon(clock=clock) == 1
    assert the_call().status == Status.UNKNOWN
    assert postings_abandon(clock=clock) == 0
    assert len(twilio.asked("calls.create")) == 1


@pytest.mark.parametrize(
    "told", [{"call_sid": "CA1"}, {"twilio_status": "initiated"}, {"status": "ringing"}]
)
def test_a_call_that_somebody_told_of_is_not_unknown(
    dial: Post, clock: StandingClock, told: dict[str, str]
) -> None:
    dial()
    Call.objects.update(**{"call_sid": "", "posted_at": clock.now, **told})
    clock.forward(3_600)
    assert postings_abandon(clock=clock) == 0


def test_an_answer_that_comes_after_all_settles_the_call(dial: Post, twilio: TwilioStandIn) -> None:
    def given_up(request: Any) -> None:
        Call.objects.update(status=Status.UNKNOWN, retry_at=StandingClock().now)

    with before_the_answer(given_up):
        answer = dial()
    assert answer.json()["status"] == "dialing"
    assert the_call().call_sid == twilio.call.sid
    assert the_call().retry_at is None


def test_whom_it_calls_stands_nowhere_in_an_errors_text(dial: Post, twilio: TwilioStandIn) -> None:
    twilio.drills.refuses(21211)
    dial()
    assert THEIRS not in the_call().error
