"""Twilio's REST API without a network: where it is, and what its answers mean."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.telephony import rest
from apps.telephony.rest import OWN_URL, TwilioError, answer_read, origin


@pytest.mark.parametrize(
    ("region", "edge", "expected"),
    [
        ("", "", OWN_URL),
        ("ie1", "dublin", "https://api.dublin.ie1.twilio.com"),
        ("au1", "sydney", "https://api.sydney.au1.twilio.com"),
        # A region's host without its edge has been shut.
        ("ie1", "", OWN_URL),
        ("", "dublin", OWN_URL),
    ],
)
def test_a_region_is_reached_by_its_edge(region: str, edge: str, expected: str) -> None:
    assert origin(base_url=OWN_URL, region=region, edge=edge) == expected


def test_a_stand_in_has_no_regions() -> None:
    at = "http://127.0.0.1:8799"
    assert origin(base_url=at, region="ie1", edge="dublin") == at


def refusal(status: int, body: object) -> TwilioError:
    with pytest.raises(TwilioError) as refused:
        answer_read(status=status, body=json.dumps(body).encode())
    return refused.value


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"code": 20404, "message": "not found"}),
        (404, {}),
        (400, {"code": 21220, "message": "Call is not in-progress."}),
    ],
)
def test_what_is_gone_needs_no_hanging_up(status: int, body: dict[str, object]) -> None:
    assert refusal(status, body).is_gone


@pytest.mark.parametrize(
    ("status", "body"),
    [(429, {"code": 20429}), (429, {}), (429, [])],
)
def test_too_many_requests_were_not_carried_out(status: int, body: object) -> None:
    refused = refusal(status, body)
    assert refused.settled
    assert refused.is_unprocessed


@pytest.mark.parametrize("code", [c for c in rest.MEANINGS if c != 20429])
def test_nothing_else_is_safe_to_send_again(code: int) -> None:
    assert not refusal(400, {"code": code}).is_unprocessed


@pytest.mark.parametrize("status", [500, 502, 503, 504, 301])
def test_of_a_server_that_fails_it_is_not_known_what_it_did(status: int) -> None:
    refused = refusal(status, {"code": 20429})
    assert not refused.settled
    assert not refused.is_unprocessed


@given(st.integers(100, 599), st.binary(max_size=40) | st.just(b'{"code": "x", "message": null}'))
def test_no_answer_breaks_the_reading(status: int, body: bytes) -> None:
    try:
        assert isinstance(answer_read(status=status, body=body), dict)
        assert 200 <= status < 300
    except TwilioError as refused:
        assert refused.hint
