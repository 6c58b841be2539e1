"""OpenAPI of the bot configurations: names, examples, errors, and the providers' own options."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
    extend_schema_view,
)
from rest_framework import serializers

from apps.bots.serializers import (
    DailyBotsBodySerializer,
    TwilioConfigBodySerializer,
    TwilioConfigSerializer,
)
from apps.core.schema import ErrorSerializer
from apps.providers.registry import PROVIDERS as CATALOGUE


class SlotExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Adds what providers of the slot take besides the common members."""

    target_class = "apps.bots.serializers.SlotSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        found: dict[str, Any] = auto_schema._map_serializer(
            self.target, direction, bypass_extensions=True
        )
        options: dict[str, Any] = {}
        for (kind, _), declared in CATALOGUE.items():
            if kind == self.target.kind and not declared.test_only:
                for option in declared.options:
                    options.setdefault(option.name, []).append(option)
        for name, same in options.items():
            # Bounds and defaults differ from one provider to the next; GET /providers has them.
            types = sorted({option.type for option in same})
            schema = {
                member: value
                for member, value in same[0].schema().items()
                if member in ("type", "items", "description")
            }
            found["properties"][name] = schema | {"type": types[0] if len(types) == 1 else types}
        found["additionalProperties"] = {}
        return found


class VoiceSerializer(serializers.Serializer[Any]):
    """A voice of a provider."""

    id = serializers.CharField()
    name = serializers.CharField()
    language = serializers.CharField()


class ProviderSerializer(serializers.Serializer[Any]):
    """A provider: what a slot may name, and what it takes."""

    kind = serializers.ChoiceField(choices=("stt", "llm", "tts"))
    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    models = serializers.ListField(child=serializers.CharField())
    open_models = serializers.BooleanField(help_text="Models beyond these are passed on.")
    voices = VoiceSerializer(many=True)
    open_voices = serializers.BooleanField(help_text="Voices beyond these are passed on.")
    options = serializers.DictField(help_text="JSON Schema of the options.")
    needs_key = serializers.BooleanField()
    available = serializers.BooleanField(help_text="This server can take calls with it.")
    missing = serializers.CharField(allow_blank=True, help_text="What keeps it from that.")


class ProvidersSerializer(serializers.Serializer[Any]):
    """The catalogue."""

    results = ProviderSerializer(many=True)


_BODY = {
    "name": "Front desk",
    "config": {
        "llm": {
            "provider": "openai",
            "model": "gpt-5-mini",
            "prompt": "You are the front desk of a small hotel. Keep answers short.",
            "temperature": 0.3,
        },
        "tts": {"provider": "cartesia", "voice": "79a125e8-cd45-4c13-8a67-188112f4dd22"},
        "stt": {"provider": "deepgram", "model": "nova-3", "language": "en"},
        "greeting": {"mode": "text", "text": "Hello, how can I help?"},
    },
    "max_duration": 600,
    "metadata": {"team": "ops"},
}
_DAILYBOTS_BODY = {
    "bot_profile": "twilio_ws_voice_2024_09",
    "services": {"stt": "deepgram", "llm": "together", "tts": "cartesia"},
    "config": [
        {
            "service": "llm",
            "options": [
                {
                    "name": "initial_messages",
                    "value": [{"role": "system", "content": "You are a bicycle shop."}],
                },
                {"name": "run_on_config", "value": True},
            ],
        }
    ],
}
_SMALLEST = {"config": {"llm": {"prompt": "You are the front desk of a small hotel."}}}
_ID = "5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de"
_ANSWER = {
    "id": _ID,
    "version": 1,
    **_BODY,
    "webhook_tools": {},
    "twiml": '<?xml version="1.0" encoding="UTF-8"?><Response>…</Response>',
    "stream_url": "wss://voice.example.com/media/twilio",
    "voice_url": f"https://voice.example.com/twilio/voice/{_ID}",
    "warnings": [],
    "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z",
}
_ERROR = {
    "error": "invalid-request-error",
    "info": "1 field is invalid",
    "fields": {"config.tts.voice": ["Unknown voice of local. Valid: heart."]},
    "request_id": "9f2c4e1b7a604a0a8d3f1c55b1f0a7de",
}

_MEANINGS = {
    400: "The body or a parameter is not valid.",
    401: "The API key is missing or not valid.",
    404: "There is no such bot in this account.",
    412: "If-Match does not name the current version.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
}


def _errors(*codes: int) -> dict[int, Any]:
    return {
        code: OpenApiResponse(
            ErrorSerializer,
            description=_MEANINGS[code],
            examples=[OpenApiExample("Voice", value=_ERROR)] if code == 400 else [],
        )
        for code in codes
    }


def _config(description: str) -> OpenApiResponse:
    return OpenApiResponse(
        TwilioConfigSerializer,
        description=description,
        examples=[OpenApiExample("Front desk", value=_ANSWER)],
    )


_EITHER = PolymorphicProxySerializer(
    component_name="TwilioConfigEitherBody",
    serializers=[TwilioConfigBodySerializer, DailyBotsBodySerializer],
    resource_type_field_name=None,
)
_BODIES = [
    OpenApiExample("Native", value=_BODY, request_only=True),
    OpenApiExample("Smallest", value=_SMALLEST, request_only=True),
    OpenApiExample("Daily Bots", value=_DAILYBOTS_BODY, request_only=True),
]
_IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag that was read; 412 if the bot has changed since.",
)
_ETAG = OpenApiParameter(
    "ETag",
    str,
    OpenApiParameter.HEADER,
    description="Names this version; give it back as If-Match.",
    response=[200, 201],
)

CONFIGS = extend_schema_view(
    list=extend_schema(
        operation_id="twilio_config_list",
        summary="List bots, newest first",
        responses={200: TwilioConfigSerializer(many=True), **_errors(400, 401)},
        examples=[OpenApiExample("Front desk", value=_ANSWER, response_only=True)],
    ),
    create=extend_schema(
        operation_id="twilio_config_create",
        summary="Create a bot; the answer has its TwiML",
        request={"application/json": _EITHER},
        responses={201: _config("Created."), **_errors(400, 401, 413, 415)},
        parameters=[_ETAG],
        examples=_BODIES,
    ),
    retrieve=extend_schema(
        operation_id="twilio_config_get",
        summary="Read a bot",
        responses={200: _config("The bot."), **_errors(401, 404)},
        parameters=[_ETAG],
    ),
    update=extend_schema(
        operation_id="twilio_config_replace",
        summary="Replace a bot's content, as a new version",
        request={"application/json": _EITHER},
        responses={200: _config("Replaced."), **_errors(400, 401, 404, 412, 413, 415)},
        parameters=[_IF_MATCH, _ETAG],
        examples=_BODIES,
    ),
    partial_update=extend_schema(
        operation_id="twilio_config_patch",
        summary="Change parts of a bot, as a new version",
        description="Merges the body over the native form after RFC 7396: null removes.",
        # The last is what a generated Python client sends.
        request={
            "application/json": TwilioConfigBodySerializer,
            "application/merge-patch+json": TwilioConfigBodySerializer,
        },
        responses={200: _config("Changed."), **_errors(400, 401, 404, 412, 413, 415)},
        parameters=[_IF_MATCH, _ETAG],
        examples=[
            OpenApiExample(
                "Another pace",
                value={"config": {"tts": {"speed": 0.9}, "greeting": None}},
                request_only=True,
            )
        ],
    ),
    destroy=extend_schema(
        operation_id="twilio_config_delete",
        summary="Take a bot out of service",
        description="Live calls go on to their end; its TwiML answers no more.",
        responses={204: OpenApiResponse(description="Gone."), **_errors(401, 404, 412)},
        parameters=[_IF_MATCH],
    ),
)

_PROVIDER = {
    "kind": "tts",
    "name": "local",
    "title": "Hibari, on this server",
    "description": "Hibari (American English) on this server's CPU. Works offline.",
    "models": ["hibari"],
    "open_models": False,
    "voices": [{"id": "heart", "name": "Heart", "language": "en-US"}],
    "open_voices": False,
    "options": {"type": "object", "properties": {}, "additionalProperties": False},
    "needs_key": False,
    "available": True,
    "missing": "",
}
PROVIDERS = extend_schema_view(
    get=extend_schema(
        operation_id="provider_list",
        summary="List the providers that a bot may name",
        responses={200: ProvidersSerializer, **_errors(401)},
        examples=[
            OpenApiExample("A voice", value={"results": [_PROVIDER]}, response_only=True),
        ],
    )
)
