"""OpenAPI of the bot configurations: names, examples, errors, and the providers' own options."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import (
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
    extend_schema_view,
)

from apps.bots.answers import (
    DailyBotsBodySerializer,
    ProvidersSerializer,
    RenderedSerializer,
    TwilioConfigSerializer,
    VersionDetailSerializer,
    VersionSerializer,
)
from apps.bots.filters import LONGEST, ORDERS
from apps.bots.serializers import (
    NUMBER,
    TRANSFERS,
    VARIABLES,
    RotateSerializer,
    TwilioConfigBodySerializer,
)
from apps.bots.tools import TRANSFER_NAME
from apps.bots.variables import NAME, RESERVED
from apps.core.metadata import PARAMETER
from apps.core.schema import ErrorSerializer
from apps.providers.registry import PROVIDERS as CATALOGUE


class VariablesExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Says what names variables may have, and how many there may be."""

    target_class = "apps.bots.serializers.VariablesField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        found: dict[str, Any] = auto_schema._map_serializer_field(
            self.target, direction, bypass_extensions=True
        )
        names = {"pattern": f"^(?!(?:{'|'.join(sorted(RESERVED))})$){NAME}$"}
        return {**found, "propertyNames": names, "maxProperties": VARIABLES}


class TransfersExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Says what names targets may have, and how many there may be."""

    target_class = "apps.bots.serializers.TransfersField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        found: dict[str, Any] = auto_schema._map_serializer_field(
            self.target, direction, bypass_extensions=True
        )
        names = {"pattern": f"^{TRANSFER_NAME}$"}
        return {**found, "propertyNames": names, "maxProperties": TRANSFERS}


class SlotExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Adds what providers of the slot take besides the common members."""

    target_class = "apps.bots.slot_serializers.SlotSerializer"
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


DAILYBOTS_BODY = {
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
_SMALLEST = {"config": {"llm": {"prompt": "You are the front desk of a small hotel."}}}
ID = "5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de"
ANSWER = {
    "id": ID,
    "version": 1,
    "status": "published",
    "published_version": 1,
    "latest_version": 1,
    **_BODY,
    "webhook_tools": {},
    "twiml": '<?xml version="1.0" encoding="UTF-8"?><Response>…</Response>',
    "stream_url": "wss://voice.example.com/media/twilio",
    "voice_url": f"https://voice.example.com/twilio/voice/{ID}",
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

_PROVIDER = {
    "kind": "tts",
    "name": "cartesia",
    "title": "Cartesia",
    "description": "Cartesia's voices, by its streaming API.",
    "models": ["sonic-3.5", "sonic-3"],
    "open_models": True,
    "voices": [{"id": "79a125e8-cd45-4c13-8a67-188112f4dd22", "name": "A voice", "language": "en"}],
    "open_voices": True,
    "options": {"type": "object", "properties": {}, "additionalProperties": False},
    "needs_key": True,
    "has_key": False,
    "available": True,
    "missing": "",
    "closed": "",
    "speaks": False,
    "billing": "characters",
    "limits": [],
    "source": "docs.cartesia.ai, read on 26 November 2026",
    "prices": [
        {
            "slot": "tts",
            "model": "*",
            "usd": {"characters": "50"},
            "free": False,
            "source": "https://cartesia.ai/pricing",
            "read": "2026-11-26",
            "note": "Pro plan.",
        }
    ],
}
MEANINGS = {
    400: "The body or a parameter is not valid.",
    401: "The API key is missing or not valid.",
    403: "The API key's scopes do not cover this.",
    404: "There is no such bot or version in this account.",
    409: "Not possible in the present state of things.",
    412: "If-Match does not name the current version.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
}


def errors_said(*codes: int) -> dict[int, Any]:
    """Describe the errors of these codes."""
    return {
        code: OpenApiResponse(
            ErrorSerializer,
            description=MEANINGS[code],
            examples=[OpenApiExample("Voice", value=_ERROR)] if code == 400 else [],
        )
        for code in codes
    }


def _config(description: str) -> OpenApiResponse:
    return OpenApiResponse(
        TwilioConfigSerializer,
        description=description,
        examples=[OpenApiExample("Front desk", value=ANSWER)],
    )


_EITHER = PolymorphicProxySerializer(
    component_name="TwilioConfigEitherBody",
    serializers=[TwilioConfigBodySerializer, DailyBotsBodySerializer],
    resource_type_field_name=None,
)
_BODIES = [
    OpenApiExample("Native", value=_BODY, request_only=True),
    OpenApiExample("Smallest", value=_SMALLEST, request_only=True),
    OpenApiExample("Daily Bots", value=DAILYBOTS_BODY, request_only=True),
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

_DRAFT = OpenApiParameter(
    "draft",
    bool,
    default=False,
    description="The drafts' line: reads the latest version; writes one that takes no calls yet.",
)
_SHORT = {"type": "string", "maxLength": LONGEST}
_FILTERS = [
    OpenApiParameter("name", _SHORT, description="The whole name."),
    OpenApiParameter("search", _SHORT, description="A part of the name, in any case."),
    OpenApiParameter("provider", str, description="A provider in any slot."),
    OpenApiParameter("order", str, enum=sorted(ORDERS), default="-created_at"),
    PARAMETER,
]


def _body() -> dict[str, Any]:
    return {"application/json": _EITHER}


_TAG = ["twilio-config"]
CONFIGS = extend_schema_view(
    list=extend_schema(
        operation_id="twilio_config_list",
        summary="List bots",
        tags=_TAG,
        parameters=_FILTERS,
        responses={200: TwilioConfigSerializer(many=True), **errors_said(400, 401, 403)},
        examples=[OpenApiExample("Front desk", value=ANSWER, response_only=True)],
    ),
    create=extend_schema(
        operation_id="twilio_config_create",
        summary="Create a bot; the answer has its TwiML",
        tags=_TAG,
        request=_body(),
        responses={201: _config("Created."), **errors_said(400, 401, 403, 413, 415)},
        parameters=[_DRAFT, _ETAG],
        examples=_BODIES,
    ),
    retrieve=extend_schema(
        operation_id="twilio_config_get",
        summary="Read a bot",
        tags=_TAG,
        responses={200: _config("The bot."), **errors_said(400, 401, 403, 404)},
        parameters=[_DRAFT, _ETAG],
    ),
    update=extend_schema(
        operation_id="twilio_config_replace",
        summary="Replace a bot's content, as a new version",
        tags=_TAG,
        request=_body(),
        responses={200: _config("Replaced."), **errors_said(400, 401, 403, 404, 412, 413, 415)},
        parameters=[_DRAFT, _IF_MATCH, _ETAG],
        examples=_BODIES,
    ),
    partial_update=extend_schema(
        operation_id="twilio_config_patch",
        summary="Change parts of a bot, as a new version",
        description="Merges the body over the native form after RFC 7396: null removes.",
        tags=_TAG,
        # The last is what a generated Python client sends.
        request={
            "application/json": TwilioConfigBodySerializer,
            "application/merge-patch+json": TwilioConfigBodySerializer,
        },
        responses={200: _config("Changed."), **errors_said(400, 401, 403, 404, 412, 413, 415)},
        parameters=[_DRAFT, _IF_MATCH, _ETAG],
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
        tags=_TAG,
        responses={204: OpenApiResponse(description="Gone."), **errors_said(401, 403, 404, 412)},
        parameters=[_IF_MATCH],
    ),
)

_VERSION = {
    "number": 2,
    "status": "published",
    "face": "native",
    "author": {"kind": "key", "id": ID, "name": "deploy"},
    "created_at": "2026-01-31T12:00:00Z",
    "changes": [{"path": "config.tts.speed", "before": 1.0, "after": 0.9}],
}
_VERSION_NUMBER = {"type": "integer", "minimum": 1, "maximum": 999_999_999}
_NUMBER = OpenApiParameter("number", _VERSION_NUMBER, OpenApiParameter.PATH)
VERSIONS = extend_schema_view(
    list=extend_schema(
        operation_id="twilio_config_version_list",
        summary="List a bot's versions, newest first",
        tags=["versions"],
        responses={200: VersionSerializer(many=True), **errors_said(400, 401, 403, 404)},
        examples=[OpenApiExample("A change of pace", value=_VERSION, response_only=True)],
    ),
    retrieve=extend_schema(
        operation_id="twilio_config_version_get",
        summary="Read a version with its content",
        tags=["versions"],
        parameters=[_NUMBER],
        responses={
            200: OpenApiResponse(
                VersionDetailSerializer,
                description="The version.",
                examples=[OpenApiExample("A version", value={**_VERSION, "content": ANSWER})],
            ),
            **errors_said(401, 403, 404),
        },
    ),
)

PUBLISH = extend_schema(
    operation_id="twilio_config_version_publish",
    summary="Let a draft take calls",
    description="Publishing the version that takes calls already changes nothing.",
    tags=["versions"],
    request=None,
    parameters=[_NUMBER, _IF_MATCH, _ETAG],
    responses={200: _config("Published."), **errors_said(401, 403, 404, 409, 412)},
)
RESTORE = extend_schema(
    operation_id="twilio_config_version_restore",
    summary="Make an older version's content the newest version",
    tags=["versions"],
    request=None,
    parameters=[_NUMBER, _IF_MATCH, _ETAG],
    responses={201: _config("Restored."), **errors_said(401, 403, 404, 412)},
)

_E164 = {"type": "string", "pattern": f"^(?:{NUMBER})$"}
_SLOT = {
    "provider": "openai",
    "model": "gpt-5-mini",
    "configured_model": "gpt-5-mini",
    "key": "account",
    "available": True,
    "missing": "",
}
_RENDERED = {
    **{name: ANSWER[name] for name in ("id", "version", "status", "name", "config")},
    "takes_calls": True,
    "max_duration": 600,
    "twiml": ANSWER["twiml"],
    "providers": dict.fromkeys(("llm", "tts", "stt"), {**_SLOT, "fallbacks": [_SLOT]}),
    "variables": {"guest": {"value": "Ann", "source": "given"}},
    "missing_variables": ["room"],
    "missing_keys": ["cartesia"],
    "warnings": [],
}
RENDER = extend_schema_view(
    get=extend_schema(
        operation_id="twilio_config_render",
        summary="Say what a caller would get; changes nothing",
        tags=_TAG,
        parameters=[
            OpenApiParameter("from", _E164, description="The caller's number, E.164."),
            OpenApiParameter("to", _E164, description="The number that is called, E.164."),
            OpenApiParameter(
                "variables", str, description='A JSON object, such as {"guest": "Ann"}.'
            ),
            OpenApiParameter(
                "version", _VERSION_NUMBER, description="Another version than calls get."
            ),
        ],
        responses={
            200: OpenApiResponse(
                RenderedSerializer,
                description="What a caller would get.",
                examples=[OpenApiExample("A guest", value=_RENDERED)],
            ),
            **errors_said(400, 401, 403, 404),
        },
    )
)
ROTATE = extend_schema_view(
    post=extend_schema(
        operation_id="twilio_config_rotate_token",
        summary="Give a bot another stream token, and so another TwiML",
        tags=_TAG,
        request=RotateSerializer,
        responses={200: _config("The bot."), **errors_said(400, 401, 403, 404, 413, 415)},
        examples=[OpenApiExample("At once", value={"grace_seconds": 0}, request_only=True)],
    )
)

PROVIDERS = extend_schema_view(
    get=extend_schema(
        operation_id="provider_list",
        summary="List the providers that a bot may name",
        tags=["providers"],
        parameters=[OpenApiParameter("kind", str, enum=["stt", "llm", "tts"])],
        responses={
            200: OpenApiResponse(
                ProvidersSerializer,
                description="The catalogue.",
                examples=[OpenApiExample("One voice", value={"results": [_PROVIDER]})],
            ),
            **errors_said(400, 401, 403),
        },
    )
)
