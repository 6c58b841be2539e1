"""OpenAPI of what is done to a call that is on."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema

from apps.calls.control_serializers import DtmfSerializer, SaySerializer
from apps.calls.schema import CALL
from apps.calls.serializers import CallSerializer
from apps.core.schema import ErrorSerializer

_ERRORS = {
    400: ErrorSerializer,
    401: ErrorSerializer,
    404: ErrorSerializer,
    413: ErrorSerializer,
    415: ErrorSerializer,
    503: OpenApiResponse(
        ErrorSerializer, description="The process that holds the call did not answer: ask again."
    ),
}
_ON = {**CALL, "status": "in-progress", "end_reason": "", "ended_at": None, "duration_s": None}
_TAKEN = OpenApiResponse(
    CallSerializer, description="Taken.", examples=[OpenApiExample("A call", value=_ON)]
)
_NOT_ON = "No conversation of the call is running, it is ending, or too much waits already."

SAY = extend_schema(
    operation_id="calls_say",
    summary="Have the bot say something",
    description=(
        "It is part of the conversation: the model knows of it, and the caller may interrupt it."
    ),
    tags=["calls"],
    request=SaySerializer,
    responses={
        202: _TAKEN,
        409: OpenApiResponse(ErrorSerializer, description=_NOT_ON),
        **_ERRORS,
    },
    examples=[OpenApiExample("Now", value={"text": "One moment.", "interrupt": True})],
)
DTMF = extend_schema(
    operation_id="calls_dtmf",
    summary="Press keys for the other side",
    description=(
        "The call leaves its stream while they are played; what is said then, and for about a "
        "second after, the bot does not hear."
    ),
    tags=["calls"],
    request=DtmfSerializer,
    responses={
        202: _TAKEN,
        409: OpenApiResponse(
            ErrorSerializer,
            description=f"{_NOT_ON} Or nothing is stored that Twilio could be asked by.",
        ),
        502: OpenApiResponse(
            ErrorSerializer, description="What Twilio did with the request is not known."
        ),
        **_ERRORS,
    },
    examples=[OpenApiExample("An extension", value={"digits": "ww12#"})],
)
