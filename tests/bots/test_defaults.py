"""What a bot gets that names no provider: the account's default, then the server's."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.serializers import ValidationError
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.accounts.services import account_update
from apps.bots.document import defaults_check

URL = "/twilio-config"
DEFAULTS: dict[str, Any] = {
    "llm": {"provider": "openai", "model": "gpt-5-mini", "temperature": 0.2},
    "tts": {"provider": "cartesia", "voice": "a-voice"},
}


@pytest.fixture
def hotel(account: Account) -> Account:
    return account_update(
        account=account, name="Hotel", max_live_calls=9, actor=Actor(), defaults=DEFAULTS
    )


def config(api: APIClient, **slots: Any) -> dict[str, Any]:
    body = {"config": {"llm": {"prompt": "Hi."}, **slots}}
    answer = api.post(URL, body)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()["config"]
    return found


def test_a_slot_that_is_left_out_is_the_accounts(api: APIClient, hotel: Account) -> None:
    found = config(api)
    assert found["llm"]["provider"] == "openai"
    assert found["llm"]["temperature"] == 0.2
    assert (found["tts"]["provider"], found["tts"]["voice"]) == ("cartesia", "a-voice")
    assert found["stt"]["provider"] == "local"


def test_what_a_slot_says_stands_over_the_default(api: APIClient, hotel: Account) -> None:
    found = config(api, tts={"voice": "another"}, llm={"prompt": "Hi.", "temperature": 1})
    assert (found["tts"]["provider"], found["tts"]["voice"]) == ("cartesia", "another")
    assert (found["llm"]["provider"], found["llm"]["temperature"]) == ("openai", 1)


def test_a_slot_that_names_its_provider_has_nothing_of_the_default(
    api: APIClient, hotel: Account
) -> None:
    found = config(api, tts={"provider": "local"})
    assert found["tts"] == {
        "provider": "local",
        "model": "hibari",
        "voice": "heart",
        "language": "en-US",
        "speed": 1.0,
    }


def test_a_replacement_has_the_defaults_too_and_a_bot_keeps_those_it_began_with(
    api: APIClient, hotel: Account
) -> None:
    bot = api.post(URL, {"config": {"llm": {"prompt": "Hi."}}}).json()["id"]
    account_update(account=hotel, name="Hotel", max_live_calls=9, actor=Actor(), defaults={})
    assert api.get(f"{URL}/{bot}").json()["config"]["llm"]["provider"] == "openai"
    patched = api.patch(f"{URL}/{bot}", {"name": "x"}).json()
    assert patched["config"]["tts"]["provider"] == "cartesia"
    put = api.put(f"{URL}/{bot}", {"config": {"llm": {"prompt": "Hi."}}}).json()
    assert put["config"]["tts"]["provider"] == "local"


@pytest.mark.parametrize(
    "defaults",
    [
        [],
        {"vad": {}},
        {"llm": {}},
        {"llm": "openai"},
        {"llm": {"provider": "nobody"}},
        {"llm": {"provider": "openai", "prompt": "x"}},
        {"tts": {"provider": "local", "voice": "nobody"}},
        {"tts": {"provider": "local", "speed": 99}},
    ],
)
def test_defaults_are_checked_as_slots_are(defaults: Any) -> None:
    with pytest.raises(ValidationError):
        defaults_check(defaults)
