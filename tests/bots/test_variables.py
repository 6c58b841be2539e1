"""``{{variables}}``: declared, given, defaulted, missing."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.bots.document import draft_read
from apps.bots.variables import Filling, filled, filling_of, used_in

DECLARED = {
    "guest": {"type": "string"},
    "room": {"type": "number", "default": 12},
    "vip": {"type": "boolean", "default": False},
}


def document(**parts: Any) -> dict[str, Any]:
    config = {
        "llm": {"prompt": "Greet {{guest}} of room {{ room }}; vip: {{vip}}."},
        "greeting": {"mode": "text", "text": "Hello {{guest}}, you call {{to}}."},
        "variables": DECLARED,
        **parts,
    }
    return draft_read({"config": config}).document


def test_texts_are_filled_wherever_they_stand() -> None:
    found = document(lines={"goodbye": "Bye {{guest}}."})
    assert used_in(found) == {"guest", "room", "vip", "to"}
    values = filling_of(found, {"guest": "Ann", "to": "+4912345"}).values
    done = filled(found, values)
    assert done["llm"]["prompt"] == "Greet Ann of room 12; vip: false."
    assert done["greeting"]["text"] == "Hello Ann, you call +4912345."
    assert done["lines"]["goodbye"] == "Bye Ann."
    assert "{{guest}}" in found["llm"]["prompt"]


def test_what_is_given_wins_over_the_default_and_what_is_missing_is_named() -> None:
    assert filling_of(document(), {"room": "7"}) == Filling(
        values={"room": "7", "vip": "false"},
        sources={"room": "given", "vip": "default"},
        missing=("guest", "to"),
        refused=(),
    )


def test_a_value_of_another_type_is_refused_and_the_default_counts() -> None:
    found = filling_of(document(), {"room": "seven", "vip": "maybe", "guest": ["a"]})
    assert found.refused == ("guest", "room", "vip")
    assert found.values == {"room": "12", "vip": "false"}


def test_a_value_is_not_filled_in_again() -> None:
    done = filled(document(), {"guest": "{{vip}}"})
    assert "{{vip}}" in done["greeting"]["text"]


def test_a_variable_without_a_value_is_not_read_aloud() -> None:
    assert filled(document(), {})["greeting"]["text"] == "Hello , you call ."


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"no name": {}}, "config.variables.no name"),
        ({"token": {}}, "config.variables.token"),
        ({"a": {"type": "date"}}, "config.variables.a.type"),
        ({"a": {"type": "number", "default": "x"}}, "config.variables.a.default"),
        ({"a": {"more": 1}}, "config.variables.a.more"),
        ({"a": 5}, "config.variables.a"),
        ([], "config.variables"),
    ],
)
def test_a_bad_declaration_is_named(api: APIClient, variables: Any, path: str) -> None:
    body = {"config": {"llm": {"prompt": "Hi."}, "variables": variables}}
    answer = api.post("/twilio-config", body)
    assert answer.status_code == 400, answer.content
    assert path in answer.json()["fields"]


def test_an_undeclared_variable_is_accepted_with_a_warning(api: APIClient) -> None:
    answer = api.post("/twilio-config", {"config": {"llm": {"prompt": "Hi {{guest}}, {{from}}."}}})
    assert answer.status_code == 201
    said = [text for text in answer.json()["warnings"] if "variable" in text]
    assert len(said) == 1
    assert "guest" in said[0]
