"""A call as clients see it. Read-only: calls change through services, never by PATCH."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.bots.serializers import ValueField
from apps.bots.tools import TRANSFER_MODES
from apps.calls.models import Call, CallEvent, Transfer, Turn
from apps.calls.recordings.serializers import RecordingSerializer
from apps.providers.base import KINDS


def _stage(help_text: str) -> serializers.FloatField:
    return serializers.FloatField(required=False, help_text=help_text)


class StagesSerializer(serializers.Serializer[Any]):
    """The parts of the gap before an answer, in ms; they add up to latency_ms.

    A stage that this answer did not go through is left out.
    """

    endpointing = _stage("End of speech to the end of the turn.")
    transcription = _stage("To the transcript.")
    tools = _stage("To the end of the tools that the answer waited for.")
    model = _stage("To the model's first token.")
    sentence = _stage("To the first whole sentence.")
    voice = _stage("To the voice's first audio.")
    line = _stage("To the first audio sent.")
    lead_in = _stage("Silence that the voice's audio begins with.")
    network = _stage("To the caller's ear and back, by Twilio's marks.")


def _usd(help_text: str) -> serializers.DecimalField:
    return serializers.DecimalField(
        max_digits=16, decimal_places=8, allow_null=True, read_only=True, help_text=help_text
    )


def _count(help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(read_only=True, help_text=help_text)


def _tokens(help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(read_only=True, allow_null=True, help_text=help_text)


def _seconds(help_text: str) -> serializers.FloatField:
    return serializers.FloatField(read_only=True, help_text=help_text)


class TurnSerializer(serializers.ModelSerializer[Turn]):
    """What one side said between two changes of speaker, and what it used of the providers.

    Usage is since this side's turn before. Tokens are null where the model told none, and a lower
    bound where llm_requests_counted is less than llm_requests.
    """

    latency_ms = serializers.FloatField(
        allow_null=True,
        read_only=True,
        help_text="End of the caller's speech to the first sound heard.",
    )
    stages_ms = StagesSerializer(allow_null=True, read_only=True)
    llm_requests = _count("Requests to the language model.")
    llm_requests_counted = _count("Of these, those whose tokens are known.")
    prompt_tokens = _tokens("All that went in.")
    completion_tokens = _tokens("All that came out.")
    cached_tokens = _tokens("Of those that went in, from the vendor's cache.")
    cache_write_tokens = _tokens("Of those that went in, written to the cache for a charge.")
    audio_prompt_tokens = _tokens("Of those that went in, sound.")
    audio_completion_tokens = _tokens("Of those that came out, sound.")
    cached_audio_tokens = _tokens("Of those that went in, sound from the cache.")
    tts_characters = _count("Handed to the voice, in sentences that were then cut too.")
    tts_audio_s = _seconds("Audio that came of them.")
    stt_stream_s = _seconds("Audio of the caller's side, speech or not.")
    stt_speech_s = _seconds("Of this, the utterances.")
    cost_usd = _usd("What the turn cost; null if a part of it is unknown.")

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
            "llm_requests",
            "llm_requests_counted",
            "prompt_tokens",
            "completion_tokens",
            "cached_tokens",
            "cache_write_tokens",
            "audio_prompt_tokens",
            "audio_completion_tokens",
            "cached_audio_tokens",
            "tts_characters",
            "tts_audio_s",
            "stt_stream_s",
            "stt_speech_s",
            "cost_usd",
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


class CostSerializer(serializers.Serializer[Any]):
    """What one slot of one stream used, and cost."""

    stream_sid = serializers.CharField()
    slot = serializers.ChoiceField(choices=KINDS)
    provider = serializers.CharField()
    model = serializers.CharField(
        help_text="The one that was asked for; empty: the provider's own."
    )
    units = serializers.DictField(
        child=serializers.FloatField(), help_text="What was used, by the names of a turn's usage."
    )
    cost_usd = _usd("At the prices when the call began; null if nobody knows them.")
    is_complete = serializers.BooleanField(
        help_text="false: at least so much, for a part of it is unknown."
    )


class CallTransferSerializer(serializers.ModelSerializer[Transfer]):
    """A caller put through to a human, followed to the end of the human's leg."""

    mode = serializers.ChoiceField(choices=TRANSFER_MODES, read_only=True)
    status = serializers.CharField(read_only=True, help_text="Of the human's leg, as a call's.")
    reason = serializers.CharField(
        read_only=True, help_text="Why the two were not connected, or parted at once."
    )
    leg_call_sid = serializers.CharField(
        source="leg_sid", read_only=True, help_text="Twilio's id of the human's leg."
    )
    bridged_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="When the two were connected."
    )

    class Meta:
        model = Transfer
        fields = (
            *("id", "to", "mode", "summary", "status", "reason", "leg_call_sid"),
            *("started_at", "answered_at", "bridged_at", "ended_at"),
        )
        read_only_fields = fields


class CallErrorSerializer(serializers.Serializer[Any]):
    """Why a call was not made, or broke off."""

    code = serializers.CharField(source="error_code", help_text="Twilio's number; empty: none.")
    reason = serializers.CharField(source="end_reason", help_text="One word, for programs.")
    hint = serializers.CharField(source="error", help_text="What to do about it.")


class CallSerializer(serializers.ModelSerializer[Call]):
    """A call, without its words."""

    config_id = serializers.UUIDField(read_only=True)
    config_version = serializers.IntegerField(source="version.number", read_only=True)
    medium = serializers.ChoiceField(
        choices=Call.Medium.choices,
        read_only=True,
        help_text="A browser's call was made in the dashboard; Twilio has no part in it.",
    )
    to = serializers.CharField(source="to_number", read_only=True, help_text="Empty: not known.")
    answered_by = serializers.CharField(
        read_only=True, help_text="Twilio's verdict where machine detection was asked for."
    )
    answered_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="From when on somebody could speak."
    )
    scheduled_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="When it is, or was, to be dialled."
    )
    duration_s = serializers.FloatField(
        read_only=True,
        allow_null=True,
        help_text="Seconds from when somebody could speak to the end; null while it runs.",
    )
    billed_s = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="Seconds by Twilio's count."
    )
    error = serializers.SerializerMethodField()
    metadata = serializers.DictField(read_only=True, help_text="Yours.")
    cost_usd = _usd("The sum of what is known; null before the end, or if nothing is.")
    cost_is_complete = serializers.BooleanField(
        read_only=True, help_text="false: the call costs more than that, or has not ended."
    )

    class Meta:
        model = Call
        fields: tuple[str, ...] = (
            "id",
            "config_id",
            "config_version",
            "call_sid",
            "stream_sid",
            "direction",
            "medium",
            "from",
            "to",
            "status",
            "end_reason",
            "error",
            "started_at",
            "scheduled_at",
            "answered_at",
            "answered_by",
            "ended_at",
            "duration_s",
            "billed_s",
            "metadata",
            "cost_usd",
            "cost_is_complete",
        )
        read_only_fields = fields

    # A keyword of Python names no attribute.
    locals()["from"] = serializers.CharField(
        source="from_number", read_only=True, help_text="Empty: not known."
    )

    @extend_schema_field(CallErrorSerializer(allow_null=True))
    def get_error(self, call: Call) -> dict[str, Any] | None:
        return dict(CallErrorSerializer(call).data) if call.error else None


class CallDetailSerializer(CallSerializer):
    """A call with its variables, costs, turns and events."""

    variables = serializers.DictField(
        child=ValueField(), read_only=True, help_text="What it brings for the bot's texts."
    )
    costs = CostSerializer(
        many=True,
        read_only=True,
        help_text="A line for each slot, and for each provider that served in it.",
    )
    turns = TurnSerializer(many=True, read_only=True)
    transfers = CallTransferSerializer(many=True, read_only=True)
    events = CallEventSerializer(many=True, read_only=True)
    recording = RecordingSerializer(
        read_only=True, allow_null=True, default=None, help_text="null if it was not recorded."
    )

    class Meta(CallSerializer.Meta):
        fields: tuple[str, ...] = (
            *CallSerializer.Meta.fields,
            *("variables", "costs", "turns", "transfers", "events", "recording"),
        )
        read_only_fields = fields
