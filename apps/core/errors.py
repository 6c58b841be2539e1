"""One envelope for every error: ``{"error", "info", "fields", "request_id"}``.

error: a stable name to program against. info: a sentence for people. fields: what is wrong, by
the path of the field in the body, such as ``config.tts.voice``; empty where no field is to blame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.settings import api_settings

from apps.core.logs import request_id

Fields = dict[str, list[str]]
# The path of a complaint about the body as a whole.
BODY = "body"

_NAMES = {
    400: "invalid-request-error",
    401: "authentication-error",
    403: "forbidden-error",
    404: "not-found-error",
    405: "method-not-allowed-error",
    406: "not-acceptable-error",
    409: "conflict-error",
    411: "length-required-error",
    412: "precondition-failed-error",
    413: "payload-too-large-error",
    414: "uri-too-long-error",
    415: "unsupported-media-type-error",
    416: "range-not-satisfiable-error",
    422: "unprocessable-error",
    429: "rate-limit-error",
    503: "unavailable-error",
}


class NotJson(APIException):
    """The body cannot be read as JSON, or not as JSON that we can store."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_detail = "The body is not JSON."
    default_code = "json-parsing-error"


class PayloadTooLarge(APIException):
    """The body is longer than we read."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."
    default_code = "payload-too-large-error"


class PreconditionFailed(APIException):
    """``If-Match`` names another version than the current one."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "If-Match does not name the current version; read it again."
    default_code = "precondition-failed-error"


class Conflict(APIException):
    """The request is fine, but not in the present state of things."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "This is not possible now."
    default_code = "conflict-error"


class Unprocessable(APIException):
    """The request is well formed, but contradicts an earlier one."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = "This cannot be processed."
    default_code = "unprocessable-error"


def error_name(status_code: int) -> str:
    """Return the stable name of an error that has none of its own."""
    return _NAMES.get(
        status_code, "server-error" if status_code >= 500 else "invalid-request-error"
    )


def envelope(
    status_code: int,
    info: str,
    *,
    error: str = "",
    fields: Mapping[str, list[str]] | None = None,
    members: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the body of an error answer. members: what this kind of error says besides."""
    return {
        **(members or {}),
        "error": error or error_name(status_code),
        "info": info,
        "fields": dict(fields or {}),
        "request_id": request_id.get(),
    }


def fields_flatten(detail: Any, path: str = "") -> Fields:
    """Flatten DRF's nested complaints to ``{"config.tts.voice": ["…"]}``."""
    found: Fields = {}
    for where, text in _complaints(detail, path):
        found.setdefault(where or BODY, []).append(text)
    return found


def _complaints(detail: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            whole = name == api_settings.NON_FIELD_ERRORS_KEY
            yield from _complaints(inner, path if whole else _join(path, str(name)))
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            nested = isinstance(inner, dict | list)
            yield from _complaints(inner, _join(path, str(position)) if nested else path)
    else:
        yield path, str(detail)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
