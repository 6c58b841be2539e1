"""Calls over REST: what is refused with which code, and what a call looks like."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.simulator.twilio.conftest import OURS, THEIRS, Rest, code

URL = "https://voice.example.com/twilio/out/1"


def test_a_call_is_queued_and_no_more(rest: Rest) -> None:
    response = rest.dial()
    body = response.json()

    assert response.status_code == 201
    assert (body["status"], body["direction"], body["queue_time"]) == (
        "queued",
        "outbound-api",
        "0",
    )
    assert (body["to"], body["from"], body["account_sid"]) == (THEIRS, OURS, rest.sid)
    assert body["uri"] == f"/2010-04-01/Accounts/{rest.sid}/Calls/{body['sid']}.json"
    assert parsedate_to_datetime(body["date_created"]) is not None
    assert (body["start_time"], body["duration"]) == (None, None)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"To": None}, 21201),
        ({"From": None}, 21213),
        ({"To": "anybody"}, 21217),
        ({"To": "+1415555"}, 21211),
        ({"To": "+11155550100"}, 21211),
        ({"From": "hotel"}, 21212),
        ({"From": "+12025550100"}, 21210),
        ({"Twiml": None}, 21205),
        ({"Url": "voice.example.com", "Twiml": None}, 21205),
        ({"Twiml": "<Response>" + "x" * 4_000}, 32018),
        ({"ApplicationSid": "AP" + "0" * 32, "Twiml": None}, 21218),
        ({"Timeout": "0"}, 21208),
        ({"Timeout": "601"}, 21208),
        ({"TimeLimit": "long"}, 20001),
        ({"SendDigits": "1e"}, 21206),
        ({"SendDigits": "1" * 33}, 21206),
        ({"Method": "post"}, 21209),
        ({"MachineDetection": "enable"}, 21207),
        ({"MachineDetectionTimeout": "60"}, 20001),
        ({"AsyncAmd": "True"}, 20001),
        ({"MachineDetection": "Enable", "AsyncAmd": "true"}, 21262),
        ({"StatusCallback": "https://my_host.example.com/"}, 21609),
    ],
)
def test_a_create_is_refused_as_twilio_refuses_it(
    rest: Rest, fields: dict[str, Any], error: int
) -> None:
    assert code(rest.dial(**fields)) == (400, error)
    assert rest.twilio.calls == []


@pytest.mark.parametrize("error", [21214, 21215, 21216, 13225, 13227])
def test_destinations_may_be_closed(rest: Rest, error: int) -> None:
    rest.twilio.account.refused["+1202"] = error
    assert code(rest.dial()) == (400, error)
    assert rest.dial(To="+14155550199").status_code == 201


def test_a_verified_number_may_be_called_from(rest: Rest) -> None:
    rest.twilio.verify("+12025550100")
    assert rest.dial(From="+12025550100").status_code == 201


def test_a_trial_account_calls_verified_numbers_only(rest: Rest) -> None:
    rest.twilio.account.kind = "Trial"
    assert code(rest.dial()) == (400, 21219)
    rest.twilio.verify(THEIRS)
    assert rest.dial().status_code == 201


def test_too_many_calls_at_once_are_10004(rest: Rest) -> None:
    rest.twilio.account.limits.live = 1
    first = rest.dial().json()["sid"]
    assert code(rest.dial()) == (400, 10004)
    rest.twilio.moves(first, "completed")
    assert rest.dial().status_code == 201


def test_events_in_one_string_give_a_call_without_callbacks(rest: Rest) -> None:
    response = rest.dial(StatusCallback=URL, StatusCallbackEvent="initiated ringing")
    rest.twilio.moves(rest.twilio.call, "ringing", "completed")

    assert response.status_code == 201
    assert rest.twilio.sent == []
    assert rest.twilio.world.alerts[0][0] == 21626
    assert "21626" in rest.twilio.findings.pop().what


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"Url": URL}, "Twiml is ignored"),
        ({"StatusCallBack": URL}, "StatusCallBack"),
        ({"SendDigits": "1", "MachineDetection": "Enable"}, "cancels"),
        ({"AsyncAmd": "true"}, "without MachineDetection"),
        ({"StatusCallbackEvent": "ringing"}, "without StatusCallback"),
    ],
)
def test_what_twilio_ignores_is_a_finding(rest: Rest, fields: dict[str, Any], word: str) -> None:
    assert rest.dial(**fields).status_code == 201
    assert word in rest.twilio.findings.pop().what


def test_fields_are_recorded_as_they_came(rest: Rest) -> None:
    rest.dial(StatusCallback=URL, StatusCallbackEvent=["initiated", "completed"], TimeLimit=900)

    asked = rest.twilio.asked("calls.create")[0]
    assert asked["StatusCallbackEvent"] == ["initiated", "completed"]
    assert (asked["To"], asked["TimeLimit"]) == (THEIRS, "900")
    assert rest.twilio.requests[0].status == 201


def test_a_call_has_a_start_and_an_end(rest: Rest) -> None:
    one = "/Calls/" + rest.dial().json()["sid"]
    rest.twilio.moves(rest.twilio.call, "ringing", "in-progress", answered_by="human")
    assert rest.get(one).json()["answered_by"] == "human"

    rest.twilio.moves(rest.twilio.call, "completed")

    body = rest.get(one).json()
    assert (body["status"], body["duration"]) == ("completed", "0")
    assert body["end_time"] is not None


def test_terminal_is_final(rest: Rest) -> None:
    rest.dial()
    rest.twilio.moves(rest.twilio.call, "busy", "in-progress")
    assert rest.twilio.call.status == "busy"


def test_calls_are_found_by_whom_and_when(rest: Rest) -> None:
    rest.dial()
    newest = rest.dial(To="+14155550199").json()["sid"]
    today = f"{rest.twilio.world.now():%Y-%m-%d}"

    def found(**query: str) -> list[str]:
        return [one["sid"] for one in rest.get("/Calls", **query).json()["calls"]]

    assert found()[0] == newest
    assert found(To="+14155550199") == found(From=OURS)[:1] == [newest]
    assert len(found(Status="queued", **{"StartTime>": today})) == 2
    assert found(Status="completed") == found(**{"StartTime<": "2001-01-01"}) == []


# --- update -------------------------------------------------------------------------------------


def _one(rest: Rest, *statuses: str) -> str:
    sid: str = rest.dial().json()["sid"]
    rest.twilio.moves(sid, *statuses)
    return f"/Calls/{sid}"


def test_completed_hangs_up_and_does_so_once(rest: Rest) -> None:
    one = _one(rest, "in-progress")

    assert rest.post(one, Status="completed").json()["status"] == "completed"
    assert code(rest.post(one, Status="completed")) == (400, 21220)


def test_canceled_ends_what_rings_and_leaves_what_talks(rest: Rest) -> None:
    ringing, talking = _one(rest, "ringing"), _one(rest, "in-progress")

    assert rest.post(ringing, Status="canceled").json()["status"] == "canceled"
    assert rest.post(talking, Status="canceled").json()["status"] == "in-progress"


def test_a_call_that_rings_cannot_be_redirected(rest: Rest) -> None:
    assert code(rest.post(_one(rest, "ringing"), Twiml="<Response/>")) == (400, 21220)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"Twiml": "<Response/>", "Url": URL}, 20001),
        ({"Twiml": "<Response/>", "Status": "completed"}, 20001),
        ({"Status": "busy"}, 20001),
        ({"Twiml": "x" * 4_001}, 32018),
        ({"Url": "here"}, 21205),
    ],
)
def test_an_update_is_refused_as_twilio_refuses_it(
    rest: Rest, fields: dict[str, Any], error: int
) -> None:
    assert code(rest.post(_one(rest, "in-progress"), **fields)) == (400, error)
