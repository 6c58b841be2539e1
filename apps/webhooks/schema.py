"""OpenAPI of endpoints, deliveries and kinds of events."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from apps.core.schema import ErrorSerializer
from apps.webhooks.kinds import KINDS as CATALOGUE
from apps.webhooks.serializers import (
    DeliveryDetailSerializer,
    DeliveryFilterSerializer,
    DeliverySerializer,
    EndpointBodySerializer,
    EndpointChangesSerializer,
    EndpointSerializer,
    KindsSerializer,
    NewEndpointSerializer,
    PingSerializer,
    ReplayedSerializer,
    ReplaySerializer,
    SecretRotationSerializer,
    example_payload,
)

_TAGS = ["webhooks"]
_ENDPOINT = {
    "id": "8b8f3f0e-0d1c-4b7a-9a51-6d0f5c1e2a3b",
    "url": "https://hooks.example.com/botsconfig",
    "description": "CRM",
    "kinds": ["call.ended", "call.recording_ready"],
    "enabled": True,
    "disabled_reason": "",
    "previous_secret_until": None,
    "created_at": "2026-01-31T11:00:00Z",
    "updated_at": "2026-01-31T11:00:00Z",
}
# Shown as a pattern: an example that looks like a secret would be taken for one.
_NEW_ENDPOINT = {**_ENDPOINT, "secret": "whsec_shown-this-once"}
_ENDED = CATALOGUE["call.ended"]
_PAYLOAD = example_payload(_ENDED.name, _ENDED.example)
_ATTEMPT = {
    "number": 1,
    "at": "2026-01-31T12:00:09Z",
    "status": 503,
    "duration_ms": 84,
    "error": "status",
    "info": "HTTP 503.",
    "answer": "down for maintenance",
}
_DELIVERY = {
    "id": "c0ffee00-1d2c-4e3f-8a9b-0c1d2e3f4a5b",
    "event_id": _PAYLOAD["id"],
    "kind": "call.ended",
    "status": "pending",
    "attempt_count": 1,
    "next_attempt_at": "2026-01-31T12:00:14Z",
    "last_status": 503,
    "last_error": "status",
    "created_at": "2026-01-31T12:00:09Z",
    "finished_at": None,
}
_DETAIL = {**_DELIVERY, "payload": _PAYLOAD, "attempts": [_ATTEMPT]}
_ACCEPTED = {**_ATTEMPT, "status": 204, "error": "", "info": "", "answer": ""}
_PINGED = {"ok": True, "delivery_id": _DELIVERY["id"], "attempt": _ACCEPTED}
_KINDS = {
    "results": [
        {
            "name": _ENDED.name,
            "description": _ENDED.description,
            "example": _PAYLOAD,
        }
    ]
}

_MEANINGS = {
    400: "The body or a parameter is not valid.",
    401: "The API key is missing or not valid.",
    404: "There is no such thing in this account.",
    409: "Not in the present state; info says why.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
}


def _errors(*codes: int) -> dict[int, Any]:
    return {code: OpenApiResponse(ErrorSerializer, description=_MEANINGS[code]) for code in codes}


_BODY = (400, 401, 413, 415)


def _answer(serializer: Any, description: str, example: Any) -> OpenApiResponse:
    examples = [OpenApiExample(description.rstrip("."), value=example)]
    return OpenApiResponse(serializer, description=description, examples=examples)


def _asked(name: str, value: Any) -> list[OpenApiExample]:
    return [OpenApiExample(name, value=value, request_only=True)]


_ID = OpenApiParameter("id", UUID, OpenApiParameter.PATH, description="The endpoint.")

ENDPOINTS = extend_schema_view(
    list=extend_schema(
        operation_id="webhook_list",
        summary="List the endpoints of events, newest first",
        tags=_TAGS,
        responses={200: EndpointSerializer(many=True), **_errors(400, 401)},
        examples=[OpenApiExample("An endpoint", value=_ENDPOINT, response_only=True)],
    ),
    create=extend_schema(
        operation_id="webhook_create",
        summary="Make an endpoint; the answer has its secret, this once",
        description="Ping it next: that tells whether it is reached, and verifies signatures.",
        tags=_TAGS,
        request=EndpointBodySerializer,
        responses={
            201: _answer(NewEndpointSerializer, "Made.", _NEW_ENDPOINT),
            **_errors(*_BODY, 409),
        },
        examples=_asked(
            "Ends of calls",
            {
                "url": _ENDPOINT["url"],
                "description": "CRM",
                "kinds": ["call.ended", "call.recording_ready"],
            },
        ),
    ),
    retrieve=extend_schema(
        operation_id="webhook_get",
        summary="Read about an endpoint",
        tags=_TAGS,
        responses={200: _answer(EndpointSerializer, "The endpoint.", _ENDPOINT)}
        | _errors(401, 404),
    ),
    partial_update=extend_schema(
        operation_id="webhook_update",
        summary="Change an endpoint; what is left out stays",
        description="Disabled, it gets nothing, and what waits for it is dead until replayed.",
        tags=_TAGS,
        request=EndpointChangesSerializer,
        responses={200: _answer(EndpointSerializer, "As it is now.", _ENDPOINT)}
        | _errors(*_BODY, 404),
        examples=_asked("Everything", {"kinds": [], "enabled": True}),
    ),
    destroy=extend_schema(
        operation_id="webhook_delete",
        summary="Forget an endpoint and the log of its deliveries",
        tags=_TAGS,
        responses={204: OpenApiResponse(description="Forgotten."), **_errors(401, 404)},
    ),
)
# Not in the views above, because drf-spectacular finds only the usual actions there.
ROTATE = extend_schema(
    operation_id="webhook_rotate_secret",
    summary="Give an endpoint another secret; the old one signs on for a while",
    description="Both signatures are sent until then. A secret still in its grace ends now.",
    tags=_TAGS,
    request=SecretRotationSerializer,
    responses={200: _answer(NewEndpointSerializer, "With the new secret.", _NEW_ENDPOINT)}
    | _errors(*_BODY, 404),
    examples=_asked("An hour", {"grace_seconds": 3600}),
)
PING = extend_schema(
    operation_id="webhook_ping",
    summary="Send a ping now, and say what came of it",
    description="Takes up to 15 seconds. It is tried once, at disabled endpoints too.",
    tags=_TAGS,
    request=None,
    responses={200: _answer(PingSerializer, "What came of it.", _PINGED), **_errors(401, 404)},
)
REPLAY_ALL = extend_schema(
    operation_id="webhook_replay",
    summary="Send the events of a time again",
    description=(
        "Each with the id that it had. At most 10,000, the oldest first; next_since says where to "
        "go on. all: also what was delivered, and what happened while the endpoint was disabled."
    ),
    tags=_TAGS,
    request=ReplaySerializer,
    responses={
        202: _answer(ReplayedSerializer, "Will be sent.", {"count": 12, "next_since": None}),
        **_errors(*_BODY, 404, 409),
    },
    examples=_asked(
        "An outage", {"since": "2026-01-31T12:00:00Z", "until": "2026-01-31T15:00:00Z"}
    ),
)

DELIVERIES = extend_schema_view(
    list=extend_schema(
        operation_id="webhook_delivery_list",
        summary="List what was sent to an endpoint, newest first",
        tags=_TAGS,
        parameters=[_ID, DeliveryFilterSerializer],
        responses={200: DeliverySerializer(many=True), **_errors(400, 401, 404)},
        examples=[OpenApiExample("To be tried again", value=_DELIVERY, response_only=True)],
    ),
    retrieve=extend_schema(
        operation_id="webhook_delivery_get",
        summary="Read what was sent, and each attempt to",
        tags=_TAGS,
        parameters=[_ID],
        responses={200: _answer(DeliveryDetailSerializer, "The delivery.", _DETAIL)}
        | _errors(401, 404),
    ),
)
REPLAY = extend_schema(
    operation_id="webhook_delivery_replay",
    summary="Send an event again",
    description="With the id that it had, by the whole schedule. 409 while it is being sent.",
    tags=_TAGS,
    parameters=[_ID],
    request=None,
    responses={
        202: _answer(DeliverySerializer, "Will be sent.", {**_DELIVERY, "attempt_count": 11}),
        **_errors(401, 404, 409),
    },
)

KINDS = extend_schema_view(
    list=extend_schema(
        operation_id="webhook_kind_list",
        summary="List the kinds of events, each with an example",
        tags=_TAGS,
        responses={200: _answer(KindsSerializer, "The catalogue.", _KINDS), **_errors(401)},
    )
)
