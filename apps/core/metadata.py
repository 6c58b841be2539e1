"""Narrows a list by ``metadata``, a JSON column of the client's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model, Q, QuerySet
from django.db.models.fields.json import KeyTransform
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError

KEYS = 5

_Row = TypeVar("_Row", bound=Model)


def metadata_filtered(rows: QuerySet[_Row], asked: Mapping[str, str]) -> QuerySet[_Row]:
    """Keep the rows that have every pair of the query. Raises ValidationError for too many."""
    pairs = list(_pairs(asked))
    if len(pairs) > KEYS:
        raise ValidationError({"metadata": [f"No more than {KEYS} keys."]})
    for key, text in pairs:
        rows = rows.filter(_is(rows.model, key, text))
    return rows


def _pairs(asked: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """``metadata.team=ops`` and, as generated clients spell it, ``metadata[team]=ops``."""
    for name, text in asked.items():
        if name.startswith("metadata."):
            yield name.removeprefix("metadata."), text
        elif name.startswith("metadata[") and name.endswith("]"):
            yield name[len("metadata[") : -1], text


def _is(model: type[Model], key: str, text: str) -> Q:
    """A value is found by its text: ``5`` finds 5 and "5"."""
    values: list[Any] = [text]
    if text in ("true", "false"):
        values.append(text == "true")
    elif text.isascii() and text.removeprefix("-").isdigit() and len(text) < 16:
        values.append(int(text))
    if connection.features.supports_json_field_contains:
        # One that the index over metadata answers.
        found = Q()
        for value in values:
            found |= Q(metadata__contains={key: value})
        return found
    return Q(
        pk__in=model._default_manager.alias(_value=KeyTransform(key, "metadata"))
        .filter(_value__in=values)
        .values("pk")
    )


# Of a list that ``metadata_filtered`` narrows.
PARAMETER = OpenApiParameter(
    "metadata",
    {
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean"]},
        "maxProperties": KEYS,
    },
    style="deepObject",
    explode=True,
    description="`metadata[team]=ops`, or `metadata.team=ops`: a key and its value.",
)
