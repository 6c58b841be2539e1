"""A bot goes from one face to the other and back, and loses nothing."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.serializers import ValidationError
from rest_framework.test import APIClient

from apps.accounts.models import Account
from apps.bots.dailybots_form import body_of
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.core.crypto import encrypt
from tests.conftest import BODY, ApiFor

NATIVE, THEIRS = "/twilio-config", "/v1/twilio-config"
DATA = Path(__file__).parent / "data"
PLAIN: dict[str, Any] = json.loads((DATA / "create.json").read_text())
RICH: dict[str, Any] = json.loads((DATA / "create_anthropic_tools.json").read_text())


def made(api: APIClient, body: Any, url: str = THEIRS) -> dict[str, Any]:
    answer = api.post(url, body)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


# --- their face ---------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [THEIRS, "/v1/bots/twilio-config", "/v1/twilio-config/"])
@pytest.mark.parametrize("body", [PLAIN, RICH], ids=["plain", "rich"])
def test_the_answer_is_the_stored_body_with_id_and_twiml(
    api: APIClient, url: str, body: dict[str, Any]
) -> None:
    found = made(api, body, url)
    assert found.pop("id")
    assert "<Stream" in found.pop("twiml")
    expected = deepcopy(body)
    expected.pop("api_keys", None)
    for tool in expected.get("webhook_tools", {}).values():
        tool.pop("custom_headers")
    assert found == expected


def test_a_life_on_their_face(api: APIClient) -> None:
    bot = made(api, PLAIN)
    url = f"{THEIRS}/{bot['id']}"
    changed = made(api, {**PLAIN, "max_duration": 900}, url)
    assert (changed["id"], changed["twiml"]) == (bot["id"], bot["twiml"])
    assert api.get(url).json() == changed
    assert api.get(THEIRS).json() == {"total_count": 1, "data": [changed]}
    assert api.delete(url).json() == {"deleted": True, "id": bot["id"]}
    assert api.get(url).status_code == 404


def test_what_was_answered_can_be_sent_back(api: APIClient) -> None:
    bot = made(api, RICH)
    again = made(api, bot, f"{THEIRS}/{bot['id']}")
    assert again == bot
    assert TwilioConfigVersion.objects.get(number=2).secrets == {
        "api_keys": {"elevenlabs": "el-secret"},
        "tool_headers": {"get_weather": {"X-Key": "abc"}},
    }


@pytest.mark.parametrize(
    ("headers", "status", "name"),
    [
        ({}, 400, "authorization-header-error"),
        ({"authorization": "Basic abc"}, 400, "authorization-header-error"),
        ({"authorization": "Bearer"}, 400, "authorization-header-error"),
        ({"authorization": "Bearer nonsense"}, 401, "authentication-error"),
    ],
)
def test_their_errors_of_the_header(
    db: None, headers: dict[str, Any], status: int, name: str
) -> None:
    answer = APIClient(headers=headers).get(THEIRS)
    assert answer.status_code == status
    assert answer.json().keys() == {"error", "info"}
    assert answer.json()["error"] == name
    assert ("WWW-Authenticate" in answer) == (status == 401)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"{", "json-parsing-error"),
        (json.dumps({**PLAIN, "bot_profile": "vision_2024_10"}).encode(), "invalid-request-error"),
        (json.dumps(BODY).encode(), "invalid-request-error"),
        (b"[]", "invalid-request-error"),
    ],
)
def test_their_errors_of_the_body(api: APIClient, body: bytes, name: str) -> None:
    answer = api.generic("POST", THEIRS, body.decode(), content_type="application/json")
    assert answer.status_code == 400
    assert answer.json().keys() == {"error", "info"}
    assert answer.json()["error"] == name


def test_a_strangers_bot_is_not_there(api: APIClient, api_for: ApiFor, stranger: Account) -> None:
    bot = made(api, PLAIN)
    theirs = api_for(stranger)
    url = f"{THEIRS}/{bot['id']}"
    answers = [theirs.get(url), theirs.post(url, PLAIN), theirs.delete(url)]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert theirs.get(THEIRS).json() == {"total_count": 0, "data": []}


def test_their_list_costs_the_same_for_many(api: APIClient, django_assert_num_queries: Any) -> None:
    for _ in range(3):
        made(api, PLAIN)
    with django_assert_num_queries(3):
        assert api.get(THEIRS).json()["total_count"] == 3


# --- from face to face --------------------------------------------------------------------------


def test_what_their_body_had_beyond_ours_outlives_a_change_on_our_face(api: APIClient) -> None:
    body = deepcopy(RICH)
    body["config"] += [
        {"service": "rtvi", "options": [{"name": "x", "value": 1}]},
        {"service": "llm", "options": [{"name": "wait_for_all", "value": True}]},
        {"service": "vad", "options": [{"name": "params", "value": {"stop_secs": 0.4, "y": 2}}]},
    ]
    bot = made(api, body)
    patch = {"name": "Ours", "max_duration": 400, "config": {"llm": {"temperature": 0.1}}}
    assert api.patch(f"{NATIVE}/{bot['id']}", patch).status_code == 200
    found = api.get(f"{THEIRS}/{bot['id']}").json()
    assert found["bot_profile"] == "voice_2024_10"
    assert found["dialin_settings"] == RICH["dialin_settings"]
    assert found["something_new"] is True
    assert found["max_duration"] == 400
    options = {
        (item["service"], option["name"]): option["value"]
        for item in found["config"]
        for option in item["options"]
    }
    assert options["rtvi", "x"] == 1
    assert options["llm", "wait_for_all"] is True
    assert options["llm", "temperature"] == 0.1
    assert options["vad", "params"]["stop_secs"] == 0.4
    assert options["vad", "params"]["y"] == 2
    assert options["stt", "language"] == "de"
    assert found["webhook_tools"]["get_weather"]["url"] == "https://tools.example.com/weather"


def test_a_version_from_before_anything_was_kept_loses_nothing_either(api: APIClient) -> None:
    bot = made(api, RICH)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bots_twilioconfigversion SET kept = %s", [encrypt("{}")])
    assert api.patch(f"{NATIVE}/{bot['id']}", {"name": "Ours"}).status_code == 200
    found = api.get(f"{THEIRS}/{bot['id']}").json()
    assert found["dialin_settings"] == RICH["dialin_settings"]
    assert found["something_new"] is True


def test_what_only_our_face_can_say_outlives_a_change_on_theirs(api: APIClient) -> None:
    native = {
        "name": "Front desk",
        "metadata": {"team": "ops"},
        "config": {
            "llm": {"provider": "together", "prompt": "Hi {{guest}}."},
            "tts": {"provider": "cartesia"},
            "greeting": {"mode": "text", "text": "Hello {{guest}}."},
            "lines": {"goodbye": "Bye."},
            "variables": {"guest": {"type": "string", "default": "you"}},
            "turns": {
                "interruptible": False,
                "idle_secs": 30,
                "patience_secs": 2,
                "stop_secs": 0.5,
            },
        },
    }
    made_here = api.post(NATIVE, native).json()
    made(api, PLAIN | {"config": PLAIN["config"][2:3]}, f"{THEIRS}/{made_here['id']}")
    document = TwilioConfigVersion.objects.get(number=2).document
    assert document["name"] == "Front desk"
    assert document["metadata"] == {"team": "ops"}
    assert document["lines"] == {"goodbye": "Bye."}
    assert document["variables"]["guest"]["default"] == "you"
    assert document["turns"]["interruptible"] is False
    assert document["turns"]["idle_secs"] == 30
    assert document["turns"]["patience_secs"] == 2
    # Their form has words for these, and the body used them, or their defaults.
    assert document["llm"]["prompt"].startswith("You are the telephone assistant")
    assert document["greeting"]["mode"] == "model"
    assert document["turns"]["stop_secs"] == 0.3


def test_options_of_a_provider_go_with_the_provider(api: APIClient) -> None:
    body = deepcopy(PLAIN)
    body["config"].append({"service": "tts", "options": [{"name": "odd", "value": 1}]})
    bot = made(api, body)
    api.patch(f"{NATIVE}/{bot['id']}", {"config": {"tts": {"provider": "rime"}}})
    assert "odd" not in json.dumps(api.get(f"{THEIRS}/{bot['id']}").json())


TEXT = st.text('abc {}é"<', min_size=1, max_size=12).filter(str.strip)
NAME = st.text("abc_", min_size=1, max_size=6)


def members(required: Any, optional: Any = None) -> st.SearchStrategy[dict[str, Any]]:
    found: st.SearchStrategy[Any] = st.fixed_dictionaries(required, optional=optional or {})
    return found


TOOL = members(
    {"name": NAME}, optional={"description": TEXT, "parameters": st.just({"type": "object"})}
)
NATIVE_BODY = members(
    {
        "config": members(
            {
                "llm": members(
                    {"prompt": TEXT, "provider": st.sampled_from(["openai", "local", "scripted"])},
                    optional={
                        "messages": st.lists(
                            members(
                                {"role": st.sampled_from(["user", "assistant"]), "content": TEXT}
                            ),
                            max_size=3,
                        ),
                        "tools": st.lists(TOOL, max_size=2, unique_by=lambda tool: tool["name"]),
                    },
                )
            },
            optional={
                "tts": members(
                    {"provider": st.sampled_from(["cartesia", "elevenlabs", "rime"])},
                    optional={"voice": TEXT, "model": TEXT, "language": st.just("de-CH")},
                ),
                "stt": st.just({"provider": "gladia", "language": "fr"}),
                "greeting": st.one_of(
                    members({"mode": st.sampled_from(["none", "model"])}),
                    members({"mode": st.just("text"), "text": TEXT}),
                ),
                "lines": members({}, optional={"idle": TEXT, "apology": TEXT}),
                "turns": members(
                    {},
                    optional={
                        "stop_secs": st.floats(0.1, 3),
                        "interruptible": st.booleans(),
                        "idle_secs": st.integers(0, 600),
                    },
                ),
                "variables": st.dictionaries(
                    NAME, members({"type": st.just("string")}), max_size=2
                ),
            },
        )
    },
    optional={
        "name": TEXT,
        "max_duration": st.integers(61, 86_399),
        "metadata": st.dictionaries(NAME, st.integers() | TEXT, max_size=3),
    },
)


@given(NATIVE_BODY)
def test_any_native_bot_is_the_same_after_a_way_through_their_form(body: Any) -> None:
    document = draft_read(body).document
    there = json.loads(json.dumps(body_of(document, {})))
    assert draft_read(there).document == document


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
MEMBERS = st.sampled_from(
    ["bot_profile", "services", "config", "service_options", "api_keys", "webhook_tools"]
    + ["max_duration", "botsconfig", "metadata", "name", "room", "new"]
)


def mutated(base: Any, path: list[Any], value: Any) -> Any:
    """Return a copy of base with something else at a path, as far as the path leads."""
    found = deepcopy(base)
    place = found
    for step in path[:-1]:
        inner = place.get(step) if isinstance(place, dict) else None
        if isinstance(place, list) and place:
            inner = place[hash(step) % len(place)]
        if not isinstance(inner, dict | list) or not inner:
            break
        place = inner
    if isinstance(place, dict):
        place[path[-1]] = value
    elif place:
        place[0] = value
    return found


@settings(max_examples=300)
@given(
    st.sampled_from([PLAIN, RICH]),
    MEMBERS,
    st.lists(
        st.sampled_from(["llm", "tts", "stt", "vad", "options", "service", "name", "value", "url"]),
        max_size=3,
    ),
    JSON,
)
def test_garbage_is_refused_by_path_and_never_breaks(
    base: Any, member: str, inner: list[str], value: Any
) -> None:
    body = mutated(base, [member, *inner], value)
    try:
        draft = draft_read(body)
    except ValidationError as refused:
        assert refused.detail
        return
    again = body_of(draft.document, draft.kept)
    assert draft_read(json.loads(json.dumps(again))).document == draft.document


def test_a_bot_of_either_face_is_in_both_lists(api: APIClient) -> None:
    made(api, PLAIN)
    api.post(NATIVE, BODY)
    assert TwilioConfig.objects.count() == 2
    assert len(api.get(NATIVE).json()["results"]) == 2
    assert api.get(THEIRS).json()["total_count"] == 2
