"""POST /twilio-config with native bodies: what is made of them, and what is refused."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any
from xml.etree import ElementTree

import pytest
from rest_framework.test import APIClient

from apps.bots.models import TwilioConfig
from tests.conftest import BODY

URL = "/twilio-config"
SMALLEST: dict[str, Any] = {"config": {"llm": {"prompt": "Be kind."}}}


def _with(path: str, value: Any) -> dict[str, Any]:
    body: dict[str, Any] = deepcopy(BODY)
    *parents, last = path.split(".")
    inner = body
    for name in parents:
        inner = inner.setdefault(name, {})
    inner[last] = value
    return body


@pytest.mark.parametrize("url", [URL, URL + "/"])
def test_a_prompt_is_enough(api: APIClient, url: str) -> None:
    answer = api.post(url, SMALLEST)
    assert answer.status_code == 201
    made = answer.json()
    assert made["version"] == 1
    assert [made["config"][slot]["provider"] for slot in ("llm", "tts", "stt")] == ["local"] * 3
    assert made["config"]["tts"]["voice"] == "heart"
    assert made["config"]["greeting"] == {"mode": "none", "text": ""}
    assert made["max_duration"] == 600
    assert made["metadata"] == {}


def test_the_twiml_connects_to_our_stream_with_the_bots_token(api: APIClient) -> None:
    made = api.post(URL, SMALLEST).json()
    config = TwilioConfig.objects.get()
    stream = ElementTree.fromstring(made["twiml"]).find("Connect/Stream")
    assert stream is not None
    assert stream.get("url") == made["stream_url"] == "wss://voice.example.com/media/twilio"
    assert stream.get("statusCallback") == (
        f"https://voice.example.com/twilio/stream-status?account={config.account_id}"
    )
    assert {found.get("name"): found.get("value") for found in stream} == {
        "account": str(config.account_id),
        "bot": made["id"],
        "token": config.stream_token,
    }


def test_the_answer_says_where_things_are(api: APIClient) -> None:
    answer = api.post(URL, SMALLEST)
    made = answer.json()
    assert answer["Location"] == f"http://testserver/twilio-config/{made['id']}"
    assert answer["ETag"] == '"1"'
    assert made["voice_url"] == f"https://voice.example.com/twilio/voice/{made['id']}"
    assert api.get(answer["Location"]).json() == made


def test_options_stand_flat_and_are_stored_apart(api: APIClient) -> None:
    body = _with("config.llm", {"provider": "openai", "prompt": "Hi.", "temperature": "0.3"})
    made = api.post(URL, body).json()
    assert made["config"]["llm"]["temperature"] == 0.3
    version = TwilioConfig.objects.get().current
    assert version is not None
    assert version.document["llm"]["options"] == {"temperature": 0.3}


def test_the_document_has_the_shape_that_the_gateway_reads(config: TwilioConfig) -> None:
    assert config.current is not None
    document = config.current.document
    assert document.keys() == {
        *("name", "metadata", "llm", "tts", "stt", "turns", "greeting", "lines"),
        "recording",
        *("variables", "transfers", "webhook_tools", "max_duration"),
    }
    assert document["llm"].keys() == {"provider", "model", "prompt", "messages", "tools", "options"}
    assert document["tts"].keys() == {"provider", "model", "voice", "language", "options"}
    assert document["stt"].keys() == {"provider", "model", "language", "options"}
    assert set(document["turns"]) >= {"confidence", "start_secs", "stop_secs", "min_volume"}


def test_a_system_message_may_be_the_prompt(api: APIClient) -> None:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
    made = api.post(URL, {"config": {"llm": {"messages": messages}}}).json()
    assert made["config"]["llm"]["prompt"] == "Be kind."
    assert made["config"]["llm"]["messages"] == messages[1:]


def test_a_provider_that_cannot_run_here_is_a_warning(api: APIClient) -> None:
    answer = api.post(URL, _with("config.tts", {"provider": "playht"}))
    assert answer.status_code == 201
    assert [text.split(":")[0] for text in answer.json()["warnings"]] == ["config.tts.provider"]


def test_a_pace_may_be_a_number_or_a_word(api: APIClient) -> None:
    for pace in (1.0, "slow"):
        body = _with("config.tts", {"provider": "cartesia", "speed": pace})
        assert api.post(URL, body).status_code == 201


def test_the_answer_can_be_put_back(api: APIClient) -> None:
    made = api.post(URL, BODY).json()
    again = api.put(f"{URL}/{made['id']}", made)
    assert again.status_code == 200
    assert again.json()["config"] == made["config"]


def test_secrets_are_never_answered(api: APIClient) -> None:
    tool = {"url": "https://t.example.com", "custom_headers": {"X-Key": "header-secret"}}
    body = _with("config.llm.tools", [{"name": "weather"}])
    body |= {"api_keys": {"openai": "key-secret"}, "webhook_tools": {"weather": tool}}
    answer = api.post(URL, body)
    version = TwilioConfig.objects.get().current
    assert version is not None
    assert version.secrets == {
        "api_keys": {"openai": "key-secret"},
        "tool_headers": {"weather": {"X-Key": "header-secret"}},
    }
    stored = json.dumps([version.document, version.body])
    for secret in ("key-secret", "header-secret"):
        assert secret not in answer.content.decode() + stored


TOO_LONG = "x" * 100_001
BAD: list[tuple[str, Any, str, str]] = [
    ("config", [], "config", ""),  # no list of ours: Daily Bots' form, without a profile
    ("config", "x", "config", ""),
    ("config", None, "config", ""),
    ("config.llm", 5, "config.llm", ""),
    ("config.llm", {}, "config.llm.prompt", ""),
    ("config.llm.prompt", "", "config.llm.prompt", ""),
    ("config.llm.prompt", " \n", "config.llm.prompt", ""),
    ("config.llm.prompt", 5, "config.llm.prompt", ""),
    ("config.llm.prompt", TOO_LONG, "config.llm.prompt", "100000"),
    ("config.llm.prompt", "a\0b", "config.llm.prompt", ""),
    ("config.llm.provider", "nobody", "config.llm.provider", "local"),
    ("config.llm.provider", ["openai"], "config.llm.provider", ""),
    ("config.llm.warmth", 1, "config.llm.warmth", "replies"),
    ("config.llm.messages", [{"role": "poet", "content": ""}], "config.llm.messages.0.role", ""),
    ("config.llm.tools", [{"name": "a b"}], "config.llm.tools.0.name", ""),
    ("config.llm.tools", [{"name": "a"}, {"name": "a"}], "config.llm.tools", "a"),
    ("config.tts.provider", "nobody", "config.tts.provider", "cartesia"),
    ("config.tts.voice", "nobody", "config.tts.voice", "hum"),
    ("config.tts.voice", 7, "config.tts.voice", ""),
    ("config.tts.language", "no language", "config.tts.language", "de-CH"),
    ("config.tts.character_ms", 100_000, "config.tts.character_ms", "1000"),
    ("config.turns", [], "config.turns", ""),
    ("config.turns.stop_secs", 3.1, "config.turns.stop_secs", "3"),
    ("config.turns.stop_secs", "NaN", "config.turns.stop_secs", ""),
    ("config.turns.stop_secs", True, "config.turns.stop_secs", ""),
    ("config.turns.interruptible", "no", "config.turns.interruptible", ""),
    ("config.turns.patience", 1, "config.turns.patience", "stop_secs"),
    ("config.greeting.mode", "song", "config.greeting.mode", ""),
    ("config.greeting", {"mode": "text"}, "config.greeting.text", ""),
    ("config.greeting", {"mode": "text", "text": "x" * 1001}, "config.greeting.text", "1000"),
    ("config.lines", {"hello": "x"}, "config.lines.hello", "apology"),
    ("config.ears", {}, "config.ears", "stt"),
    ("max_duration", 60, "max_duration", "61"),
    ("max_duration", 86_400, "max_duration", "86399"),
    ("max_duration", 10**300, "max_duration", ""),
    ("max_duration", 90.5, "max_duration", ""),
    ("max_duration", True, "max_duration", ""),
    ("name", "x" * 201, "name", "200"),
    ("name", ["x"], "name", ""),
    ("metadata", [], "metadata", ""),
    ("metadata", {"x": "y" * 17_000}, "metadata", "16384"),
    ("metadata", {"a\0": 1}, "metadata", ""),
    ("webhook_tools", {"w": {"url": "https://x.example"}}, "webhook_tools.w", "llm.tools"),
    ("webhook_tools", {"w": {"url": "file:///etc/passwd"}}, "webhook_tools.w.url", "https"),
    ("webhook_tools", {"w": {"url": "http://[::1"}}, "webhook_tools.w.url", "https"),
    ("api_keys", {"openai": 5}, "api_keys.openai", ""),
    ("surprise", 1, "surprise", "max_duration"),
]


@pytest.mark.parametrize(("path", "value", "field", "hint"), BAD)
def test_a_bad_field_is_named_with_what_would_be_valid(
    api: APIClient, path: str, value: Any, field: str, hint: str
) -> None:
    answer = api.post(URL, _with(path, value))
    assert answer.status_code == 400, answer.content
    said = answer.json()
    assert said["error"] == "invalid-request-error"
    if path == "config" and value == []:
        field = "bot_profile"
    assert field in said["fields"]
    assert hint in " ".join(said["fields"][field])
    assert not TwilioConfig.objects.exists()


def test_one_answer_names_all_that_is_wrong(api: APIClient) -> None:
    body = {"config": {"llm": {"temperature": 9}, "tts": {"provider": "x"}}, "max_duration": 1}
    said = api.post(URL, body).json()
    assert said["fields"].keys() == {
        *("config.llm.temperature", "config.tts.provider", "max_duration")
    }
    assert said["info"] == "3 fields are invalid"


def test_a_missing_config_is_named(api: APIClient) -> None:
    assert api.post(URL, {}).json()["fields"].keys() == {"config"}


@pytest.mark.parametrize("body", ["[]", "[1]", '"text"', "5", "null", "true"])
def test_a_body_that_is_no_object_is_refused(api: APIClient, body: str) -> None:
    answer = api.post(URL, body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["fields"].keys() == {"body"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_not_json_says_so(api: APIClient, body: bytes) -> None:
    answer = api.post(URL, body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["error"] in ("json-parsing-error", "invalid-request-error")
    assert body == b"" or answer.json()["error"] == "json-parsing-error"


def test_a_body_of_three_megabytes_is_too_large(api: APIClient) -> None:
    body = json.dumps({"name": "x" * 3_000_000})
    answer = api.post(URL, body, content_type="application/json")
    assert answer.status_code == 413
    assert answer.json()["error"] == "payload-too-large-error"


def test_huge_numbers_in_metadata_are_kept_or_refused(api: APIClient) -> None:
    body = {**BODY, "metadata": {"big": 10**30, "tiny": 1e-300, "long": 2**53 + 1}}
    answer = api.post(URL, body)
    assert answer.status_code == 201
    assert answer.json()["metadata"] == {"big": 1e30, "tiny": 1e-300, "long": 2**53 + 1}
