"""OpenAPI of calls: examples, parameters, errors."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from apps.calls.dial_serializers import DialSerializer
from apps.calls.filters import LONGEST
from apps.calls.models import Call
from apps.calls.serializers import CallDetailSerializer, CallSerializer
from apps.core.metadata import PARAMETER
from apps.core.schema import ErrorSerializer

ERRORS = {401: ErrorSerializer, 404: ErrorSerializer}
CALL = {
    "id": "95f66db6-69a5-5c78-8015-17d59963a897",
    "config_id": "5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de",
    "config_version": 3,
    "call_sid": "CAe41ac869fc184b71a9db3cd8171fdd77",
    "stream_sid": "MZc646f1441d724c0db67468e505214a09",
    "direction": "outbound",
    "medium": "phone",
    "from": "+4930123456",
    "to": "+14158675309",
    "status": "completed",
    "end_reason": "caller_hung_up",
    "error": None,
    "started_at": "2026-01-31T11:59:48Z",
    "scheduled_at": None,
    "answered_at": "2026-01-31T12:00:00Z",
    "answered_by": "human",
    "ended_at": "2026-01-31T12:00:09Z",
    "duration_s": 9.0,
    "billed_s": 9,
    "metadata": {"order": "4711"},
    "cost_usd": "0.00163900",
    "cost_is_complete": True,
}
_COSTS = [
    {
        "stream_sid": CALL["stream_sid"],
        "slot": "stt",
        "provider": "deepgram",
        "model": "nova-3",
        "units": {"stt_stream_s": 9.0, "stt_speech_s": 1.6},
        "cost_usd": "0.00072000",
        "is_complete": True,
    },
    {
        "stream_sid": CALL["stream_sid"],
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
        "stream_sid": CALL["stream_sid"],
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
    "started_at": CALL["started_at"],
    "duration_s": 9.0,
    "bytes": 288_044,
    "is_partial": False,
    "url": f"/calls/{CALL['id']}/recording",
}
TRANSFER_ROW = {
    "id": "0b0d8a9e-5a52-4a5c-9a1f-0f8f6bb6a1a2",
    "to": "+14158675309",
    "mode": "warm",
    "summary": "Ann Miller calls about her booking of Friday.",
    "status": "completed",
    "reason": "",
    "leg_call_sid": "CA0b2a5f5e0d2c4d0f8d3f8a6f5b6c7d8e",
    "started_at": "2026-01-31T12:00:05Z",
    "answered_at": "2026-01-31T12:00:06Z",
    "bridged_at": "2026-01-31T12:00:07Z",
    "ended_at": "2026-01-31T12:00:09Z",
}
_EVENT = {"at": "2026-01-31T12:00:03Z", "kind": "mark.lost", "data": {}}


_NEW: dict[str, Any] = {
    **CALL,
    "stream_sid": "",
    "status": "dialing",
    "end_reason": "",
    "answered_at": None,
    "answered_by": "",
    "ended_at": None,
    "duration_s": None,
    "billed_s": None,
    "cost_usd": None,
    "cost_is_complete": False,
}
_SMALLEST = {"config_id": CALL["config_id"], "to": CALL["to"], "from": CALL["from"]}
_BODY = {
    **_SMALLEST,
    "variables": {"guest": "Ann"},
    "machine_detection": {"mode": "async"},
    "timeout": 30,
    "metadata": {"order": "4711"},
}
_REFUSED = {
    "error": "twilio-error",
    "info": "Twilio cannot reach this number.",
    "fields": {"to": ["Twilio cannot reach this number."]},
    "request_id": "9f2c4e1b7a604a0a8d3f1c55b1f0a7de",
    "reason": "number_unreachable",
    "twilio_code": 21214,
    "call_id": CALL["id"],
}
_SHORT = {"type": "string", "maxLength": LONGEST}
_FILTERS = [
    OpenApiParameter("config_id", uuid.UUID, description="Only calls of this bot."),
    OpenApiParameter("status", str, enum=Call.Status.values),
    OpenApiParameter("direction", str, enum=Call.Direction.values),
    OpenApiParameter("medium", str, enum=Call.Medium.values),
    OpenApiParameter("call_sid", _SHORT, description="Twilio's id of the call."),
    OpenApiParameter("from", _SHORT, description="Who called: the whole number, with its +."),
    OpenApiParameter("to", _SHORT, description="Who was called."),
    OpenApiParameter("started_after", datetime, description="Later than this time."),
    OpenApiParameter("started_before", datetime, description="Earlier than this time."),
    PARAMETER,
]

CALLS = extend_schema_view(
    list=extend_schema(
        operation_id="calls_list",
        summary="List calls, newest first",
        tags=["calls"],
        responses={200: CallSerializer(many=True), 400: ErrorSerializer, 401: ErrorSerializer},
        examples=[OpenApiExample("A call", value=CALL, response_only=True)],
        parameters=_FILTERS,
    ),
    create=extend_schema(
        operation_id="calls_dial",
        summary="Dial, or schedule a call",
        description=(
            "Twilio is asked once. An answer that does not come leaves the call `unknown` until a "
            "callback or a look-up settles it; a refusal is answered with `call_id`."
        ),
        tags=["calls"],
        request=DialSerializer,
        responses={
            201: OpenApiResponse(
                CallSerializer,
                description="Asked for. Read it again to see what becomes of it.",
                examples=[OpenApiExample("Dialling", value=_NEW)],
            ),
            400: OpenApiResponse(
                ErrorSerializer,
                description="The request is not valid, or Twilio refuses it.",
                examples=[OpenApiExample("Refused", value=_REFUSED)],
            ),
            401: ErrorSerializer,
            409: OpenApiResponse(
                ErrorSerializer,
                description=(
                    "Not now: all lines are in use, it is outside the calling hours, the bot was "
                    "never published, or there is no Twilio connection."
                ),
            ),
            413: ErrorSerializer,
            415: ErrorSerializer,
        },
        examples=[
            OpenApiExample("Now", value=_BODY, request_only=True),
            OpenApiExample("Smallest", value=_SMALLEST, request_only=True),
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
                    **CALL,
                    "variables": {"guest": "Ann"},
                    **{"costs": _COSTS, "turns": [_TURN], "transfers": [], "events": [_EVENT]},
                    "recording": _RECORDING,
                },
                response_only=True,
            )
        ],
    ),
)
HANG_UP = extend_schema(
    operation_id="calls_hang_up",
    summary="End a call, or cancel one that is not dialled yet",
    description="Ending a call twice, or one that is over, changes nothing.",
    tags=["calls"],
    request=None,
    responses={
        200: OpenApiResponse(
            CallSerializer,
            description="Its end is under way: read it again to see it.",
            examples=[OpenApiExample("A call", value=CALL)],
        ),
        409: OpenApiResponse(
            ErrorSerializer, description="Nobody holds the call whom we could ask to end it."
        ),
        **ERRORS,
    },
)
