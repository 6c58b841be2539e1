"""Who may ask, and for what."""

from __future__ import annotations

import httpx
import pytest

from tests.simulator.twilio.conftest import Rest, code
from tests.support.twilio import TwilioStandIn


def test_the_auth_token_reads_the_account(rest: Rest) -> None:
    body = rest.get().json()

    assert body["sid"] == body["owner_account_sid"] == rest.sid
    assert (body["status"], body["type"]) == ("active", "Full")
    assert body["auth_token"] == rest.twilio.token


def test_an_api_key_works_with_the_account_in_the_path(rest: Rest) -> None:
    rest.auth = (rest.twilio.key_sid, rest.twilio.key_secret)
    assert rest.get("/Calls").status_code == 200


@pytest.mark.parametrize("password", ["", "wrong", "ü"])
def test_a_wrong_secret_is_20003(rest: Rest, password: str) -> None:
    rest.auth = (rest.sid, password)
    assert code(rest.get()) == (401, 20003)


def test_no_credentials_at_all_are_20003(rest: Rest) -> None:
    response = httpx.get(rest.twilio.url + rest.path(""))

    assert code(response) == (401, 20003)
    assert response.json()["more_info"] == "https://www.twilio.com/docs/errors/20003"


def test_the_parent_acts_on_its_sub_account_and_not_the_other_way_round(rest: Rest) -> None:
    twilio = rest.twilio
    child = twilio.world.account_add(owner=twilio.account)

    rest.sid = child.sid
    assert rest.get().json()["auth_token"] == child.auth_token
    rest.auth, rest.sid = (child.sid, child.auth_token), twilio.sid
    assert code(rest.get()) == (401, 20003)


def test_a_stranger_is_20003(rest: Rest) -> None:
    stranger = rest.twilio.world.account_add()
    rest.auth = (stranger.sid, stranger.auth_token)
    assert code(rest.get("/Calls")) == (401, 20003)


def test_sub_accounts_are_listed_with_their_parent(rest: Rest) -> None:
    twilio = rest.twilio
    child = twilio.world.account_add(owner=twilio.account)
    twilio.world.account_add()

    body = httpx.get(f"{twilio.url}/2010-04-01/Accounts.json", auth=rest.auth).json()

    assert [one["sid"] for one in body["accounts"]] == [twilio.sid, child.sid]


def test_a_standard_key_reads_no_account(rest: Rest) -> None:
    key = rest.twilio.world.key_add(rest.twilio.account, standard=True)
    rest.auth = (key.sid, key.secret)

    assert code(rest.get()) == (401, 20003)
    assert rest.get("/IncomingPhoneNumbers").status_code == 200


def test_an_inactive_account_is_10001(rest: Rest) -> None:
    rest.twilio.account.status = "suspended"

    assert code(rest.dial()) == (403, 10001)
    assert rest.get().json()["status"] == "suspended"


def test_what_is_not_there_is_20404(rest: Rest) -> None:
    assert code(rest.get("/Conferences")) == (404, 20404)
    assert code(rest.get("/Calls/CA" + "0" * 32)) == (404, 20404)


def test_a_body_that_is_no_form_is_not_read(rest: Rest, twilio: TwilioStandIn) -> None:
    response = httpx.post(
        twilio.url + rest.path("/Calls"), json={"To": "+12025550143"}, auth=rest.auth
    )

    assert code(response) == (400, 21201)
    assert "not application/x-www-form-urlencoded" in twilio.findings.pop().what
