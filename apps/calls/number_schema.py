"""OpenAPI of phone numbers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
    extend_schema_view,
)

from apps.accounts.connection_schema import ASKED, answer, errors
from apps.calls.number_serializers import (
    AssignmentSerializer,
    NumberFilterSerializer,
    PhoneNumberSerializer,
    RepairSerializer,
)

_TAG = ["phone-numbers"]
_CONFIG = "5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de"
_ACCOUNT = "0f0e0d0c-1111-4222-8333-444455556666"
_ORIGIN = "https://voice.example.com/twilio"
_WANTED = {
    "voice_url": f"{_ORIGIN}/voice/{_CONFIG}",
    "voice_method": "POST",
    "voice_fallback_url": f"{_ORIGIN}/fallback?account={_ACCOUNT}&bot={_CONFIG}",
    "voice_fallback_method": "POST",
    "status_callback": f"{_ORIGIN}/status?account={_ACCOUNT}",
    "status_callback_method": "POST",
    "voice_application_sid": "",
    "trunk_sid": "",
}
_BEFORE = {
    **dict.fromkeys(_WANTED, ""),
    "voice_url": "https://demo.twilio.com/welcome/voice/",
    "voice_method": "POST",
    "voice_fallback_method": "POST",
    "status_callback_method": "POST",
}
_NUMBER: dict[str, Any] = {
    "sid": "PN2a0747eba6abf96b7e3c3ff0b4530f6e",
    "number": "+4930654321",
    "friendly_name": "Berlin",
    "connection_id": "2c7f1c1e-6d0b-4b0e-9a3e-0c4d1a2b3c4d",
    "config_id": _CONFIG,
    "wanted": _WANTED,
    "actual": _WANTED,
    "before": _BEFORE,
    "drift": [],
    "drifted_at": None,
    "gone_at": None,
    "checked_at": "2026-01-31T12:00:00Z",
    "check_error": "",
    "warnings": [],
    "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z",
}
_SID = OpenApiParameter("sid", str, OpenApiParameter.PATH, description="Twilio's, PN….")

NUMBERS = extend_schema_view(
    list=extend_schema(
        operation_id="phone_number_list",
        summary="List the phone numbers of the connected Twilio accounts",
        tags=_TAG,
        parameters=[NumberFilterSerializer],
        responses={200: PhoneNumberSerializer(many=True), **errors(400, 401, 409, *ASKED)},
        examples=[OpenApiExample("A number", value=_NUMBER, response_only=True)],
    ),
    retrieve=extend_schema(
        operation_id="phone_number_get",
        summary="Read about a phone number",
        tags=_TAG,
        parameters=[_SID],
        responses={
            200: answer(PhoneNumberSerializer, "As it was last seen.", _NUMBER),
            **errors(401, 404),
        },
    ),
    update=extend_schema(
        operation_id="phone_number_assign",
        summary="Have a bot answer a phone number, or none",
        description=(
            "Sets the number's voice URL, its fallback and its status callback at Twilio, and"
            " nothing else of it. 409 while an application or a trunk of the number's would make"
            " Twilio ignore them; replace_application takes that away."
        ),
        tags=_TAG,
        parameters=[_SID],
        request=AssignmentSerializer,
        responses={
            200: answer(PhoneNumberSerializer, "Assigned.", _NUMBER),
            **errors(400, 401, 404, 409, 413, 415, *ASKED),
        },
        examples=[
            OpenApiExample("No bot", value={"config_id": None}, request_only=True),
            OpenApiExample("A bot", value={"config_id": _CONFIG}, request_only=True),
        ],
    ),
)
NUMBER_REPAIR = extend_schema(
    operation_id="phone_number_repair",
    summary="Set at Twilio what differs from what is wanted",
    description="A number without a bot, or without a difference, is left as it is.",
    tags=_TAG,
    parameters=[_SID],
    request=RepairSerializer,
    responses={
        200: answer(PhoneNumberSerializer, "As it is now.", _NUMBER),
        **errors(400, 401, 404, 409, 413, 415, *ASKED),
    },
    examples=[
        OpenApiExample("Whatever it takes", value={"replace_application": True}, request_only=True)
    ],
)
