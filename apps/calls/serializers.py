"""A call as clients see it. Read-only: calls change through services, never by PATCH."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.calls.models import Call, CallEvent, Turn


def _stage(help_text: str) -> serializers.FloatField:
    return serializers.FloatField(required=False, help_text=help_text)


class StagesSerializer(serializers.Serializer[Any]):
    """The parts of the gap before an answer, in ms; they add up to latency_ms.

    A stage that this answer did not go through is left out.
    """

    endpointing = _stage("End of speech to the end of the turn.")
    transcription = _stage("To the transcript.")
    model = _stage("To the model's first token.")
    sentence = _stage("To the first whole sentence.")
    voice = _stage("To the voice's first audio.")
    line = _stage("To the first audio sent.")


class TurnSerializer(serializers.ModelSerializer[Turn]):
    """What one side said between two changes of speaker."""

    latency_ms = serializers.FloatField(
        allow_null=True, read_only=True, help_text="End of the caller's speech to the first audio."
    )
    stages_ms = StagesSerializer(allow_null=True, read_only=True)

    class Meta:
        model = Turn
        fields = (
            "role",
            "source",
            "text_said",
            "text_heard",
            "interrupted",
            "started_at",
            "ended_at",
            "latency_ms",
            "stages_ms",
            "prompt_tokens",
            "completion_tokens",
        )
        read_only_fields = fields

    def to_representation(self, instance: Turn) -> dict[str, Any]:
        shown = super().to_representation(instance)
        return {**shown, "stages_ms": instance.stages_ms or None}


class CallEventSerializer(serializers.ModelSerializer[CallEvent]):
    """Something else that happened."""

    data = serializers.DictField(read_only=True)  # type: ignore[assignment]

    class Meta:
        model = CallEvent
        fields = ("at", "kind", "data")
        read_only_fields = fields


class CallSerializer(serializers.ModelSerializer[Call]):
    """A call, without its words."""

    config_id = serializers.UUIDField(read_only=True)
    config_version = serializers.IntegerField(source="version.number", read_only=True)
    duration_s = serializers.SerializerMethodField()

    class Meta:
        model = Call
        fields: tuple[str, ...] = (
            "id",
            "config_id",
            "config_version",
            "call_sid",
            "stream_sid",
            "direction",
            "status",
            "end_reason",
            "started_at",
            "ended_at",
            "duration_s",
        )
        read_only_fields = fields

    def get_duration_s(self, call: Call) -> float | None:
        """Seconds from the stream's start to its end; null while it runs."""
        if call.ended_at is None:
            return None
        return round((call.ended_at - call.started_at).total_seconds(), 3)


class CallDetailSerializer(CallSerializer):
    """A call with its turns and events."""

    turns = TurnSerializer(many=True, read_only=True)
    events = CallEventSerializer(many=True, read_only=True)

    class Meta(CallSerializer.Meta):
        fields: tuple[str, ...] = (*CallSerializer.Meta.fields, "turns", "events")
        read_only_fields = fields
