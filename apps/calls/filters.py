"""What a list of calls may be narrowed to."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import ValidationError

from apps.calls.models import Call
from apps.core.metadata import metadata_filtered

LONGEST = 200


def calls_filtered(calls: QuerySet[Call], asked: QueryDict) -> QuerySet[Call]:
    """Narrow the list. Raises ValidationError, by parameter."""
    given = {name: str(text) for name, text in asked.items() if name != "cursor"}
    for name, text in given.items():
        if "\0" in name + text or len(text) > LONGEST:
            raise ValidationError({name: [f"Up to {LONGEST} characters, none of them null."]})
    for name, (lookup, read) in _FILTERS.items():
        if name in given:
            try:
                calls = calls.filter(**{lookup: read(given[name])})
            except ValueError as exc:
                raise ValidationError({name: [str(exc)]}) from None
    return metadata_filtered(calls, given)


def _one_of(values: list[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in values:
            raise ValueError(f"One of {', '.join(values)}.")
        return text

    return read


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ValueError("A bot's id is a UUID.") from None


def _number(text: str) -> str:
    # A + that nobody has escaped arrives as a space.
    return f"+{text[1:]}" if text.startswith(" ") else text


def _time(text: str) -> datetime:
    try:
        found = parse_datetime(text.replace(" ", "+"))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError("ISO 8601 with an offset, such as 2026-01-31T12:00:00Z.")
    return found


_FILTERS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "config_id": ("config_id", _id),
    "status": ("status", _one_of(Call.Status.values)),
    "direction": ("direction", _one_of(Call.Direction.values)),
    "medium": ("medium", _one_of(Call.Medium.values)),
    "call_sid": ("call_sid", str),
    "from": ("from_number", _number),
    "to": ("to_number", _number),
    "started_after": ("started_at__gt", _time),
    "started_before": ("started_at__lt", _time),
}
