"""GET /providers."""

from __future__ import annotations

from pytest_django import Settings
from rest_framework.test import APIClient


def test_the_catalogue_says_what_a_config_may_name(api: APIClient) -> None:
    found = {(item["kind"], item["name"]): item for item in api.get("/providers").json()["results"]}
    local = found["tts", "local"]
    assert local["voices"][0]["id"] == "heart"
    assert local["options"]["properties"]["speed"]["maximum"] == 2
    gladia = found["stt", "gladia"]
    assert gladia["available"] is not bool(gladia["missing"])
    assert gladia["needs_key"]


def test_the_catalogue_says_what_each_provider_is_like(api: APIClient) -> None:
    found = {(item["kind"], item["name"]): item for item in api.get("/providers").json()["results"]}
    for item in found.values():
        assert item["billing"] in ("tokens", "characters", "stream", "speech", "nothing")
        assert isinstance(item["limits"], list)
        assert {"closed", "source", "speaks"} <= item.keys()
    assert [price["free"] for price in found["tts", "local"]["prices"]] == [True]


def test_the_catalogue_says_what_models_cost_and_who_says_so(
    api: APIClient, settings: Settings
) -> None:
    settings.PRICES = {"llm/openai/gpt-5": {"prompt": 0.5}, "llm/openai/ours": {"prompt": 2}}
    (openai,) = (
        item
        for item in api.get("/providers?kind=llm").json()["results"]
        if item["name"] == "openai"
    )
    lines = {price["model"]: price for price in openai["prices"]}
    listed, ours = lines["gpt-5-mini"], lines["gpt-5"]
    assert listed["usd"] == {"prompt": "0.25", "cached_prompt": "0.025", "completion": "2.00"}
    assert listed["source"].startswith("https://")
    assert listed["read"] == "2026-11-26"
    assert (ours["usd"], ours["source"], ours["read"]) == ({"prompt": "0.5"}, "", None)
    assert lines["ours"]["usd"] == {"prompt": "2"}


def test_test_providers_are_listed_only_where_they_are_enabled(
    api: APIClient, settings: Settings
) -> None:
    def names() -> set[str]:
        return {item["name"] for item in api.get("/providers").json()["results"]}

    assert "scripted" in names()
    settings.ENABLE_TEST_PROVIDERS = False
    assert "scripted" not in names()


def test_a_config_cannot_name_a_test_provider_elsewhere(api: APIClient, settings: Settings) -> None:
    settings.ENABLE_TEST_PROVIDERS = False
    body = {"config": {"llm": {"prompt": "x", "provider": "scripted"}}}
    answer = api.post("/twilio-config", body)
    assert "config.llm.provider" in answer.json()["fields"]
