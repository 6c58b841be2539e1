"""OpenAPI: what every request meets on its way: limits, retries, ids."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_HEADERS: Json = {
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
_IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and request answer the first answer again, for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_MEANINGS = {
    "400": "The request is not valid.",
    "401": "The API key is missing or not valid.",
    "409": "Not now; or the Idempotency-Key is still in flight.",
    "422": "The Idempotency-Key stands for another request.",
    "429": "Too many requests with this key, or failed ones.",
}
_KEYED = ("X-Request-Id", "RateLimit-Policy", "RateLimit")


def shared_behaviour(result: Json, generator: Any, **kwargs: Any) -> Json:
    """Document limits, retries and request ids of every operation that needs a key.

    What a view says of a status itself stays as it is.
    """
    components = result.setdefault("components", {})
    components.setdefault("headers", {}).update(_HEADERS)
    components.setdefault("parameters", {})["IdempotencyKey"] = _IDEMPOTENCY_KEY
    for path in result.get("paths", {}).values():
        for method, operation in path.items():
            if method in _METHODS and any(operation.get("security", [])):
                _document(method, operation)
    return result


def _document(method: str, operation: Json) -> None:
    responses: Json = operation["responses"]
    shape = _shape(responses)
    for code, meaning in _MEANINGS.items():
        if method == "post" or code in ("401", "429"):
            responses.setdefault(code, _error(meaning, shape))
    if method == "post":
        operation.setdefault("parameters", []).append(
            {"$ref": "#/components/parameters/IdempotencyKey"}
        )
    for code, response in responses.items():
        _name_headers(response, _KEYED)
        if method == "post" and code.startswith("2"):
            _name_headers(response, ("Idempotency-Replayed",))
        if code == "429" or (method == "post" and code == "409"):
            _name_headers(response, ("Retry-After",))
    operation["responses"] = dict(sorted(responses.items()))


def _shape(responses: Json) -> Json:
    """Return the schema of the view's own errors: not every face has the envelope."""
    content = responses.get("401", {}).get("content", {}).get("application/json", {})
    found: Json = content.get("schema", {"$ref": "#/components/schemas/Error"})
    return found


def _error(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _name_headers(response: Json, names: tuple[str, ...]) -> None:
    for name in names:
        response.setdefault("headers", {})[name] = {"$ref": f"#/components/headers/{name}"}
