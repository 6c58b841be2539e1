"""OpenAPI of the Daily Bots face: its own form, and its own errors."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from apps.bots.answers import (
    DailyBotsBodySerializer,
    DailyBotsDeletedSerializer,
    DailyBotsErrorSerializer,
    DailyBotsListSerializer,
    DailyBotsSerializer,
)
from apps.bots.schema import ANSWER, DAILYBOTS_BODY, ID, MEANINGS

_THEIRS = {**DAILYBOTS_BODY, "id": ID, "twiml": ANSWER["twiml"]}
_THEIR_ERROR = {
    "error": "invalid-request-error",
    "info": "1 field is invalid: services.tts: Name a service.",
}
_THEIR_MEANINGS = {
    **MEANINGS,
    400: "The body is not valid, or the Authorization header is missing or malformed.",
    401: "The API key is not valid.",
}


def _their_errors(*codes: int) -> dict[int, Any]:
    return {
        code: OpenApiResponse(
            DailyBotsErrorSerializer,
            description=_THEIR_MEANINGS[code],
            examples=[OpenApiExample("Voice", value=_THEIR_ERROR)] if code == 400 else [],
        )
        for code in codes
    }


def _their(description: str) -> OpenApiResponse:
    return OpenApiResponse(
        DailyBotsSerializer,
        description=description,
        examples=[OpenApiExample("Bicycle shop", value=_THEIRS)],
    )


_THEIR_BODIES = [OpenApiExample("Bicycle shop", value=DAILYBOTS_BODY, request_only=True)]
DAILYBOTS = extend_schema_view(
    list=extend_schema(
        operation_id="daily_bots_list",
        summary="List bots in Daily Bots' form",
        tags=["daily-bots"],
        responses={
            200: OpenApiResponse(
                DailyBotsListSerializer,
                description="All of them, newest first, up to a thousand.",
                examples=[OpenApiExample("One", value={"total_count": 1, "data": [_THEIRS]})],
            ),
            **_their_errors(400, 401, 403),
        },
    ),
    create=extend_schema(
        operation_id="daily_bots_create",
        summary="Create a bot with a Daily Bots body",
        tags=["daily-bots"],
        request=DailyBotsBodySerializer,
        responses={200: _their("Created."), **_their_errors(400, 401, 403, 413, 415)},
        examples=_THEIR_BODIES,
    ),
    retrieve=extend_schema(
        operation_id="daily_bots_get",
        summary="Read a bot in Daily Bots' form",
        tags=["daily-bots"],
        responses={200: _their("The bot."), **_their_errors(400, 401, 403, 404)},
    ),
    update=extend_schema(
        operation_id="daily_bots_update",
        summary="Replace a bot's content with a Daily Bots body",
        tags=["daily-bots"],
        request=DailyBotsBodySerializer,
        responses={200: _their("Replaced."), **_their_errors(400, 401, 403, 404, 413, 415)},
        examples=_THEIR_BODIES,
    ),
    destroy=extend_schema(
        operation_id="daily_bots_delete",
        summary="Take a bot out of service",
        tags=["daily-bots"],
        responses={
            200: OpenApiResponse(
                DailyBotsDeletedSerializer,
                description="Gone.",
                examples=[OpenApiExample("Gone", value={"deleted": True, "id": ID})],
            ),
            **_their_errors(400, 401, 403, 404),
        },
    ),
)
