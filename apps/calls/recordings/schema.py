"""OpenAPI of recordings."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from apps.core.schema import ErrorSerializer

_SOUND = "A WAV file: 16-bit PCM, 8,000 Hz, the caller on the left and the bot on the right."


def _error(description: str) -> OpenApiResponse:
    return OpenApiResponse(ErrorSerializer, description=description)


def _header(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description)


_ID = OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The call.")
# Errors are never sound.
_JSON = "application/json"
_REFUSALS: dict[Any, Any] = {
    (401, _JSON): _error("The API key is missing or not valid."),
    (404, _JSON): _error("There is no such call in this account, or no recording of it."),
}
_NOT_READY = "It is not ready: the call is still going on, or has just ended. See Retry-After."
_ANSWERS: dict[Any, Any] = {
    (200, "audio/wav"): OpenApiResponse(OpenApiTypes.BINARY, description=_SOUND),
    (206, "audio/wav"): OpenApiResponse(OpenApiTypes.BINARY, description="The part asked for."),
    304: OpenApiResponse(description="It is the one that If-None-Match names."),
    **_REFUSALS,
    (409, _JSON): _error(_NOT_READY),
    (416, _JSON): _error("The range lies outside of the file."),
    (503, _JSON): _error("The storage does not answer."),
}

RECORDING = extend_schema_view(
    get=extend_schema(
        operation_id="calls_recording_get",
        summary="Listen to a call",
        description="Answers one range (`Range: bytes=…`); several at once are answered whole.",
        tags=["calls"],
        parameters=[
            _ID,
            _header("Range", "Such as bytes=0-65535."),
            _header("If-Range", "The ETag of what is to be continued."),
            _header("If-None-Match", "The ETag of what is there already."),
        ],
        responses=_ANSWERS,
    ),
    delete=extend_schema(
        operation_id="calls_recording_delete",
        summary="Erase a call's recording",
        description="For good. One that is being made is thrown away when its call ends.",
        tags=["calls"],
        parameters=[_ID],
        responses={204: None, **_REFUSALS},
    ),
)
