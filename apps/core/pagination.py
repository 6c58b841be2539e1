"""Pages of a list by a keyset cursor: rows that arrive meanwhile move nothing, and the millionth
page costs what the first does.

DRF's own cursor compares the first ordering field alone and counts rows of equal value, up to a
thousand: a list ordered by name, where many have none, would never end.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from django.core.exceptions import ValidationError as FieldError
from django.db.models import Model, Q
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

if TYPE_CHECKING:
    from rest_framework.views import APIView

BAD_CURSOR = "Take it from next or previous."


@dataclass(frozen=True, slots=True)
class Cursor:
    """Between two rows: after the row with these values, or before it."""

    value: Any
    tie: Any
    backward: bool

    def text(self) -> str:
        raw = orjson.dumps([self.value, self.tie, self.backward], default=str)
        return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


class NewestFirstPagination(BasePagination):
    """``{"next", "previous", "results"}``; next and previous are whole URLs or null.

    ordering: a field and a tie-breaker that is unique, in the same direction; an index over both
    makes every page equally quick. None of their values is null.
    """

    ordering: tuple[str, str] = ("-created_at", "-id")
    page_size = 50
    max_page_size = 200

    def get_ordering(self, request: Request) -> tuple[str, str]:
        """Return the ordering of this request."""
        return self.ordering

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        size = self.get_page_size(request)
        first, tie = self.get_ordering(request)
        self._names = first.lstrip("-"), tie.lstrip("-")
        cursor = _read(request.query_params.get("cursor"), queryset.model, self._names)
        backward = cursor is not None and cursor.backward
        descending = first.startswith("-") != backward
        rows = queryset.order_by(*(f"-{name}" if descending else name for name in self._names))
        if cursor is not None:
            rows = rows.filter(_beyond(self._names, cursor, descending))
        found = list(rows[: size + 1])
        more, page = len(found) > size, found[:size]
        if backward:
            page.reverse()
        after = more or backward
        before = more if backward else cursor is not None
        self._set_links(request, page, after=after, before=before)
        return page

    def get_page_size(self, request: Request) -> int:
        asked = request.query_params.get("page_size")
        if asked is None:
            return self.page_size
        if not (asked.isascii() and asked.isdigit() and 1 <= int(asked[:9]) <= self.max_page_size):
            raise ValidationError(
                {"page_size": [f"A whole number from 1 to {self.max_page_size}."]}
            )
        return int(asked)

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self._next, "previous": self._previous, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri", "example": None}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": "cursor",
                "in": "query",
                "required": False,
                "description": "Of the page, from next or previous.",
                "schema": {"type": "string"},
            },
            {
                "name": "page_size",
                "in": "query",
                "required": False,
                "description": "Rows in a page.",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": self.max_page_size,
                    "default": self.page_size,
                },
            },
        ]

    def _set_links(self, request: Request, page: list[Any], *, after: bool, before: bool) -> None:
        self._next: str | None = self._link(request, page[-1], False) if after and page else None
        self._previous: str | None = self._link(request, page[0], True) if before and page else None

    def _link(self, request: Request, row: Model, backward: bool) -> str:
        value, tie = (getattr(row, name) for name in self._names)
        if isinstance(value, datetime):
            value = value.isoformat()
        text = Cursor(value, tie, backward).text()
        return replace_query_param(request.build_absolute_uri(), "cursor", text)


def _beyond(names: tuple[str, str], cursor: Cursor, descending: bool) -> Q:
    """Rows beyond the cursor. The first half bounds the index, the second breaks the tie."""
    name, tie = names
    way = "lt" if descending else "gt"
    return Q(**{f"{name}__{way}e": cursor.value}) & (
        Q(**{f"{name}__{way}": cursor.value}) | Q(**{f"{tie}__{way}": cursor.tie})
    )


def _read(text: str | None, model: type[Model], names: tuple[str, str]) -> Cursor | None:
    """Read a cursor. Anybody may have made it: every value is checked by its field."""
    if text is None:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        value, tie, backward = orjson.loads(raw)
        found = Cursor(
            _checked(model, names[0], value), _checked(model, names[1], tie), backward is True
        )
    except (binascii.Error, FieldError, ValueError, TypeError, OverflowError):
        raise ValidationError({"cursor": [BAD_CURSOR]}) from None
    return found


def _checked(model: type[Model], name: str, value: Any) -> Any:
    if not isinstance(value, str | int) or isinstance(value, bool) or "\0" in str(value):
        raise ValueError(name)
    field: Any = model._meta.get_field(name)
    found = field.to_python(value)
    if found is None or (isinstance(found, datetime) and found.tzinfo is None):
        raise ValueError(name)
    if isinstance(found, int) and abs(found) >= 2**63:
        raise ValueError(name)
    return found
