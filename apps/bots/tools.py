"""Bodies of a bot's tools: what the model may call, and where the call is answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from rest_framework import serializers

from apps.core.serializers import (
    FlagField,
    NumberField,
    PatternField,
    StrictSerializer,
    TextField,
)
from apps.voice.ports import ToolTerms

# What OpenAI and Anthropic both allow.
_NAME = r"[A-Za-z0-9_-]{1,64}"
# A header's name is a token (RFC 9110, 5.6.2); its value must not start another header.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
# What frames the request, or says where it goes.
_OUR_HEADERS = frozenset(
    ("connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te")
    + ("trailer", "transfer-encoding", "upgrade")
)
# Ends the call, and puts it through: no tool of a bot's own has these names.
END_CALL, TRANSFER_CALL = "end_call", "transfer_call"

TIMEOUT_DEFAULT_S, TIMEOUT_SHORTEST_S, TIMEOUT_LONGEST_S = ToolTerms().timeout_s, 0.5, 120.0
FILLER_CHARACTERS = 1_000
# warm: the human is told something before the caller is connected.
TRANSFER_MODES = ("cold", "warm")
# What a human is told before a caller is put through.
SUMMARY_CHARACTERS = 1_000
NUMBER_OR_SIP = r"\+[1-9][0-9]{6,14}|sips?:[A-Za-z0-9._~%!$&'()*+,;=:@?/-]{3,400}"
TRANSFER_NAME = r"[A-Za-z0-9_-]{1,64}"


def _no_parameters() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


class ToolSerializer(StrictSerializer):
    """A function the model may call. parameters: JSON Schema of its arguments.

    OpenAI's form (``{"type": "function", "function": {…}}``) and Anthropic's (``input_schema``) are
    read as well.
    """

    name = PatternField(_NAME, expected="Up to 64 letters, digits, _ and -.")
    description = TextField(default="", allow_blank=True, max_length=4_000)
    parameters = serializers.DictField(default=_no_parameters)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(_flat(data))

    def validate_parameters(self, value: dict[str, Any]) -> dict[str, Any]:
        if value.get("type", "object") != "object":
            raise serializers.ValidationError({"type": ["Arguments are an object."]})
        return value


def _flat(tool: Any) -> Any:
    """Return a tool of either vendor's form in ours. What is none is left to be refused."""
    if not isinstance(tool, Mapping):
        return tool
    function = tool.get("function")
    if isinstance(function, Mapping):
        inner = {name: value for name, value in function.items() if name != "strict"}
        outer = {name: value for name, value in tool.items() if name not in ("function", "type")}
        return {**inner, **outer}
    found = dict(tool)
    if "input_schema" in found and "parameters" not in found:
        found["parameters"] = found.pop("input_schema")
        if found.get("type") == "custom":
            del found["type"]
    return found


class WebhookToolSerializer(StrictSerializer):
    """Where a tool is answered. custom_headers are write-only: left out of a PUT, they stay."""

    url = TextField(max_length=2_000)
    method = serializers.ChoiceField(choices=("POST", "GET", "PUT", "PATCH"), default="POST")
    streaming = FlagField(
        default=False, help_text="The answer is a stream of actions, a JSON object a line."
    )
    timeout_secs = NumberField(
        default=TIMEOUT_DEFAULT_S,
        min_value=TIMEOUT_SHORTEST_S,
        max_value=TIMEOUT_LONGEST_S,
        help_text="How long the whole answer may take.",
    )
    filler = TextField(
        default="",
        allow_blank=True,
        max_length=FILLER_CHARACTERS,
        help_text="What the bot says while it waits; left out, lines.filler.",
    )
    custom_headers = serializers.DictField(
        child=TextField(allow_blank=True, max_length=4_096), required=False, write_only=True
    )

    def validate_url(self, value: str) -> str:
        try:
            parts = urlsplit(value)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            httpx.URL(value)  # who will ask has a mind of its own
        except (ValueError, httpx.InvalidURL):
            fits = False
        if not fits or any(character.isspace() for character in value):
            raise serializers.ValidationError("A whole http or https URL.")
        return value

    def validate_custom_headers(self, value: dict[str, str]) -> dict[str, str]:
        for name, content in value.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(content):
                raise serializers.ValidationError("Header names are tokens, values single lines.")
            if name.lower() in _OUR_HEADERS:
                raise serializers.ValidationError("Host, and what frames the request, are ours.")
        return value


class TransferSerializer(StrictSerializer):
    """Somebody the bot may put a caller through to."""

    to = PatternField(
        NUMBER_OR_SIP, expected="A number in E.164 form, such as +4930123456, or a SIP address."
    )
    description = TextField(
        default="",
        allow_blank=True,
        max_length=FILLER_CHARACTERS,
        help_text="When to choose it, for the model.",
    )
    mode = serializers.ChoiceField(
        choices=TRANSFER_MODES,
        default="cold",
        help_text="warm: they hear a summary of the call, from the model, before the caller does.",
    )


def tool_warnings(document: Mapping[str, Any]) -> Iterator[str]:
    """Say which of a bot's tools its model is never offered, and why."""
    hooks = document["webhook_tools"]
    for name in (tool["name"] for tool in document["llm"]["tools"]):
        if name == END_CALL:
            if name in hooks:
                yield f"webhook_tools.{name}: {name} is built in; this one is never asked."
        elif name not in hooks:
            yield (
                f"config.llm.tools: {name} is not offered to the model: webhook_tools does not say "
                "where it is answered."
            )
