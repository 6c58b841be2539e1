"""Pages of a list, newest first, by a cursor: rows that arrive meanwhile move nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

if TYPE_CHECKING:
    from rest_framework.views import APIView


class NewestFirstPagination(CursorPagination):
    """``{"next", "previous", "results"}``; next and previous are whole URLs or null."""

    ordering = ("-created_at", "-id")
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def get_page_size(self, request: Request) -> int:
        asked = request.query_params.get("page_size")
        if asked is None:
            return self.page_size
        if not (asked.isascii() and asked.isdigit() and 1 <= int(asked[:9]) <= self.max_page_size):
            raise ValidationError(
                {"page_size": [f"A whole number from 1 to {self.max_page_size}."]}
            )
        return int(asked)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        bounds = {"minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        for parameter in found:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] = {**parameter["schema"], **bounds}
        return found

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (NotFound, ValueError, OverflowError):
            # DRF's 404 would say that the list does not exist.
            raise ValidationError({"cursor": ["Take it from next or previous."]}) from None

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            # DRF hands a made-up position to the database as it is.
            at = parse_datetime(str(cursor.position))
            if at is None or at.tzinfo is None:
                raise ValueError("no position")
        return cursor
