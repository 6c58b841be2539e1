"""Which form an answer has: JSON, unless somebody asks for what we do not have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

# What nearly every client sends. DRF takes headers apart to find that these mean the first.
_ANYTHING = frozenset({"*/*", "application/json", "application/json, */*"})


class JsonFirst(DefaultContentNegotiation):
    """DRF's own negotiation, with a short way for the usual headers."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        renderers = list(renderers)
        first = renderers[0]
        if (
            first.media_type == "application/json"
            and request.headers.get("Accept", "*/*") in _ANYTHING
            and not format_suffix
            and "format" not in request.query_params
        ):
            return first, first.media_type
        found: Any = super().select_renderer(request, renderers, format_suffix)
        return (found[0], found[1])
