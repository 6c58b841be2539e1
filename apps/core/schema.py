"""OpenAPI: which operations there are, and what their bodies are. Errors: ``schema_http``."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from rest_framework import serializers

Endpoint = tuple[str, str, str, Any]
Schema = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
_COMPONENTS = "#/components/schemas/"
_METHODS = frozenset({"get", "put", "post", "delete", "patch"})


class ErrorSerializer(serializers.Serializer[Any]):
    """Every error of the API."""

    error = serializers.CharField(help_text="A stable name to program against.")
    info = serializers.CharField(help_text="A sentence for people.")
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()),
        help_text="What is wrong, by the field's path.",
    )
    request_id = serializers.CharField(help_text="As in the answer's X-Request-Id.")
    reason = serializers.CharField(required=False, help_text="Of a twilio-error: which one.")
    twilio_code = serializers.IntegerField(
        required=False, help_text="Of a twilio-error: Twilio's number for it, or 0."
    )
    call_id = serializers.UUIDField(required=False, help_text="Of a call that failed.")


class StrictExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Says that a strict serializer takes no member but its own."""

    target_class = "apps.core.serializers.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> Schema:
        found: Schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        # Ignored members are left out: generated clients need no types for what means nothing.
        return {**found, "additionalProperties": False}


def one_spelling(endpoints: list[Endpoint], **kwargs: Any) -> list[Endpoint]:
    """Keep one path of those that are the same operation: no trailing slash, no ``/v1/bots``."""
    return [
        endpoint
        for endpoint in endpoints
        if not endpoint[0].endswith("/") and not endpoint[0].startswith("/v1/bots/")
    ]


def operations(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield every operation of a document, with its method."""
    for item in schema["paths"].values():
        for method, operation in item.items():
            if method in _METHODS:
                yield method, operation


def whole_bodies(result: Schema, **kwargs: Any) -> Schema:
    """Say that a body must be sent where it has members that must be, or in a patch.

    And give its examples to every content type that it may have.
    """
    components: Schema = result["components"]["schemas"]
    for method, operation in operations(result):
        body = operation.get("requestBody", {})
        content: Schema = body.get("content", {})
        examples = next((one["examples"] for one in content.values() if "examples" in one), None)
        for found in content.values():
            if examples is not None:
                found.setdefault("examples", examples)
            name = found["schema"].get("$ref", "").removeprefix(_COMPONENTS)
            whole = components.get(name, {})
            if method == "patch" or whole.get("required") or "oneOf" in whole:
                body["required"] = True
    return result


def merge_patches(result: Schema, **kwargs: Any) -> Schema:
    """Describe bodies of PATCH after RFC 7396: at every depth members may lack, or be null.

    A ``Patched…`` component describes one level only: those below it get twins of their own.
    """
    components: Schema = result["components"]["schemas"]
    waiting = [
        body["schema"]["$ref"].removeprefix(_COMPONENTS)
        for _, operation in operations(result)
        for media_type, body in operation.get("requestBody", {}).get("content", {}).items()
        if media_type == MERGE_PATCH and "$ref" in body["schema"]
    ]
    done: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in done:
            done.add(name)
            waiting += _patch_describe(components, name)
    result["components"]["schemas"] = dict(sorted(components.items()))
    return result


def _patch_describe(components: Schema, name: str) -> list[str]:
    """Rewrite the component as a patch; returns the components below, made if need be."""
    patched = components[name]
    patched.pop("required", None)
    # What a whole must have, no patch can remove.
    needed = components.get(name.removeprefix("Patched"), {}).get("required", ())
    below: list[str] = []
    for member, found in patched.get("properties", {}).items():
        # Defaults are for what is left out of a whole; a patch leaves it as it is.
        patch = {key: value for key, value in found.items() if key != "default"}
        if patch.get("additionalProperties"):
            inner = _twin(components, patch["additionalProperties"], below)
            patch["additionalProperties"] = _nullable(inner)
        patch = _twin(components, patch, below)
        patched["properties"][member] = patch if member in needed else _nullable(patch)
    return below


def _twin(components: Schema, found: Schema, below: list[str]) -> Schema:
    target = _target(found)
    if not target:
        return found
    twin = f"Patched{target}"
    components.setdefault(twin, deepcopy(components[target]))
    below.append(twin)
    return {**found, "$ref": _COMPONENTS + twin}


def _target(found: Schema) -> str:
    name = str(found.get("$ref", "")).removeprefix(_COMPONENTS)
    return "" if name.endswith("Enum") else name


def _nullable(found: Schema) -> Schema:
    type_ = found.get("type")
    if isinstance(type_, str) and "enum" not in found:
        return {**found, "type": [type_, "null"]}
    if isinstance(type_, list):
        return {**found, "type": sorted({*type_, "null"})}
    if not found:
        return found
    described = {key: found.pop(key) for key in ("description",) if key in found}
    return {"oneOf": [found, {"type": "null"}], **described}
