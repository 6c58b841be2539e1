"""The slots of the native face: ears, mind and voice, each with whoever takes over if it fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers

from apps.bots.slots import DEFAULT_PROVIDER, SlotError, fallbacks_complain, slot_read
from apps.bots.tools import ToolSerializer
from apps.core.serializers import PatternField, StrictSerializer, TextField
from apps.providers.base import Kind

PROMPT_CHARACTERS = 100_000
MESSAGES = 200
TOOLS = 64
# More than these the caller would not wait for.
FALLBACKS = 3


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
            if complaints := fallbacks_complain(self.kind, slot, values.get("fallbacks", ())):
                wrong = {"fallbacks": complaints, **wrong}
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


def _language() -> PatternField:
    return PatternField(
        r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*",
        expected="A language tag, such as en or de-CH.",
        required=False,
    )


def _provider(**how: Any) -> TextField:
    return TextField(help_text="See GET /providers.", **how)


def _model() -> TextField:
    return TextField(required=False, allow_blank=True, max_length=200)


def _fallbacks(child: SlotSerializer) -> serializers.ListField:
    return serializers.ListField(
        child=child,
        required=False,
        max_length=FALLBACKS,
        help_text="Who takes over when the slot fails or stays mute, in this order.",
    )


class LlmFallbackSerializer(SlotSerializer):
    """Who thinks when the slot's own model fails; prompt, messages and tools stay."""

    kind = "llm"

    provider = _provider()
    model = _model()


class TtsFallbackSerializer(SlotSerializer):
    """Who speaks when the slot's own voice fails."""

    kind = "tts"

    provider = _provider()
    model = _model()
    voice = TextField(required=False, allow_blank=True, max_length=200)
    language = _language()


class SttFallbackSerializer(SlotSerializer):
    """Who listens when the slot's own ears fail."""

    kind = "stt"

    provider = _provider()
    model = _model()
    language = _language()


class MessageSerializer(StrictSerializer):
    """A message of the history that the model starts with."""

    role = serializers.ChoiceField(choices=("system", "user", "assistant"))
    content = TextField(max_length=PROMPT_CHARACTERS)


class LlmSerializer(SlotSerializer):
    """The mind: which language model, with what prompt. Options stand beside these."""

    kind = "llm"

    provider = _provider(default=DEFAULT_PROVIDER)
    model = _model()
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
    fallbacks = _fallbacks(LlmFallbackSerializer())

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


class TtsSerializer(SlotSerializer):
    """The voice. Options stand beside these."""

    kind = "tts"

    provider = _provider(default=DEFAULT_PROVIDER)
    model = _model()
    voice = TextField(required=False, allow_blank=True, max_length=200)
    language = _language()
    fallbacks = _fallbacks(TtsFallbackSerializer())


class SttSerializer(SlotSerializer):
    """The ears. Options stand beside these."""

    kind = "stt"

    provider = _provider(default=DEFAULT_PROVIDER)
    model = _model()
    language = _language()
    fallbacks = _fallbacks(SttFallbackSerializer())
