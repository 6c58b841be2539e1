"""OpenAPI: what every request meets on its way: errors, limits, retries, ids."""

from __future__ import annotations

from typing import Any

from apps.core.schema import Schema, operations

_ENVELOPE: Schema = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
_HEADERS: Schema = {
    "X-Request-Id": {
        "description": "Names the request in the server's log; taken over from the request's.",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": "The limit of the key: q requests in w seconds. None where there is none.",
        "schema": {"type": "string", "examples": ['"default";q=600;w=60']},
    },
    "RateLimit": {
        "description": "What is left of it: r requests, for t seconds.",
        "schema": {"type": "string", "examples": ['"default";r=599;t=60']},
    },
    "Retry-After": {
        "description": "Seconds to wait.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "Idempotency-Replayed": {
        "description": "This is the first answer to the Idempotency-Key, once more.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
_IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and request answer the first answer again, for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
# What any operation that asks for a key may answer, and a POST besides. A view's own words go
# before these.
_ERRORS = {
    "401": "The API key is missing or not valid.",
    "403": "The API key may not do this.",
    "406": "The answer is asked for in another form than JSON.",
    "429": "Too many requests with this key, or failed ones.",
}
_ERRORS_OF_POST = {
    "400": "The request is not valid.",
    "409": "Not now; or the Idempotency-Key is still in flight.",
    "422": "The Idempotency-Key stands for another request.",
}
_KEYED = ("X-Request-Id", "RateLimit-Policy", "RateLimit")


def shared_behaviour(result: Schema, **kwargs: Any) -> Schema:
    """Document errors, limits, retries and request ids of every operation that needs a key.

    What a view says of a status itself stays as it is.
    """
    components = result.setdefault("components", {})
    components.setdefault("headers", {}).update(_HEADERS)
    components.setdefault("parameters", {})["IdempotencyKey"] = _IDEMPOTENCY_KEY
    for method, operation in operations(result):
        if any(operation.get("security", [])):
            _add_errors(method, operation)
            _add_headers(method, operation["responses"])
            if method == "post":
                operation.setdefault("parameters", []).append(
                    {"$ref": "#/components/parameters/IdempotencyKey"}
                )
    return result


def _add_errors(method: str, operation: Schema) -> None:
    responses: Schema = operation["responses"]
    # As the view's own: not every face has the envelope.
    content = responses.get("401", {}).get("content", _ENVELOPE)
    missing = _ERRORS | _ERRORS_OF_POST if method == "post" else _ERRORS
    for code, description in missing.items():
        responses.setdefault(code, {"description": description, "content": content})
    operation["responses"] = dict(sorted(responses.items()))


def _add_headers(method: str, responses: Schema) -> None:
    for code, response in responses.items():
        names = list(_KEYED)
        if method == "post" and code.startswith("2"):
            names.append("Idempotency-Replayed")
        if code == "429" or (method == "post" and code == "409"):
            names.append("Retry-After")
        references = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        response.setdefault("headers", {}).update(references)
