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
