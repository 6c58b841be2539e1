"""OpenAPI of what is done to a call that is on."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema

from apps.calls.control_serializers import (
    DtmfSerializer,
    SaySerializer,
    TransferOrderSerializer,
)
from apps.calls.schema import CALL, TRANSFER_ROW
from apps.calls.serializers import CallSerializer, CallTransferSerializer
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
_ASKED_FOR = {
    **TRANSFER_ROW,
    "status": "queued",
    "leg_call_sid": "",
    **dict.fromkeys(("answered_at", "bridged_at", "ended_at")),
}
TRANSFER = extend_schema(
    operation_id="calls_transfer",
    summary="Put the caller through to a human",
    description=(
        "The answer does not wait for anybody to be reached: read the call's transfers, or take "
        "its events. If nobody answers, the caller is back with the bot, which says so."
    ),
    tags=["calls"],
    request=TransferOrderSerializer,
    responses={
        202: OpenApiResponse(
            CallTransferSerializer,
            description="Taken.",
            examples=[OpenApiExample("Asked for", value=_ASKED_FOR)],
        ),
        409: OpenApiResponse(
            ErrorSerializer,
            description=(
                f"{_NOT_ON} Or it is being put through already, or nothing is stored that Twilio "
                "could be asked by."
            ),
        ),
        502: OpenApiResponse(
            ErrorSerializer, description="Twilio did not say whose number caller_id is."
        ),
        **_ERRORS,
    },
    examples=[
        OpenApiExample(
            "Warm",
            value={
                "to": "+14158675309",
                "mode": "warm",
                "summary": "Ann Miller calls about her booking of Friday.",
                "say": "I will put you through.",
            },
            request_only=True,
        )
    ],
)
