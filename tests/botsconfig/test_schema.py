"""The OpenAPI document: valid by somebody else's rules, and rendered without a CDN."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from openapi_spec_validator import validate


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("schema") / "schema.json"
    options = {"format": "openapi-json", "file": str(path), "fail_on_warn": True}
    call_command("spectacular", **options)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_it_is_valid_openapi_3_1(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")
    validate(schema)


def test_every_operation_has_an_id_and_documents_a_missing_key(schema: dict[str, Any]) -> None:
    operations = [
        found
        for path, methods in schema["paths"].items()
        for found in methods.values()
        if path.startswith(("/twilio-config", "/providers"))
    ]
    assert len(operations) == 13
    for operation in operations:
        assert operation["operationId"]
        assert operation["security"] == [{"apiKey": []}]
        assert "401" in operation["responses"]


def test_what_no_view_declares_stands_in_every_operation(schema: dict[str, Any]) -> None:
    components = schema["components"]
    keyed = [
        (method, found)
        for methods in schema["paths"].values()
        for method, found in methods.items()
        if any(found.get("security", []))
    ]
    assert keyed
    for method, operation in keyed:
        responses = operation["responses"]
        assert {"401", "429"} <= responses.keys()
        assert "Retry-After" in responses["429"]["headers"]
        assert "Error" in json.dumps(responses["429"]["content"])
        for response in responses.values():
            assert {"X-Request-Id", "RateLimit", "RateLimit-Policy"} <= response["headers"].keys()
        reference = {"$ref": "#/components/parameters/IdempotencyKey"}
        assert (reference in operation.get("parameters", [])) is (method == "post")
        assert method != "post" or {"409", "422"} <= responses.keys()
    assert components["parameters"]["IdempotencyKey"]["name"] == "Idempotency-Key"


def test_a_path_stands_there_once(schema: dict[str, Any]) -> None:
    assert not [path for path in schema["paths"] if path.endswith("/")]


def test_options_of_providers_are_typed(schema: dict[str, Any]) -> None:
    model = schema["components"]["schemas"]["LlmRequest"]["properties"]
    assert model["temperature"]["type"] == "number"
    assert "fault" not in model


def test_it_is_served_and_rendered(client: Client, db: None) -> None:
    assert client.get("/schema", {"format": "json"}).json()["openapi"].startswith("3.1")
    page = client.get("/docs")
    assert page.status_code == 200
    assert "cdn" not in page.content.decode().lower()


def test_the_pages_files_are_served_from_here(client: Client, db: None) -> None:
    path = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css"
    answer = client.get(path)
    assert answer.status_code == 200
    answer.close()
