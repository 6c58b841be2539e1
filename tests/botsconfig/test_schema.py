"""The OpenAPI document: valid by somebody else's rules, whole, and rendered without a CDN."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from tests.support.openapi import Operation, document, examples, operations

# Every error is in one of these.
ENVELOPES = [
    {"$ref": "#/components/schemas/Error"},
    {"$ref": "#/components/schemas/DailyBotsError"},
]
# Bodies that may be left out, because every member has a default.
OPTIONAL_BODIES = {"api_key_rotate", "twilio_config_rotate_token", "webhook_rotate_secret"}
# Every member of it may be left out, all of them too.
OPTIONAL_BODIES |= {"phone_number_repair"}
# One of two.
OPTIONAL_BODIES |= {"calls_transfer"}
# Where anything may stand, and why. A * is any member that is not named.
ANYTHING = {
    "LlmRequest.*": "a provider's own options; GET /providers has their schemas",
    "TtsRequest.*": "as above",
    "SttRequest.*": "as above",
    "Llm.*": "as above",
    "Tts.*": "as above",
    "Stt.*": "as above",
    "PatchedLlmRequest.*": "as above",
    "PatchedTtsRequest.*": "as above",
    "PatchedSttRequest.*": "as above",
    "LlmFallbackRequest.*": "as above",
    "TtsFallbackRequest.*": "as above",
    "SttFallbackRequest.*": "as above",
    "LlmFallback.*": "as above",
    "TtsFallback.*": "as above",
    "SttFallback.*": "as above",
    "Provider.options.*": "the JSON Schema of those options",
    "Tool.parameters.*": "the JSON Schema of a function's arguments",
    "ToolRequest.parameters.*": "as above",
    "ToolTrialRequest.arguments.*": "as above",
    "ToolAsked.body.*": "what was sent to a webhook",
    "TwilioConfig.metadata.*": "the client's own",
    "TwilioConfigBodyRequest.metadata.*": "as above",
    "PatchedTwilioConfigBodyRequest.metadata.*": "as above",
    "Account.defaults.*": "a slot of a bot, as in its config",
    "PatchedAccountBodyRequest.defaults.*": "as above",
    "Call.metadata.*": "the client's own",
    "CallDetail.metadata.*": "as above",
    "DialRequest.metadata.*": "as above",
    "Payload.data.*": "every kind of event has its own; GET /webhooks/kinds has examples",
    "CallEvent.data.*": "every kind of event has its own",
    "DailyBotsOptionRequest.value": "every option has its own",
    "DailyBotsOption.value": "as above",
    "Change.before": "whatever the member held",
    "Change.after": "as above",
    "AuditEntry.before.*": "as above",
    "AuditEntry.after.*": "as above",
}
every_operation = pytest.mark.parametrize("operation", operations(), ids=str)


def test_it_is_valid_openapi_3_1() -> None:
    assert document()["openapi"].startswith("3.1")
    validate(document())


def test_it_is_made_without_a_warning(tmp_path: Any) -> None:
    call_command("spectacular", file=str(tmp_path / "schema.yaml"), fail_on_warn=True)


@every_operation
def test_an_operation_says_what_clients_are_made_of(operation: Operation) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation.said["operationId"])
    assert len(operation.said["tags"]) == 1
    assert operation.said["summary"]
    assert operation.said["security"] == [{"apiKey": []}]


def test_what_no_view_declares_stands_in_every_operation() -> None:
    schema = document()
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


def test_an_operation_id_stands_there_once() -> None:
    ids = [operation.said["operationId"] for operation in operations()]
    assert len(set(ids)) == len(ids)


@every_operation
def test_it_documents_its_errors_in_the_envelope(operation: Operation) -> None:
    errors = dict(operation.answers("4"))
    wanted = {"401", "403", "406"} | ({"404"} if operation.takes_parameters else set())
    assert errors.keys() >= wanted | ({"400", "413", "415"} if operation.bodies() else set())
    for content in errors.values():
        assert content["application/json"]["schema"] in ENVELOPES


@every_operation
def test_bodies_and_answers_have_examples_that_fit(operation: Operation) -> None:
    described = [*operation.bodies().values()]
    for _, content in operation.answers("2"):
        described += content.values()
    for one in described:
        if one["schema"].get("format") == "binary":
            continue  # sound has no example in JSON
        assert examples(one)
        validator = Draft202012Validator({**one["schema"], "components": document()["components"]})
        for example in examples(one):
            validator.validate(example)


@every_operation
def test_a_body_that_is_documented_must_be_sent(operation: Operation) -> None:
    left_out = operation.said["operationId"] in OPTIONAL_BODIES
    required = operation.said.get("requestBody", {"required": not left_out}).get("required", False)
    assert required is not left_out


def test_a_patch_may_hold_null_at_every_depth_but_for_what_must_be() -> None:
    schemas = document()["components"]["schemas"]
    assert "null" in schemas["PatchedTurnsRequest"]["properties"]["stop_secs"]["type"]
    tools = schemas["PatchedTwilioConfigBodyRequest"]["properties"]["webhook_tools"]
    assert {"type": "null"} in tools["additionalProperties"]["oneOf"]
    body = schemas["PatchedTwilioConfigBodyRequest"]["properties"]
    assert body["config"] == {"$ref": "#/components/schemas/PatchedConfigRequest"}
    patches = [schema for name, schema in schemas.items() if name.startswith("Patched")]
    assert not [schema for schema in patches if "required" in schema]


def test_every_schema_says_something() -> None:
    silent = {
        where
        for name, schema in document()["components"]["schemas"].items()
        for where in _silent(schema, name)
    }
    assert silent - ANYTHING.keys() == set()
    assert ANYTHING.keys() - silent == set()


def test_parameters_say_something() -> None:
    for operation in operations():
        for parameter in operation.said.get("parameters", []):
            if "$ref" not in parameter:
                assert not list(_silent(parameter["schema"], parameter["name"]))


def _silent(schema: Any, where: str) -> Iterator[str]:
    """Yield the places of schemas that anything fits."""
    if not isinstance(schema, dict):
        return
    if not schema.keys() - {"description", "default", "readOnly", "writeOnly"}:
        yield where
    if schema.get("type") == "array" and "items" not in schema:
        yield f"{where}[]"
    for name, member in schema.get("properties", {}).items():
        yield from _silent(member, f"{where}.{name}")
    yield from _silent(schema.get("additionalProperties"), f"{where}.*")
    yield from _silent(schema.get("items"), f"{where}[]")
    for kind in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(kind, []):
            yield from _silent(part, where)


def test_a_list_without_pages_is_described_as_the_object_that_it_is() -> None:
    paths = document()["paths"]
    for path, name in (("/credentials", "Credentials"), ("/v1/twilio-config", "DailyBotsList")):
        said = paths[path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert said == {"$ref": f"#/components/schemas/{name}"}


def test_null_fits_what_may_be_anything() -> None:
    # One of "anything" and "null" would be both.
    schemas = document()["components"]["schemas"]
    for name, member in (("Change", "before"), ("Change", "after"), ("DailyBotsOption", "value")):
        Draft202012Validator(schemas[name]["properties"][member]).validate(None)


def test_names_and_scopes_are_typed() -> None:
    schemas = document()["components"]["schemas"]
    names = schemas["ConfigRequest"]["properties"]["variables"]["propertyNames"]
    assert [name for name in ("guest", "token", "a b") if re.search(names["pattern"], name)] == [
        "guest"
    ]
    scopes = schemas["ApiKeyBodyRequest"]["properties"]["scopes"]
    assert (scopes["items"], scopes["minItems"]) == ({"$ref": "#/components/schemas/ScopesEnum"}, 1)


def test_a_path_stands_there_once() -> None:
    assert not [path for path in document()["paths"] if path.endswith("/")]


def test_options_of_providers_are_typed() -> None:
    model = document()["components"]["schemas"]["LlmRequest"]["properties"]
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
