"""POST /twilio-config with bodies in Daily Bots' form."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig, TwilioConfigVersion

URL = "/twilio-config"
DATA = Path(__file__).parent / "data"
PLAIN: dict[str, Any] = json.loads((DATA / "create.json").read_text())
RICH: dict[str, Any] = json.loads((DATA / "create_anthropic_tools.json").read_text())


def _llm(**options: Any) -> dict[str, Any]:
    listed = [{"name": name, "value": value} for name, value in options.items()]
    body = deepcopy(PLAIN)
    body["config"].append({"service": "llm", "options": listed})
    return body


def _document(body: dict[str, Any]) -> dict[str, Any]:
    return draft_read(body).document


def test_the_plain_body_becomes_a_bot(api: APIClient) -> None:
    answer = api.post(URL, PLAIN)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert made["config"]["llm"]["provider"] == "together"
    assert made["config"]["llm"]["prompt"].startswith("You are the telephone assistant")
    assert made["config"]["tts"]["model"] == "sonic-english"
    assert made["config"]["greeting"]["mode"] == "model"
    assert made["config"]["turns"]["stop_secs"] == 0.3
    assert "<Stream" in made["twiml"]


def test_the_rich_body_becomes_a_bot(api: APIClient) -> None:
    answer = api.post(URL, RICH)
    assert answer.status_code == 201, answer.content
    document = _document(RICH)
    assert document["stt"] | {"options": {}} == {
        "provider": "deepgram",
        "model": "nova-2-general",
        "language": "de",
        "options": {},
    }
    assert document["llm"]["prompt"] == "You are a weather line."
    assert document["llm"]["model"] == "claude-3-5-haiku-latest"
    assert document["llm"]["options"]["temperature"] == 0.7
    assert document["llm"]["tools"][0]["parameters"]["required"] == ["city"]
    assert document["tts"]["options"]["output_format"] == "pcm_16000"
    assert document["webhook_tools"]["get_weather"]["method"] == "GET"
    assert document["max_duration"] == 300


def test_the_body_is_kept_whole_but_for_its_secrets(api: APIClient) -> None:
    api.post(URL, RICH)
    version = TwilioConfig.objects.get().current
    assert version is not None
    expected = deepcopy(RICH)
    del expected["api_keys"], expected["webhook_tools"]["get_weather"]["custom_headers"]
    assert version.body == expected
    assert version.face == TwilioConfigVersion.Face.DAILYBOTS
    assert version.secrets == {
        "api_keys": {"elevenlabs": "el-secret"},
        "tool_headers": {"get_weather": {"X-Key": "abc"}},
    }


def test_the_list_wins_over_service_options_and_its_end_over_its_beginning() -> None:
    body = _llm(temperature=0.2)
    body["service_options"] = {"together": [{"temperature": 0.9, "top_p": 0.5}, {"top_p": 0.6}]}
    body["config"].append({"service": "llm", "options": [{"name": "temperature", "value": "0.4"}]})
    assert _document(body)["llm"]["options"] == {"temperature": 0.4, "top_p": 0.6}


def test_both_forms_of_tools_are_read() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "number"}}}
    openai = {"type": "function", "function": {"name": "a", "parameters": schema}}
    anthropic = {"name": "b", "description": "B", "input_schema": schema}
    assert _document(_llm(tools=[openai, anthropic]))["llm"]["tools"] == [
        {"name": "a", "description": "", "parameters": schema},
        {"name": "b", "description": "B", "parameters": schema},
    ]


def test_later_messages_are_the_history() -> None:
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "Be"}, {"text": "kind."}]},
        {"role": "model", "parts": [{"text": "Hello."}]},
    ]
    model = _document(_llm(initial_messages=messages))["llm"]
    assert model["prompt"] == "Be\nkind."
    assert model["messages"] == [{"role": "assistant", "content": "Hello."}]


def test_what_nobody_knows_is_kept_and_said(api: APIClient) -> None:
    body = _llm(wait_for_all=True)
    body["config"].append({"service": "rtvi", "options": [{"name": "x", "value": 1}]})
    answer = api.post(URL, body)
    assert answer.status_code == 201
    said = " ".join(answer.json()["warnings"])
    assert "config.llm.wait_for_all" in said
    assert "rtvi" in said


def test_a_model_that_speaks_itself_needs_no_voice() -> None:
    body = deepcopy(PLAIN)
    body["services"] = {"llm": "openai_realtime"}
    assert _document(body)["tts"]["provider"] == "local"


BAD: list[tuple[dict[str, Any], str]] = [
    ({"bot_profile": "vision_2024_10"}, "bot_profile"),
    ({"bot_profile": "nobody"}, "bot_profile"),
    ({"bot_profile": {}}, "bot_profile"),
    ({"services": []}, "services"),
    ({"services": {"llm": "together"}}, "services.tts"),
    ({"services": {"tts": "cartesia"}}, "services.llm"),
    ({"services": {"llm": "nobody", "tts": "cartesia"}}, "services.llm"),
    ({"config": {}}, "config"),
    ({"config": [5]}, "config.0.service"),
    ({"config": [{"service": "llm", "options": {}}]}, "config.0.options"),
    ({"config": [{"service": "llm", "options": [5]}]}, "config.0.options.0"),
    ({"config": []}, "config.llm.initial_messages"),
    ({"service_options": 5}, "service_options"),
    ({"service_options": {"together": 5}}, "service_options.together"),
    ({"max_duration": "soon"}, "max_duration"),
    ({"max_duration": 60}, "max_duration"),
    ({"api_keys": []}, "api_keys"),
    ({"webhook_tools": {"x": {"url": "https://x.example"}}}, "webhook_tools.x"),
    ({"webhook_tools": {"x": 5}}, "webhook_tools.x"),
    ({"webhook_tools": 5}, "webhook_tools"),
    (_llm(initial_messages="{"), "config.llm.initial_messages"),
    (_llm(initial_messages="[" * 50_000), "config.llm.initial_messages"),
    (_llm(initial_messages='[{"role": "system", "content": "a\\u0000"}]'), "config.llm"),
    (
        _llm(initial_messages='[{"role": "system", "content": "\\ud83d"}]'),
        "config.llm.initial_messages",
    ),
    (_llm(initial_messages=[5]), "config.llm.initial_messages.0"),
    (_llm(initial_messages=[{"role": "assistant", "content": "x"}]), "config.llm.initial_messages"),
    (
        _llm(initial_messages=[{"role": ["x"], "content": "x"}]),
        "config.llm.initial_messages.0.role",
    ),
    (_llm(initial_messages=[{"role": "user", "content": [{"type": "image_url"}]}]), "config.llm"),
    (_llm(run_on_config="perhaps"), "config.llm.run_on_config"),
    (_llm(tools={}), "config.llm.tools"),
    (_llm(tools=[{"function": 5}]), "config.llm.tools.0.function"),
    (_llm(tools='[{"name": "a", "input_schema": {"x": "\\u0000"}}]'), "config.llm.tools.0"),
    (_llm(tools=[{"name": 5}]), "config.llm.tools.0.name"),
    (_llm(temperature="warm"), "config.llm.temperature"),
]


def test_json_inside_json_is_not_deeper_than_json(api: APIClient) -> None:
    deep = '{"x":' * 100 + "1" + "}" * 100
    answer = api.post(URL, _llm(tools=f'[{{"name": "a", "input_schema": {deep}}}]'))
    assert answer.status_code == 400
    assert answer.json()["error"] == "json-parsing-error"


@pytest.mark.parametrize(("change", "field"), BAD)
def test_a_bad_field_is_named_where_it_stands(
    api: APIClient, change: dict[str, Any], field: str
) -> None:
    answer = api.post(URL, {**PLAIN, **change})
    assert answer.status_code == 400, answer.content
    named = answer.json()["fields"]
    assert any(path.startswith(field) for path in named), named
    assert not TwilioConfig.objects.exists()
