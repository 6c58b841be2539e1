"""The native face's bodies. Input serializers validate and fill in defaults; they store nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

from rest_framework import serializers

from apps.bots.slots import DEFAULT_PROVIDER, SlotError, slot_read
from apps.bots.tools import ToolSerializer, WebhookToolSerializer
from apps.core.parsers import unstorable_refuse
from apps.core.serializers import (
    FlagField,
    NumberField,
    PatternField,
    StrictSerializer,
    TextField,
    WholeNumberField,
)
from apps.providers.base import Kind
from apps.voice.settings import TurnSettings

PROMPT_CHARACTERS = 100_000
LINE_CHARACTERS = 1_000
NAME_CHARACTERS = 200
METADATA_BYTES = 16_384
MESSAGES = 200
TOOLS = 64
# Both exclusive, as Daily Bots had them: 60 < max_duration < 86400.
DURATION_ABOVE_S, DURATION_BELOW_S, DURATION_DEFAULT_S = 60, 86_400, 600

_TURNS = asdict(TurnSettings())


class SlotSerializer(serializers.Serializer[Any]):
    """One slot. The provider's options stand flat beside provider and model."""

    kind: ClassVar[Kind]

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        options = {name: value for name, value in data.items() if name not in self.fields}
        values, wrong = self._own(data)
        try:
            slot = slot_read(self.kind, {"provider": DEFAULT_PROVIDER, **values}, options)
        except SlotError as exc:
            wrong = {**exc.fields, **wrong}
            slot = {}
        if wrong:
            raise serializers.ValidationError(wrong)
        return {**values, **slot}

    def _own(self, data: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            return super().to_internal_value(data), {}
        except serializers.ValidationError as exc:
            # The provider is still looked at, so that one answer names all that is wrong.
            named = data.get("provider", DEFAULT_PROVIDER)
            kept = {"provider": named} if isinstance(named, str) else {}
            return kept, exc.detail if isinstance(exc.detail, dict) else {}

    def to_representation(self, instance: Any) -> Any:
        return instance


class MessageSerializer(StrictSerializer):
    """A message of the history that the model starts with."""

    role = serializers.ChoiceField(choices=("system", "user", "assistant"))
    content = TextField(max_length=PROMPT_CHARACTERS)


class LlmSerializer(SlotSerializer):
    """The mind: which language model, with what prompt. Options stand beside these."""

    kind = "llm"

    provider = TextField(default=DEFAULT_PROVIDER, help_text="See GET /providers.")
    model = TextField(required=False, allow_blank=True, max_length=200)
    prompt = TextField(
        required=False,
        max_length=PROMPT_CHARACTERS,
        help_text="Required, unless messages begins with a system message.",
    )
    messages = serializers.ListField(
        child=MessageSerializer(),
        required=False,
        max_length=MESSAGES,
        help_text="History after the prompt.",
    )
    tools = serializers.ListField(child=ToolSerializer(), required=False, max_length=TOOLS)

    def to_internal_value(self, data: Any) -> Any:
        values = super().to_internal_value(data)
        messages = list(values.get("messages", []))
        prompt = values.get("prompt")
        if prompt is None and messages and messages[0]["role"] == "system":
            prompt = messages.pop(0)["content"]
        if prompt is None:
            raise serializers.ValidationError({"prompt": ["Say what the bot is to do."]})
        return {**values, "prompt": prompt, "messages": messages, "tools": self._tools(values)}

    def _tools(self, values: Mapping[str, Any]) -> list[Any]:
        tools = list(values.get("tools", []))
        names = [tool["name"] for tool in tools]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise serializers.ValidationError({"tools": [f"Named twice: {', '.join(twice)}."]})
        return tools


def _language() -> PatternField:
    return PatternField(
        r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*",
        expected="A language tag, such as en or de-CH.",
        required=False,
    )


class TtsSerializer(SlotSerializer):
    """The voice. Options stand beside these."""

    kind = "tts"

    provider = TextField(default=DEFAULT_PROVIDER, help_text="See GET /providers.")
    model = TextField(required=False, allow_blank=True, max_length=200)
    voice = TextField(required=False, allow_blank=True, max_length=200)
    language = _language()


class SttSerializer(SlotSerializer):
    """The ears. Options stand beside these."""

    kind = "stt"

    provider = TextField(default=DEFAULT_PROVIDER, help_text="See GET /providers.")
    model = TextField(required=False, allow_blank=True, max_length=200)
    language = _language()


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
    idle = TextField(required=False, max_length=LINE_CHARACTERS)
    goodbye = TextField(required=False, max_length=LINE_CHARACTERS)
    time_up = TextField(required=False, max_length=LINE_CHARACTERS)


class ConfigSerializer(StrictSerializer):
    """What the bot is. Every part but ``llm.prompt`` has a default."""

    llm = LlmSerializer()
    tts = TtsSerializer(required=False)
    stt = SttSerializer(required=False)
    turns = TurnsSerializer(required=False)
    greeting = GreetingSerializer(required=False)
    lines = LinesSerializer(required=False)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            data = {"tts": {}, "stt": {}, "turns": {}, "greeting": {}, "lines": {}, **data}
        return super().to_internal_value(data)

    def to_representation(self, instance: Any) -> Any:
        return instance


class TwilioConfigBodySerializer(StrictSerializer):
    """A bot configuration, in the native form."""

    # What an answer has besides: a client may change an answer and PUT it back.
    ignored = frozenset(
        ("id", "version", "twiml", "stream_url", "voice_url", "warnings")
        + ("created_at", "updated_at")
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


class TwilioConfigSerializer(serializers.Serializer[Any]):
    """A bot configuration as it is answered: the body, and what to do with it."""

    id = serializers.UUIDField(help_text="The Bot ID.")
    name = serializers.CharField()
    version = serializers.IntegerField()
    config = ConfigSerializer()
    max_duration = serializers.IntegerField()
    metadata = serializers.DictField()
    webhook_tools = serializers.DictField(child=WebhookToolSerializer())
    twiml = serializers.CharField(help_text="Paste this into Twilio.")
    stream_url = serializers.CharField()
    voice_url = serializers.CharField(help_text="Or let Twilio ask this URL.")
    warnings = serializers.ListField(
        child=serializers.CharField(), help_text="What keeps the bot from taking calls."
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class DailyBotsOptionSerializer(serializers.Serializer[Any]):
    """One option of a service."""

    name = serializers.CharField(allow_blank=True)
    value = serializers.JSONField(required=False, allow_null=True)


class DailyBotsItemSerializer(serializers.Serializer[Any]):
    """The options of one slot; the list is applied in order."""

    service = serializers.CharField(allow_blank=True, help_text="llm, tts, stt or vad.")
    options = DailyBotsOptionSerializer(many=True, required=False)


class DailyBotsServicesSerializer(serializers.Serializer[Any]):
    """Service names by slot."""

    llm = serializers.CharField()
    tts = serializers.CharField(required=False, help_text="Not for a service that itself speaks.")
    stt = serializers.CharField(required=False, help_text="deepgram, if left out.")


class DailyBotsBodySerializer(serializers.Serializer[Any]):
    """A bot configuration in Daily Bots' form. Describes only: ``apps.bots.dailybots`` reads it."""

    bot_profile = serializers.CharField(help_text="Such as voice_2024_10.")
    services = DailyBotsServicesSerializer()
    config = DailyBotsItemSerializer(many=True)
    max_duration = serializers.IntegerField(
        required=False, min_value=DURATION_ABOVE_S + 1, max_value=DURATION_BELOW_S - 1
    )
    api_keys = serializers.DictField(child=TextField(max_length=8_192), required=False)
    service_options = serializers.DictField(required=False, allow_null=True)
    webhook_tools = serializers.DictField(child=WebhookToolSerializer(), required=False)
