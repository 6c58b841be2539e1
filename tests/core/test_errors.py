"""One envelope for every error, from wherever it comes."""

from __future__ import annotations

import logging

import pytest
from django.test import Client, RequestFactory
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.bots import viewsets
from apps.core.errors import fields_flatten
from apps.core.views import bad_request, server_error

ENVELOPE = {"error", "info", "fields", "request_id"}


def test_it_names_a_field_by_its_whole_path() -> None:
    detail = {"config": {"llm": {"tools": [{}, {"name": ["Bad."]}]}, "tts": ["Wrong."]}}
    assert fields_flatten(detail) == {
        "config.llm.tools.1.name": ["Bad."],
        "config.tts": ["Wrong."],
    }


def test_a_complaint_about_the_whole_is_the_bodys() -> None:
    assert fields_flatten({"non_field_errors": ["Bad."]}) == {"body": ["Bad."]}


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("path", ["/nowhere", "/twilio-config/1", "/healthz/x/"])
def test_an_unknown_path_is_answered_in_json(settings: Settings, path: str, debug: bool) -> None:
    settings.DEBUG = debug
    answer = Client().get(path)
    assert answer.status_code == 404
    assert answer.json().keys() == ENVELOPE
    assert answer.json()["error"] == "not-found-error"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_so_is_one_that_is_written_to(method: str) -> None:
    answer = Client(enforce_csrf_checks=True).generic(method, "/twilio-config/1")
    assert answer.status_code == 404
    assert answer.json()["error"] == "not-found-error"


def test_a_wrong_method_is_a_405(api: APIClient) -> None:
    answer = api.delete("/twilio-config")
    assert answer.status_code == 405
    assert answer.json()["error"] == "method-not-allowed-error"
    assert "POST" in answer["Allow"]


def test_another_content_type_is_a_415(api: APIClient) -> None:
    answer = api.post("/twilio-config", "a=b", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert answer.json()["error"] == "unsupported-media-type-error"


def test_an_unknown_host_is_a_400_in_json() -> None:
    answer = Client(headers={"host": "evil.example.org"}).get("/healthz/x")
    assert answer.status_code == 400
    assert answer.json().keys() == ENVELOPE


def test_a_bug_is_a_500_that_says_nothing_but_is_logged(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(viewsets, "catalogue_present", broken)
    api.raise_request_exception = False
    with caplog.at_level(logging.ERROR):
        answer = api.get("/providers")
    assert answer.status_code == 500
    assert answer.json()["error"] == "server-error"
    assert "secret" not in answer.content.decode()
    assert any(record.exc_info for record in caplog.records)


def test_test_clients_hear_of_a_bug(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(viewsets, "catalogue_present", broken)
    with pytest.raises(RuntimeError):
        api.get("/providers")


def test_djangos_own_failures_wear_the_envelope() -> None:
    request = RequestFactory().get("/")
    assert bad_request(request).status_code == 400
    assert server_error(request).status_code == 500


def test_it_takes_over_a_sane_request_id(client: Client) -> None:
    answer = client.get("/nowhere", headers={"x-request-id": "order-12345"})
    assert answer["X-Request-Id"] == answer.json()["request_id"] == "order-12345"


@pytest.mark.parametrize("offered", ["", "short", "a b c d e f g", "x" * 200, "café-12345"])
def test_it_makes_a_request_id_where_none_is_sane(client: Client, offered: str) -> None:
    answer = client.get("/healthz", headers={"x-request-id": offered})
    assert answer["X-Request-Id"] != offered
    assert len(answer["X-Request-Id"]) == 32
