"""What goes wrong with a request, and whether a call was placed all the same."""

from __future__ import annotations

import httpx
import pytest

from tests.simulator.twilio.conftest import Rest, code


def test_an_answer_may_be_late(rest: Rest) -> None:
    rest.twilio.drills.late(0.05)
    assert rest.dial().status_code == 201


@pytest.mark.parametrize("done", [True, False])
def test_an_answer_may_never_come(rest: Rest, done: bool) -> None:
    rest.twilio.drills.mute(done=done)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            rest.twilio.url + rest.path("/Calls"),
            data={"To": "+12025550143", "From": "+14155550100", "Twiml": "<Response/>"},
            auth=rest.auth,
            timeout=0.1,
        )
    assert len(rest.twilio.calls) == done
    assert rest.twilio.requests[0].status == 0


@pytest.mark.parametrize("done", [True, False])
def test_a_server_error_says_nothing_of_the_call(rest: Rest, done: bool) -> None:
    rest.twilio.drills.fails(502, done=done)

    assert rest.dial().status_code == 502
    assert len(rest.twilio.calls) == done
    assert rest.dial().status_code == 201


def test_too_many_requests_place_nothing(rest: Rest) -> None:
    rest.twilio.drills.refuses(20429, times=2)

    assert [code(rest.dial()), code(rest.dial())] == [(429, 20429)] * 2
    assert rest.twilio.calls == []
    assert rest.dial().status_code == 201


@pytest.mark.parametrize("done", [True, False])
def test_a_connection_may_be_reset_behind_the_call(rest: Rest, done: bool) -> None:
    rest.twilio.drills.resets(done=done)
    with pytest.raises(httpx.TransportError):
        rest.dial()
    assert len(rest.twilio.calls) == done


def test_a_drill_may_be_of_another_operation(rest: Rest) -> None:
    rest.twilio.drills.refuses(20404, operation="calls.update")
    one = "/Calls/" + rest.dial().json()["sid"]

    assert code(rest.post(one, Status="completed")) == (404, 20404)
    assert rest.post(one, Status="completed").status_code == 200


def test_a_read_may_lag_behind(rest: Rest) -> None:
    one = "/Calls/" + rest.dial().json()["sid"]
    rest.twilio.moves(rest.twilio.call, "ringing", "in-progress")
    rest.twilio.drills.stale()
    rest.twilio.drills.stale("calls.list")

    assert [rest.get(one).json()["status"] for _ in range(2)] == ["ringing", "in-progress"]
    assert rest.get("/Calls").json()["calls"][0]["status"] == "ringing"
