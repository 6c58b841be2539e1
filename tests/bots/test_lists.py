"""Filters, search and order of the list, and that every page follows the one before."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.conftest import BODY

URL = "/twilio-config"


def make(api: APIClient, name: str, metadata: Any = None, **slots: str) -> str:
    config = {slot: {**BODY["config"][slot]} for slot in ("llm", "tts", "stt")}
    for slot, provider in slots.items():
        config[slot]["provider"] = provider
    body = {"name": name, "config": config, "metadata": metadata or {}}
    answer = api.post(URL, body)
    assert answer.status_code == 201, answer.content
    return str(answer.json()["id"])


def names(api: APIClient, **asked: str) -> list[str]:
    answer = api.get(URL, asked)
    assert answer.status_code == 200, answer.content
    return [found["name"] for found in answer.json()["results"]]


@pytest.fixture
def bots(api: APIClient) -> None:
    make(api, "Alpha Desk", {"team": "ops", "floor": 3, "vip": True}, tts="cartesia")
    make(api, "beta desk", {"team": "sales", "floor": "3"}, llm="openai")
    make(api, "Gamma", {"team": {"a": 1}, "odd.key": "x"}, llm="openai", tts="cartesia")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["Gamma", "beta desk", "Alpha Desk"]),
        ({"name": "Gamma"}, ["Gamma"]),
        ({"name": "gamma"}, []),
        ({"search": "DESK"}, ["beta desk", "Alpha Desk"]),
        ({"provider": "cartesia"}, ["Gamma", "Alpha Desk"]),
        ({"provider": "scripted"}, ["Gamma", "beta desk", "Alpha Desk"]),
        ({"provider": "gladia"}, []),
        ({"provider": "openai", "search": "beta"}, ["beta desk"]),
        ({"metadata.team": "ops"}, ["Alpha Desk"]),
        ({"metadata[team]": "sales"}, ["beta desk"]),
        ({"metadata.floor": "3"}, ["beta desk", "Alpha Desk"]),
        ({"metadata.vip": "true"}, ["Alpha Desk"]),
        ({"metadata.team": "ops", "metadata.floor": "4"}, []),
        ({"metadata.odd.key": "x"}, ["Gamma"]),
        ({"metadata.nothing": "x"}, []),
        ({"order": "created_at"}, ["Alpha Desk", "beta desk", "Gamma"]),
        ({"order": "-updated_at"}, ["Gamma", "beta desk", "Alpha Desk"]),
    ],
)
def test_a_list_can_be_narrowed_and_ordered(
    api: APIClient, bots: None, asked: dict[str, str], found: list[str]
) -> None:
    assert names(api, **asked) == found


def test_a_changed_bot_is_found_by_what_it_is_now(api: APIClient) -> None:
    bot = make(api, "Old", {"team": "ops"})
    api.patch(
        f"{URL}/{bot}", {"metadata": {"team": "sales"}, "config": {"tts": {"provider": "rime"}}}
    )
    assert names(api, **{"metadata.team": "ops"}) == []
    assert names(api, **{"metadata.team": "sales"}) == ["Old"]
    assert names(api, provider="rime") == ["Old"]


@pytest.mark.parametrize("order", ["name", "-name", "created_at", "-created_at", "-updated_at"])
def test_pages_hold_every_row_once_whatever_rows_have_in_common(api: APIClient, order: str) -> None:
    made = {make(api, name) for name in ("", "", "", "", "a", "a", "b")}
    seen: list[str] = []
    url = f"{URL}?page_size=2&order={order}"
    last = ""
    while url:
        page = api.get(url).json()
        seen += [found["id"] for found in page["results"]]
        last, url = url, page["next"]
    assert len(seen) == len(made)
    assert set(seen) == made
    back: list[str] = []
    url = last
    while url:
        page = api.get(url).json()
        back = [found["id"] for found in page["results"]] + back
        url = page["previous"]
    assert back == seen


def test_a_row_that_arrives_moves_no_page(api: APIClient) -> None:
    first = [make(api, name) for name in "abcd"]
    page = api.get(f"{URL}?page_size=2").json()
    make(api, "new")
    after = api.get(page["next"]).json()
    assert [found["id"] for found in after["results"]] == [first[1], first[0]]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"order": "size"}, "order"),
        ({"provider": "nobody"}, "provider"),
        ({"search": "a\0b"}, "search"),
        ({"metadata.a": "x" * 201}, "metadata.a"),
        ({"metadata.a\0b": "x"}, "metadata.a\0b"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"page_size": "0"}, "page_size"),
        ({f"metadata.k{number}": "x" for number in range(6)}, "metadata"),
    ],
)
def test_a_bad_question_is_named(api: APIClient, asked: dict[str, str], field: str) -> None:
    answer = api.get(URL, asked)
    assert answer.status_code == 400
    assert field in answer.json()["fields"]


def test_the_catalogue_can_be_narrowed_to_a_kind(api: APIClient) -> None:
    found = api.get("/providers?kind=tts").json()["results"]
    assert {provider["kind"] for provider in found} == {"tts"}
    assert api.get("/providers?kind=ears").status_code == 400


def test_a_model_nobody_knows_is_accepted_with_a_warning(api: APIClient) -> None:
    body = {**BODY, "config": {**BODY["config"], "llm": {"provider": "openai", "prompt": "Hi."}}}
    body["config"]["llm"]["model"] = "gpt-99"
    answer = api.post(URL, body)
    assert answer.status_code == 201
    assert any(text.startswith("config.llm.model: gpt-99") for text in answer.json()["warnings"])
