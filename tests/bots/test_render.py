"""GET …/render: what a caller would get, and nothing changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import AuditEntry
from apps.bots.models import TwilioConfig, TwilioConfigVersion

URL = "/twilio-config"
BODY: dict[str, Any] = {
    "name": "Hotel",
    "config": {
        "llm": {
            "provider": "openai",
            "model": "gpt-5-mini",
            "prompt": "Guest {{guest}}, {{room}}.",
        },
        "tts": {"provider": "cartesia", "model": "sonic-english"},
        "stt": {"provider": "scripted"},
        "greeting": {"mode": "text", "text": "Hello {{guest}}, calling from {{from}}."},
        "variables": {"guest": {"type": "string"}, "room": {"type": "number", "default": 12}},
    },
    "api_keys": {"openai": "plain-key"},
}


@pytest.fixture
def bot(api: APIClient) -> str:
    return str(api.post(URL, BODY).json()["id"])


def rendered(api: APIClient, bot: str, **asked: Any) -> dict[str, Any]:
    answer = api.get(f"{URL}/{bot}/render", asked)
    assert answer.status_code == 200, answer.content
    assert b"plain-key" not in answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_it_fills_in_what_the_call_brings(api: APIClient, bot: str) -> None:
    found = rendered(api, bot, variables=json.dumps({"guest": "Ann"}), **{"from": "+4930123"})
    assert found["config"]["llm"]["prompt"] == "Guest Ann, 12."
    assert found["config"]["greeting"]["text"] == "Hello Ann, calling from +4930123."
    assert found["variables"] == {
        "from": {"value": "+4930123", "source": "built-in"},
        "guest": {"value": "Ann", "source": "given"},
        "room": {"value": "12", "source": "default"},
    }
    assert found["missing_variables"] == []
    assert '<Parameter name="guest" value="Ann" />' in found["twiml"]
    assert '<Parameter name="from" value="+4930123" />' in found["twiml"]


def test_without_a_caller_the_twiml_is_the_pasted_one(api: APIClient, bot: str) -> None:
    found = rendered(api, bot)
    assert found["twiml"] == api.get(f"{URL}/{bot}").json()["twiml"]
    assert found["missing_variables"] == ["from", "guest"]
    assert found["takes_calls"] is True


def test_it_names_the_keys_that_are_missing_and_where_others_come_from(
    api: APIClient, bot: str
) -> None:
    found = rendered(api, bot)
    assert found["providers"]["llm"]["key"] == "config"
    assert found["providers"]["tts"]["key"] == "missing"
    assert found["providers"]["stt"]["key"] == "not needed"
    assert found["missing_keys"] == ["cartesia"]


def test_it_says_which_model_is_really_used(api: APIClient, bot: str, settings: Settings) -> None:
    assert rendered(api, bot)["providers"]["tts"]["model"] == "sonic-english"
    settings.MODEL_ALIASES = {"cartesia": {"sonic-english": "sonic-3"}}
    found = rendered(api, bot)["providers"]["tts"]
    assert (found["configured_model"], found["model"]) == ("sonic-english", "sonic-3")
    assert api.get(f"{URL}/{bot}").json()["config"]["tts"]["model"] == "sonic-english"


def test_it_renders_another_version_too(api: APIClient, bot: str) -> None:
    api.patch(f"{URL}/{bot}?draft=true", {"name": "Draft"})
    assert rendered(api, bot)["name"] == "Hotel"
    found = rendered(api, bot, version=2)
    assert (found["name"], found["status"], found["takes_calls"]) == ("Draft", "draft", False)
    assert api.get(f"{URL}/{bot}/render?version=3").status_code == 404


def test_it_changes_nothing(api: APIClient, bot: str) -> None:
    before = (
        TwilioConfig.objects.values().get(),
        TwilioConfigVersion.objects.count(),
        AuditEntry.objects.count(),
    )
    rendered(api, bot, variables='{"guest": "Ann"}')
    after = (
        TwilioConfig.objects.values().get(),
        TwilioConfigVersion.objects.count(),
        AuditEntry.objects.count(),
    )
    assert after == before


def test_a_value_of_the_wrong_type_is_a_warning(api: APIClient, bot: str) -> None:
    found = rendered(api, bot, variables='{"room": "seven"}')
    assert any(text.startswith("variables.room") for text in found["warnings"])
    assert found["variables"]["room"]["source"] == "default"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"from": "0301234"}, "from"),
        ({"to": "+49 30"}, "to"),
        ({"to": "+49\u0663"}, "to"),
        ({"variables": "guest"}, "variables"),
        ({"variables": "[]"}, "variables"),
        ({"variables": '{"a b": "x"}'}, "variables.a b"),
        ({"variables": '{"a": {}}'}, "variables.a"),
        ({"variables": '{"token": "x"}'}, "variables.token"),
        ({"variables": '{"from": "x"}'}, "variables.from"),
        ({"variables": '{"a": "\\u0000"}'}, "variables.a"),
        ({"variables": json.dumps({"a": "x" * 499})}, "variables"),
        ({"variables": '{"a": "\\u0001"}'}, "variables"),
        ({"version": "0"}, "version"),
        ({"version": "first"}, "version"),
    ],
)
def test_a_bad_question_is_named(api: APIClient, bot: str, asked: Any, field: str) -> None:
    answer = api.get(f"{URL}/{bot}/render", asked)
    assert answer.status_code == 400, answer.content
    assert field in answer.json()["fields"], answer.json()


def test_a_server_of_ones_own_may_go_without_a_key(api: APIClient) -> None:
    own = {"provider": "custom_llm", "base_url": "https://models.example.com/v1", "prompt": "Hi."}
    made = api.post("/twilio-config", {"name": "Own", "config": {"llm": own}}, format="json").json()
    found = api.get(f"/twilio-config/{made['id']}/render").json()
    assert found["providers"]["llm"]["key"] == "not needed"
    assert found["missing_keys"] == []
