"""GET /calls and /calls/{id}; and what Twilio asks when a stream is over."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
    extend_schema_view,
)
from rest_framework import mixins, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.serializers import BaseSerializer

from apps.accounts.authentication import account_of
from apps.calls.models import Call
from apps.calls.selectors import calls_of, calls_with_transcript
from apps.calls.serializers import CallDetailSerializer, CallSerializer
from apps.core.pagination import NewestFirstPagination
from apps.core.schema import ErrorSerializer


class NewestCallFirst(NewestFirstPagination):
    """By the time they began."""

    ordering = ("-started_at", "-id")


ERRORS = {401: ErrorSerializer, 404: ErrorSerializer}
_CALL = {
    "id": "95f66db6-69a5-5c78-8015-17d59963a897",
    "config_id": "5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de",
    "config_version": 3,
    "call_sid": "CAe41ac869fc184b71a9db3cd8171fdd77",
    "stream_sid": "MZc646f1441d724c0db67468e505214a09",
    "direction": "inbound",
    "status": "completed",
    "end_reason": "caller_hung_up",
    "started_at": "2026-01-31T12:00:00Z",
    "ended_at": "2026-01-31T12:00:09Z",
    "duration_s": 9.0,
    "cost_usd": "0.00163900",
    "cost_is_complete": True,
}
_COSTS = [
    {
        "stream_sid": _CALL["stream_sid"],
        "slot": "stt",
        "provider": "deepgram",
        "model": "nova-3",
        "units": {"stt_stream_s": 9.0, "stt_speech_s": 1.6},
        "cost_usd": "0.00072000",
        "is_complete": True,
    },
    {
        "stream_sid": _CALL["stream_sid"],
        "slot": "llm",
        "provider": "openai",
        "model": "gpt-5-mini",
        "units": {
            "llm_requests": 1,
            "llm_requests_counted": 1,
            "prompt_tokens": 420,
            "completion_tokens": 7,
            "cached_tokens": 0,
            "cache_write_tokens": 0,
            "audio_prompt_tokens": 0,
            "audio_completion_tokens": 0,
            "cached_audio_tokens": 0,
        },
        "cost_usd": "0.00011900",
        "is_complete": True,
    },
    {
        "stream_sid": _CALL["stream_sid"],
        "slot": "tts",
        "provider": "cartesia",
        "model": "sonic-3",
        "units": {"tts_characters": 16, "tts_audio_s": 1.1},
        "cost_usd": "0.00080000",
        "is_complete": True,
    },
]
_TURN = {
    "role": "bot",
    "source": "model",
    "text_said": "We open at nine.",
    "text_heard": "We open at nine.",
    "interrupted": False,
    "started_at": "2026-01-31T12:00:05Z",
    "ended_at": "2026-01-31T12:00:07Z",
    "latency_ms": 500.5,
    "stages_ms": {"endpointing": 300.0, "model": 120.5, "voice": 80.0},
    "llm_requests": 1,
    "llm_requests_counted": 1,
    "prompt_tokens": 420,
    "completion_tokens": 7,
    "cached_tokens": 0,
    "cache_write_tokens": 0,
    "audio_prompt_tokens": 0,
    "audio_completion_tokens": 0,
    "cached_audio_tokens": 0,
    "tts_characters": 16,
    "tts_audio_s": 1.1,
    "stt_stream_s": 0.0,
    "stt_speech_s": 0.0,
    "cost_usd": "0.00091900",
}
_RECORDING = {
    "status": "ready",
    "started_at": _CALL["started_at"],
    "duration_s": 9.0,
    "bytes": 288_044,
    "is_partial": False,
    "url": f"/calls/{_CALL['id']}/recording",
}
_EVENT = {"at": "2026-01-31T12:00:03Z", "kind": "mark.lost", "data": {}}


@extend_schema_view(
    list=extend_schema(
        operation_id="calls_list",
        summary="List calls, newest first",
        tags=["calls"],
        responses={200: CallSerializer(many=True), 400: ErrorSerializer, 401: ErrorSerializer},
        examples=[OpenApiExample("A call", value=_CALL, response_only=True)],
        parameters=[
            OpenApiParameter("config_id", uuid.UUID, description="Only calls of this bot."),
            OpenApiParameter("status", str, enum=Call.Status.values),
            OpenApiParameter("call_sid", str, description="Twilio's id of the call."),
        ],
    ),
    retrieve=extend_schema(
        operation_id="calls_get",
        summary="Read a call with its costs, turns and events",
        tags=["calls"],
        responses={200: CallDetailSerializer, **ERRORS},
        examples=[
            OpenApiExample(
                "A call",
                value={
                    **_CALL,
                    "costs": _COSTS,
                    "turns": [_TURN],
                    "events": [_EVENT],
                    "recording": _RECORDING,
                },
                response_only=True,
            )
        ],
    ),
)
class CallViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Call]):
    """The account's calls. Another account's call is a 404."""

    required_scopes: ClassVar[Mapping[str, str]] = {"GET": "calls:read"}
    queryset = Call.objects.none()
    serializer_class: type[BaseSerializer[Call]] = CallSerializer
    pagination_class = NewestCallFirst
    lookup_value_converter = "uuid"

    def get_serializer_class(self) -> type[BaseSerializer[Call]]:
        return CallDetailSerializer if self.action == "retrieve" else CallSerializer

    def get_queryset(self) -> QuerySet[Call]:
        account = account_of(self.request)
        if self.action == "retrieve":
            return calls_with_transcript(account)
        return calls_of(account).filter(**_filters(self.request.query_params))


def _filters(asked: Any) -> dict[str, Any]:
    found = {name: asked[name] for name in ("status", "call_sid") if name in asked}
    if "status" in found and found["status"] not in Call.Status.values:
        raise ValidationError({"status": [f"One of {', '.join(Call.Status.values)}."]})
    if "config_id" in asked:
        found["config_id"] = _uuid(asked["config_id"])
    if "\x00" in found.get("call_sid", ""):
        raise ValidationError({"call_sid": ["Not a CallSid."]})
    return found


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ValidationError({"config_id": ["A bot's id is a UUID."]}) from None
