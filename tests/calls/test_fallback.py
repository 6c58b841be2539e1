"""/twilio/fallback: the caller hears a sentence, whatever is broken."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.db import connection as database
from django.test import Client
from rest_framework.test import APIClient

from apps.accounts.models import TwilioConnection
from apps.bots.models import TwilioConfig
from apps.voice.settings import Lines
from tests.support.twilio import TwilioStandIn

SORRY = Lines().failure


def url(config: TwilioConfig) -> str:
    return f"/twilio/fallback?account={config.account_id}&bot={config.id}"


def asked(twilio: TwilioStandIn, config: TwilioConfig, client: Client) -> str:
    twilio.post(f"https://voice.example.com{url(config)}", CallSid="CA1", ErrorCode="11200")
    (answer,) = twilio.deliver(client)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/xml"
    return str(answer.content.decode())


def test_it_apologises_and_hangs_up(
    client: Client, connection: TwilioConnection, twilio: TwilioStandIn, config: TwilioConfig
) -> None:
    said = asked(twilio, config, client)
    assert f'<Say language="en-US">{SORRY.replace(chr(39), chr(39))}</Say><Hangup />' in said


def test_it_apologises_in_the_bots_own_words(
    client: Client,
    api: APIClient,
    connection: TwilioConnection,
    twilio: TwilioStandIn,
    config: TwilioConfig,
) -> None:
    words = {"tts": {"language": "de"}, "lines": {"failure": "Es tut uns leid."}}
    api.patch(f"/twilio-config/{config.id}", {"config": words})
    assert '<Say language="de-DE">Es tut uns leid.</Say>' in asked(twilio, config, client)


@pytest.mark.parametrize("headers", [{}, {"x-twilio-signature": "forged"}])
def test_who_is_not_twilio_hears_nothing(
    client: Client, connection: TwilioConnection, config: TwilioConfig, headers: dict[str, str]
) -> None:
    assert client.post(url(config), {"CallSid": "CA1"}, headers=headers).status_code == 403


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_account_that_is_not_known_apologises_in_english(
    client: Client, db: None, method: str
) -> None:
    answer = getattr(client, method)("/twilio/fallback?account=x&bot=y")
    assert answer.status_code == 200
    assert SORRY in answer.content.decode()


def test_a_bot_that_is_gone_apologises_in_english(
    client: Client, connection: TwilioConnection, twilio: TwilioStandIn, config: TwilioConfig
) -> None:
    TwilioConfig.objects.update(deleted_at="2026-01-01T00:00:00Z")
    assert SORRY in asked(twilio, config, client)


def test_it_works_without_the_database(client: Client, config: TwilioConfig) -> None:
    def down(*_: object) -> None:
        raise OperationalError("connection refused")

    with database.execute_wrapper(down):
        answer = client.post(url(config), {"CallSid": "CA1"})
    assert answer.status_code == 200
    assert SORRY in answer.content.decode()
