"""OpenAPI: what every endpoint shares."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

Endpoint = tuple[str, str, str, Any]


class ErrorSerializer(serializers.Serializer[Any]):
    """Every error of the API."""

    error = serializers.CharField(help_text="A stable name to program against.")
    info = serializers.CharField(help_text="A sentence for people.")
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()),
        help_text="What is wrong, by the field's path.",
    )
    request_id = serializers.CharField(help_text="As in the answer's X-Request-Id.")


def one_spelling(endpoints: list[Endpoint], **kwargs: Any) -> list[Endpoint]:
    """Keep one path of those that are the same operation: no trailing slash, no ``/v1/bots``."""
    return [
        endpoint
        for endpoint in endpoints
        if not endpoint[0].endswith("/") and not endpoint[0].startswith("/v1/bots/")
    ]
