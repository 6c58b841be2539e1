"""Twilio's own library takes the stand-in for Twilio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from tests.simulator.twilio.conftest import OURS, THEIRS
from tests.support.twilio import TwilioStandIn


@pytest.fixture
def client(twilio: TwilioStandIn) -> Iterator[Any]:
    http = TwilioHttpClient(timeout=5)
    client = Client(twilio.key_sid, twilio.key_secret, twilio.sid, http_client=http)
    client.api.base_url = twilio.url
    twilio.add_number(OURS)
    yield client
    http.session.close()


def test_it_makes_reads_and_ends_calls(twilio: TwilioStandIn, client: Any) -> None:
    made = client.calls.create(
        to=THEIRS,
        from_=OURS,
        twiml="<Response/>",
        status_callback="https://voice.example.com/status",
        status_callback_event=["initiated", "completed"],
        time_limit=900,
    )
    twilio.moves(made.sid, "initiated", "ringing", "in-progress")
    assert client.calls(made.sid).fetch().start_time.tzinfo is not None

    ended = client.calls(made.sid).update(status="completed")

    assert (made.status, ended.status) == ("queued", "completed")
    with pytest.raises(TwilioRestException) as refused:
        client.calls(made.sid).update(status="completed")
    assert (refused.value.status, refused.value.code) == (400, 21220)
    assert [one.sid for one in client.calls.list(to=THEIRS)] == [made.sid]


def test_it_pages_through_numbers(twilio: TwilioStandIn, client: Any) -> None:
    for last in range(1, 5):
        twilio.add_number(f"+1415555010{last}")

    numbers = client.incoming_phone_numbers.list(page_size=2)

    assert [one.phone_number for one in numbers][-1] == "+14155550104"
    assert len(numbers) == 5
    changed = numbers[0].update(voice_url="https://voice.example.com/in")
    assert changed.voice_url == "https://voice.example.com/in"


def test_it_has_applications_and_sub_accounts(twilio: TwilioStandIn, client: Any) -> None:
    twilio.world.account_add(owner=twilio.account)
    made = client.applications.create(friendly_name="Bot")

    assert client.applications(made.sid).delete() is True
    assert len(client.api.accounts.list()) == 2
