"""Reads a JSON body, and refuses what could not be stored or walked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from apps.core.errors import BODY, NotJson, PayloadTooLarge

# Deeper than any JSON Schema of a tool, and far from where a walk over it runs out of stack.
MAX_DEPTH = 64


class JsonParser(BaseParser):
    """``application/json``: strict (no NaN, no number beyond a double), at most 64 levels deep.

    Raises NotJson, PayloadTooLarge, or ValidationError for a NUL character, naming its field:
    PostgreSQL stores none.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise PayloadTooLarge(f"The body is longer than {limit} bytes.")
        try:
            return json_read(raw)
        except orjson.JSONDecodeError as exc:
            raise NotJson(f"The body is not JSON: {exc.msg} at character {exc.pos}.") from None


class MergePatchParser(JsonParser):
    """``application/merge-patch+json``, RFC 7396."""

    media_type = "application/merge-patch+json"


def body_of(request: Request) -> Any:
    """Return the body. Raises NotJson if there is none: DRF takes that for an empty object."""
    if not int(request.META.get("CONTENT_LENGTH") or 0):
        raise NotJson("Send a body.")
    return request.data


def json_read(text: str | bytes) -> Any:
    """Return what a text of JSON says, read as strictly as every body.

    Raises orjson.JSONDecodeError, a ValueError: for half a surrogate pair and a number beyond a
    double too. Raises NotJson or ValidationError for what ``unstorable_refuse`` refuses.
    """
    found = orjson.loads(text)
    unstorable_refuse(found)
    return found


def unstorable_refuse(body: Any, path: str = "") -> None:
    """Refuse a NUL character anywhere, and more than MAX_DEPTH levels.

    Raises NotJson or ValidationError.
    """
    waiting: list[tuple[str, Any, int]] = [(path, body, 0)]
    while waiting:
        where, value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise NotJson(f"The body is more than {MAX_DEPTH} levels deep.")
        if isinstance(value, str) and "\0" in value:
            raise ValidationError({where or BODY: ["Null characters are not allowed."]})
        for name, inner in _members(value):
            if "\0" in name:
                raise ValidationError({where or BODY: ["Null characters are not allowed."]})
            waiting.append((f"{where}.{name}" if where else name, inner, depth + 1))


def _members(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(str(name), inner) for name, inner in value.items()]
    if isinstance(value, list):
        return [(str(position), inner) for position, inner in enumerate(value)]
    return []
