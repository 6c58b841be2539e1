"""OpenAPI of connections to Twilio."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from apps.accounts.connection_serializers import (
    SubAccountsSerializer,
    TwilioConnectionBodySerializer,
    TwilioConnectionSerializer,
)
from apps.core.schema import ErrorSerializer

_TAG = ["twilio-connections"]
_SID = "AC0123456789abcdef0123456789abcdef"
_KEY_SID = "SK0123456789abcdef0123456789abcdef"
_CONNECTION: dict[str, Any] = {
    "id": "2c7f1c1e-6d0b-4b0e-9a3e-0c4d1a2b3c4d",
    "name": "Main",
    "account_sid": _SID,
    "parent_id": None,
    "auth_token_last4": "…abcd",
    "api_key_sid": _KEY_SID,
    "has_api_key": True,
    "signing_keys": [],
    "region": "",
    "edge": "",
    "friendly_name": "Hotel Seeblick",
    "is_trial": False,
    "checked_at": "2026-01-31T12:00:00Z",
    "check_error": "",
    "warnings": [],
    "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z",
}
_SUB: dict[str, Any] = {
    "account_sid": "ACfedcba9876543210fedcba9876543210",
    "friendly_name": "Annexe",
    "status": "active",
    "connection_id": None,
}
_MEANINGS = {
    400: "The body is not valid, or Twilio does not take it; reason and twilio_code say which.",
    401: "The API key is missing or not valid.",
    404: "There is no such connection in this account.",
    409: "Not in the present state of things; info says what is in the way.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
    502: "Twilio did not answer, and what it did is not known.",
    503: "Twilio was not reached, or had too many requests: send it again.",
}
ASKED = (502, 503)
_CHECK = OpenApiParameter(
    "check",
    bool,
    description="false: stored untried, without asking Twilio. Then POST …/check tries it.",
)


def errors(*codes: int) -> dict[int, Any]:
    """Document errors of views that ask Twilio."""
    return {code: OpenApiResponse(ErrorSerializer, description=_MEANINGS[code]) for code in codes}


def answer(serializer: Any, description: str, example: Any) -> OpenApiResponse:
    examples = [OpenApiExample(description.rstrip("."), value=example)]
    return OpenApiResponse(serializer, description=description, examples=examples)


def _connection(description: str) -> OpenApiResponse:
    return answer(TwilioConnectionSerializer, description, _CONNECTION)


CONNECTIONS = extend_schema_view(
    list=extend_schema(
        operation_id="twilio_connection_list",
        summary="List connections to Twilio, newest first",
        tags=_TAG,
        responses={200: TwilioConnectionSerializer(many=True), **errors(400, 401)},
        examples=[OpenApiExample("A connection", value=_CONNECTION, response_only=True)],
    ),
    create=extend_schema(
        operation_id="twilio_connection_create",
        summary="Connect a Twilio account",
        description=(
            "Twilio is asked whether it takes the credentials; what it does not take is not stored."
            " An API key signs in to the REST API; webhooks are verified with the auth token."
        ),
        tags=_TAG,
        request={"application/json": TwilioConnectionBodySerializer},
        parameters=[_CHECK],
        responses={
            201: _connection("Connected."),
            **errors(400, 401, 409, 413, 415, *ASKED),
        },
        examples=[
            OpenApiExample(
                "By the auth token",
                value={"name": "Main", "account_sid": _SID, "auth_token": "the console's token"},
                request_only=True,
            ),
            OpenApiExample(
                "A sub-account, by its parent",
                value={
                    "account_sid": _SUB["account_sid"],
                    "parent_id": _CONNECTION["id"],
                },
                request_only=True,
            ),
            OpenApiExample(
                "In Ireland, by an API key",
                value={
                    "account_sid": _SID,
                    "auth_token": "ie1's token",
                    "api_key_sid": _KEY_SID,
                    "api_key_secret": "ie1's secret",
                    "region": "ie1",
                    "edge": "dublin",
                },
                request_only=True,
            ),
        ],
    ),
    retrieve=extend_schema(
        operation_id="twilio_connection_get",
        summary="Read about a connection",
        tags=_TAG,
        responses={200: _connection("The connection."), **errors(401, 404)},
    ),
    partial_update=extend_schema(
        operation_id="twilio_connection_patch",
        summary="Change parts of a connection",
        description=(
            "After RFC 7396: null takes a member away, or a signing key. Twilio is asked if it is"
            " about signing in."
        ),
        tags=_TAG,
        request={
            "application/json": TwilioConnectionBodySerializer,
            "application/merge-patch+json": TwilioConnectionBodySerializer,
        },
        parameters=[_CHECK],
        responses={
            200: _connection("Changed."),
            **errors(400, 401, 404, 409, 413, 415, *ASKED),
        },
        examples=[OpenApiExample("Another name", value={"name": "Seeblick"}, request_only=True)],
    ),
    destroy=extend_schema(
        operation_id="twilio_connection_delete",
        summary="Forget a connection",
        description="409 while a bot is assigned to one of its numbers, or a call of it is live.",
        tags=_TAG,
        responses={204: OpenApiResponse(description="Forgotten."), **errors(401, 404, 409)},
    ),
)
CONNECTION_CHECK = extend_schema(
    operation_id="twilio_connection_check",
    summary="Try a connection at Twilio",
    description="check_error of the answer says what Twilio refuses; empty: it takes it.",
    tags=_TAG,
    request=None,
    responses={200: _connection("As it is now."), **errors(401, 404)},
)
SUBACCOUNTS = extend_schema(
    operation_id="twilio_connection_subaccounts",
    summary="List the sub-accounts that Twilio knows of",
    tags=_TAG,
    responses={
        200: answer(SubAccountsSerializer, "All of them.", {"results": [_SUB]}),
        **errors(400, 401, 404, 409, *ASKED),
    },
)
