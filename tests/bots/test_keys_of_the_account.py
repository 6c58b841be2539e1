"""A bot that brings no key for a vendor uses its account's."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.credentials import credential_put
from apps.accounts.models import Account
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.selectors import Admission, stream_admit
from apps.bots.services import config_create

BODY: dict[str, Any] = {
    "config": {
        "llm": {"provider": "openai", "prompt": "Hi."},
        "tts": {"provider": "cartesia"},
        "stt": {"provider": "scripted"},
    },
    "api_keys": {"openai": "own-key"},
}


@pytest.fixture
def bot(account: Account) -> TwilioConfig:
    return config_create(account=account, draft=draft_read(BODY), actor=Actor())


def admitted(bot: TwilioConfig) -> Admission:
    found = stream_admit(
        account_id=str(bot.account_id), config_id=str(bot.id), token=bot.stream_token
    )
    assert found is not None
    return found


def lend(account: Account, provider: str, key: str) -> None:
    credential_put(account=account, provider=provider, api_key=key, actor=Actor())


def test_the_accounts_key_is_used_where_the_bot_has_none(
    account: Account, bot: TwilioConfig
) -> None:
    lend(account, "cartesia", "lent-key")
    lend(account, "openai", "lent-key")
    call = admitted(bot)
    assert call.service("tts").secrets == {"api_key": "lent-key"}
    assert call.service("llm").secrets == {"api_key": "own-key"}


def test_a_strangers_key_is_not(stranger: Account, bot: TwilioConfig) -> None:
    lend(stranger, "cartesia", "their-key")
    assert admitted(bot).service("tts").secrets == {}


def test_a_call_costs_a_query_more_only_where_a_key_is_missing(
    account: Account, bot: TwilioConfig, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(2):
        admitted(bot)
    whole = {**BODY, "api_keys": {"openai": "a", "cartesia": "b"}}
    other = config_create(account=account, draft=draft_read(whole), actor=Actor())
    with django_assert_num_queries(1):
        admitted(other)


def test_credentials_that_cannot_be_read_do_not_refuse_the_call(
    account: Account, bot: TwilioConfig, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    keys = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = ["b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItb3Q="]
    lend(account, "cartesia", "lent-key")
    settings.ENCRYPTION_KEYS = keys
    caplog.set_level(logging.ERROR)
    assert admitted(bot).service("tts").secrets == {}
    assert "cannot be read" in caplog.text


def test_render_and_the_catalogue_say_where_a_key_comes_from(
    api: APIClient, account: Account, bot: TwilioConfig
) -> None:
    lend(account, "cartesia", "lent-key")
    found = api.get(f"/twilio-config/{bot.id}/render").json()
    assert found["providers"]["tts"]["key"] == "account"
    assert found["missing_keys"] == []
    has = {found["name"]: found["has_key"] for found in api.get("/providers").json()["results"]}
    assert has["cartesia"] is True
    assert has["openai"] is False
