"""The native face's bodies. Input serializers validate and fill in defaults; they store nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.bots.slot_serializers import LlmSerializer, SttSerializer, TtsSerializer
from apps.bots.tools import (
    TRANSFER_CALL,
    TRANSFER_NAME,
    TransferSerializer,
    WebhookToolSerializer,
)
from apps.bots.variables import NAME, RESERVED, TYPES, value_clean
from apps.core.parsers import unstorable_refuse
from apps.core.serializers import (
    FlagField,
    NumberField,
    PatternField,
    StrictSerializer,
    TextField,
    WholeNumberField,
)
from apps.voice.settings import TurnSettings

LINE_CHARACTERS = 1_000
NAME_CHARACTERS = 200
METADATA_BYTES = 16_384
# Both exclusive, as Daily Bots had them: 60 < max_duration < 86400.
DURATION_ABOVE_S, DURATION_BELOW_S, DURATION_DEFAULT_S = 60, 86_400, 600

VARIABLES = 200
TRANSFERS = 50
GRACE_DEFAULT_S, GRACE_LONGEST_S = 24 * 3_600, 30 * 24 * 3_600

_TURNS = asdict(TurnSettings())
_VARIABLE = re.compile(NAME)
_TRANSFER = re.compile(TRANSFER_NAME)
NUMBER = r"\+[1-9][0-9]{1,14}|anonymous|"
_E164 = "A number in E.164 form, such as +4930123456."


class TurnsSerializer(StrictSerializer):
    """When a turn starts and ends. Seconds, unless said otherwise."""

    confidence = NumberField(default=_TURNS["confidence"], min_value=0, max_value=1)
    start_secs = NumberField(default=_TURNS["start_secs"], min_value=0.03, max_value=2)
    stop_secs = NumberField(default=_TURNS["stop_secs"], min_value=0.1, max_value=3)
    min_volume = NumberField(default=_TURNS["min_volume"], min_value=0, max_value=1)
    interruptible = FlagField(default=_TURNS["interruptible"])
    idle_secs = NumberField(
        default=_TURNS["idle_secs"],
        min_value=0,
        max_value=600,
        help_text="Silence before the caller is asked whether they are there; 0 never asks.",
    )
    patience_secs = NumberField(
        default=_TURNS["patience_secs"],
        min_value=0.1,
        max_value=10,
        help_text=(
            "Silence that ends an utterance although a recogniser that listens to the words "
            "expects more. Only such recognisers wait beyond stop_secs."
        ),
    )
    filler_secs = NumberField(
        default=_TURNS["filler_secs"],
        min_value=0,
        max_value=10,
        help_text="Silence, while tools run, after which the bot asks for patience; 0 never does.",
    )


class GreetingSerializer(StrictSerializer):
    """How the call opens: the bot waits, says a text, or lets the model begin."""

    mode = serializers.ChoiceField(choices=("none", "text", "model"), default="none")
    text = TextField(default="", allow_blank=True, max_length=LINE_CHARACTERS)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["mode"] != "text":
            return {**attrs, "text": ""}
        if not attrs["text"].strip():
            raise serializers.ValidationError({"text": ["Say how to greet."]})
        return attrs


class LinesSerializer(StrictSerializer):
    """Sentences of the platform, in the bot's own words."""

    apology = TextField(required=False, max_length=LINE_CHARACTERS)
    failure = TextField(required=False, max_length=LINE_CHARACTERS)
    filler = TextField(
        required=False,
        allow_blank=True,
        max_length=LINE_CHARACTERS,
        help_text="Said while a tool takes long; empty: nothing is.",
    )
    idle = TextField(required=False, max_length=LINE_CHARACTERS)
    goodbye = TextField(required=False, max_length=LINE_CHARACTERS)
    time_up = TextField(required=False, max_length=LINE_CHARACTERS)
    resume = TextField(
        required=False,
        max_length=LINE_CHARACTERS,
        help_text="Said when the line broke and the caller was brought back.",
    )


class RecordingSettingsSerializer(StrictSerializer):
    """Whether calls are recorded, and what callers are told of it."""

    enabled = FlagField(default=False)
    consent = TextField(
        default="",
        allow_blank=True,
        max_length=LINE_CHARACTERS,
        help_text="Said before anything else in a call that is recorded; empty: nothing is.",
    )


@extend_schema_field({"type": ["string", "number", "boolean"]})
class ValueField(serializers.JSONField):
    """A variable's value; of which type, its declaration says."""


class VariableSerializer(StrictSerializer):
    """A variable that texts may use as ``{{name}}``."""

    type = serializers.ChoiceField(choices=TYPES, default="string")
    default = ValueField(
        required=False, allow_null=True, help_text="Used where a call brings no value."
    )
    description = TextField(required=False, allow_blank=True, max_length=LINE_CHARACTERS)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        default = attrs.get("default")
        if default is not None and value_clean(attrs["type"], default) is None:
            raise serializers.ValidationError({"default": [f"Not of the type {attrs['type']}."]})
        return attrs


class VariablesField(serializers.DictField):
    """Variables by name."""

    child = VariableSerializer()

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            wrong = {
                str(name): ["A letter or _, then letters, digits and _; not account, bot or token."]
                for name in data
                if not _VARIABLE.fullmatch(str(name)) or name in RESERVED
            }
            if wrong:
                raise serializers.ValidationError(wrong)
            if len(data) > VARIABLES:
                raise serializers.ValidationError([f"No more than {VARIABLES}."])
        return super().to_internal_value(data)


class TransfersField(serializers.DictField):
    """Whom callers may be put through to, by the name that the model chooses."""

    child = TransferSerializer()

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            wrong = {
                str(name): ["Up to 64 letters, digits, _ and -."]
                for name in data
                if not _TRANSFER.fullmatch(str(name))
            }
            if wrong:
                raise serializers.ValidationError(wrong)
            if len(data) > TRANSFERS:
                raise serializers.ValidationError([f"No more than {TRANSFERS}."])
        return super().to_internal_value(data)


class ConfigSerializer(StrictSerializer):
    """What the bot is. Every part but ``llm.prompt`` has a default."""

    llm = LlmSerializer()
    tts = TtsSerializer(required=False)
    stt = SttSerializer(required=False)
    turns = TurnsSerializer(required=False)
    greeting = GreetingSerializer(required=False)
    lines = LinesSerializer(required=False)
    recording = RecordingSettingsSerializer(required=False)
    variables = VariablesField(required=False, help_text="What texts may use as {{name}}.")
    transfers = TransfersField(
        required=False, help_text="Whom callers may be put through to, by name."
    )

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            parts: dict[str, Any] = {
                "tts": {},
                "stt": {},
                "turns": {},
                "greeting": {},
                "recording": {},
            }
            data = {**parts, "lines": {}, "variables": {}, "transfers": {}, **data}
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        named = {tool["name"] for tool in attrs["llm"]["tools"]}
        if attrs["transfers"] and TRANSFER_CALL in named:
            why = f"{TRANSFER_CALL} is built in where config.transfers names somebody."
            raise serializers.ValidationError({"llm": {"tools": [why]}})
        return attrs

    def to_representation(self, instance: Any) -> Any:
        return instance


class TwilioConfigBodySerializer(StrictSerializer):
    """A bot configuration, in the native form."""

    # What an answer has besides: a client may change an answer and PUT it back.
    ignored = frozenset(
        ("id", "version", "status", "published_version", "latest_version", "twiml")
        + ("stream_url", "voice_url", "warnings", "created_at", "updated_at")
    )

    name = TextField(default="", allow_blank=True, max_length=NAME_CHARACTERS)
    config = ConfigSerializer()
    max_duration = WholeNumberField(
        default=DURATION_DEFAULT_S,
        min_value=DURATION_ABOVE_S + 1,
        max_value=DURATION_BELOW_S - 1,
        help_text="Seconds after which a call is ended.",
    )
    metadata = serializers.DictField(default=dict, help_text="Yours; up to 16 kB of JSON.")
    webhook_tools = serializers.DictField(
        child=WebhookToolSerializer(),
        default=dict,
        help_text="Where tools are answered, by the name each has in config.llm.tools.",
    )
    api_keys = serializers.DictField(
        child=TextField(max_length=8_192),
        required=False,
        write_only=True,
        help_text="Vendors' keys by provider. Left out of a PUT, the stored ones stay.",
    )

    def validate_metadata(self, value: dict[str, Any]) -> dict[str, Any]:
        if len(json.dumps(value).encode()) > METADATA_BYTES:
            raise serializers.ValidationError(f"More than {METADATA_BYTES} bytes of JSON.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        # Texts may have been JSON inside JSON, which the parser could not look into.
        unstorable_refuse(attrs)
        declared = {tool["name"] for tool in attrs["config"]["llm"]["tools"]}
        homeless = {
            name: ["config.llm.tools has no tool of this name."]
            for name in attrs["webhook_tools"]
            if name not in declared
        }
        if homeless:
            raise serializers.ValidationError({"webhook_tools": homeless})
        return attrs


class VariableValuesField(serializers.Field[Any, Any, Any, Any]):
    """Values of variables, as a JSON object in a query parameter."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        try:
            found = orjson.loads(data)
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise serializers.ValidationError("A JSON object of names and values.")
        wrong = {
            name: ["A text, a number, true or false, under a variable's name."]
            for name, value in found.items()
            if not isinstance(value, str | int | float) or not _VARIABLE.fullmatch(name)
        }
        if wrong:
            raise serializers.ValidationError(wrong)
        unstorable_refuse(found)
        return found

    def to_representation(self, value: Any) -> Any:
        return value


class RenderQuerySerializer(serializers.Serializer[Any]):
    """For whom to render."""

    to = PatternField(NUMBER, expected=_E164, default="", allow_blank=True)
    variables = VariableValuesField(default=dict)
    version = serializers.IntegerField(required=False, min_value=1, max_value=999_999_999)

    def get_fields(self) -> dict[str, Any]:
        # A keyword of Python names no attribute.
        number = PatternField(NUMBER, expected=_E164, default="", allow_blank=True)
        return {"from": number, **super().get_fields()}


class RotateSerializer(StrictSerializer):
    """How to rotate a stream token."""

    grace_seconds = WholeNumberField(
        default=GRACE_DEFAULT_S,
        min_value=0,
        max_value=GRACE_LONGEST_S,
        help_text="How long the old token still opens streams.",
    )


class ToolTrialSerializer(StrictSerializer):
    """What to try a tool with."""

    arguments = serializers.DictField(
        help_text="As a model would fill in the tool's parameters; checked against them."
    )

    def validate_arguments(self, value: dict[str, Any]) -> dict[str, Any]:
        unstorable_refuse(value)
        return value
