"""Bodies of a bot's tools: what the model may call, and where the call is answered."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from rest_framework import serializers

from apps.core.serializers import FlagField, PatternField, StrictSerializer, TextField

# What OpenAI and Anthropic both allow.
_NAME = r"[A-Za-z0-9_-]{1,64}"
# A header's name is a token (RFC 9110, 5.6.2); its value must not start another header.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_HEADER_VALUE = re.compile(r"[^\r\n]*")


def _no_parameters() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


class ToolSerializer(StrictSerializer):
    """A function the model may call. parameters: JSON Schema of its arguments."""

    name = PatternField(_NAME, expected="Up to 64 letters, digits, _ and -.")
    description = TextField(default="", allow_blank=True, max_length=4_000)
    parameters = serializers.DictField(default=_no_parameters)


class WebhookToolSerializer(StrictSerializer):
    """Where a tool is answered. custom_headers are write-only: left out of a PUT, they stay."""

    url = TextField(max_length=2_000)
    method = serializers.ChoiceField(choices=("POST", "GET", "PUT", "PATCH"), default="POST")
    streaming = FlagField(default=False)
    custom_headers = serializers.DictField(
        child=TextField(allow_blank=True, max_length=4_096), required=False, write_only=True
    )

    def validate_url(self, value: str) -> str:
        try:
            parts = urlsplit(value)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            fits = False
        if not fits or any(character.isspace() for character in value):
            raise serializers.ValidationError("A whole http or https URL.")
        return value

    def validate_custom_headers(self, value: dict[str, str]) -> dict[str, str]:
        for name, content in value.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(content):
                raise serializers.ValidationError("Header names are tokens, values single lines.")
        return value
