"""OpenAPI: how a request says whose it is, what each operation needs, and this app's own."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from apps.accounts.permissions import scope_needed
from apps.accounts.serializers import (
    ApiKeyBodySerializer,
    ApiKeySerializer,
    AuditEntrySerializer,
    AuditFilterSerializer,
    CredentialBodySerializer,
    CredentialSerializer,
    CredentialsSerializer,
    NewApiKeySerializer,
    RotationSerializer,
    VerdictSerializer,
)
from apps.core.schema import ErrorSerializer


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Bearer authentication with an API key."""

    target_class = "apps.accounts.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "bc_<prefix>_<secret>",
            "description": "An API key, of `POST /api-keys` or `manage.py createaccount`.",
        }


class ScopedSchema(AutoSchema):
    """Adds to each operation the scope that its view declares, and the 403 without it."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        scope = scope_needed(self.view, self.method)
        if operation is None or scope is None:
            return operation
        lacking = OpenApiResponse(ErrorSerializer, description=f"The key lacks the scope {scope}.")
        described: Any = self._get_response_for_code  # has no types
        answer = described(lacking, "403", ["application/json"])
        operation["responses"].setdefault("403", answer)
        operation["x-required-scope"] = scope
        return operation


_KEY = {
    "id": "0d1f3c52-8a4e-4f0b-9c2d-5e6f7a8b9c0d",
    "name": "deploy",
    "prefix": "bc_0123456789ab",
    "scopes": ["configs:read", "configs:write"],
    "created_at": "2026-01-31T12:00:00Z",
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": "2026-02-01T08:30:00Z",
}
_NEW_KEY = {**_KEY, "last_used_at": None, "key": "bc_0123456789ab_shown-this-once"}
_CREDENTIAL = {
    "provider": "openai",
    "last4": "…abcd",
    "base_url": "",
    "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z",
}
_ENTRY = {
    "id": "7b0e6f4a-1c2d-4e3f-8a9b-0c1d2e3f4a5b",
    "created_at": "2026-01-31T12:00:00Z",
    "action": "api_key.revoke",
    "target_kind": "api_key",
    "target_id": _KEY["id"],
    "actor_kind": "key",
    "actor_id": "5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de",
    "actor_name": "first",
    "address": "203.0.113.7",
    "request_id": "9f2c4e1b7a604a0a8d3f1c55b1f0a7de",
    "before": {"revoked_at": None},
    "after": {"revoked_at": "2026-01-31T12:00:00+00:00"},
}

_MEANINGS = {
    400: "The body or a parameter is not valid.",
    401: "The API key is missing or not valid.",
    404: "There is no such thing in this account.",
    409: "The key is revoked, expired or rotated already.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
}


def _errors(*codes: int) -> dict[int, Any]:
    return {code: OpenApiResponse(ErrorSerializer, description=_MEANINGS[code]) for code in codes}


def _answer(serializer: Any, description: str, example: Any) -> OpenApiResponse:
    examples = [OpenApiExample(description.rstrip("."), value=example)]
    return OpenApiResponse(serializer, description=description, examples=examples)


_PROVIDER = OpenApiParameter(
    "provider", str, OpenApiParameter.PATH, description="A provider of GET /providers with a key."
)

API_KEYS = extend_schema_view(
    list=extend_schema(
        operation_id="api_key_list",
        summary="List API keys, newest first",
        tags=["api-keys"],
        responses={200: ApiKeySerializer(many=True), **_errors(400, 401)},
        examples=[OpenApiExample("A key", value=_KEY, response_only=True)],
    ),
    create=extend_schema(
        operation_id="api_key_create",
        summary="Make an API key; the answer has the key, this once",
        tags=["api-keys"],
        request=ApiKeyBodySerializer,
        responses={
            201: _answer(NewApiKeySerializer, "Made.", _NEW_KEY),
            **_errors(400, 401, 413, 415),
        },
        examples=[
            OpenApiExample(
                "Reads calls until May",
                value={
                    "name": "reports",
                    "scopes": ["calls:read"],
                    "expires_at": "2027-05-01T00:00:00Z",
                },
                request_only=True,
            )
        ],
    ),
    retrieve=extend_schema(
        operation_id="api_key_get",
        summary="Read about an API key",
        tags=["api-keys"],
        responses={200: _answer(ApiKeySerializer, "The key.", _KEY), **_errors(401, 404)},
    ),
    destroy=extend_schema(
        operation_id="api_key_revoke",
        summary="End an API key at once",
        description="Ending it again is fine, and changes nothing.",
        tags=["api-keys"],
        responses={204: OpenApiResponse(description="Ended."), **_errors(401, 404)},
    ),
)
# Not in the views above, because drf-spectacular finds only the usual actions there.
API_KEY_ROTATE = extend_schema(
    operation_id="api_key_rotate",
    summary="Make an API key's successor; the old one works on for a while",
    description="409 for a key that is over, or whose successor lives: revoke that one first.",
    tags=["api-keys"],
    request=RotationSerializer,
    responses={
        201: _answer(NewApiKeySerializer, "The successor.", _NEW_KEY),
        **_errors(400, 401, 404, 409, 413, 415),
    },
    examples=[OpenApiExample("An hour", value={"grace_seconds": 3600}, request_only=True)],
)

CREDENTIALS = extend_schema_view(
    list=extend_schema(
        operation_id="credential_list",
        summary="List the vendors whose keys are stored",
        tags=["credentials"],
        responses={
            200: _answer(CredentialsSerializer, "All of them.", {"results": [_CREDENTIAL]}),
            **_errors(401),
        },
    ),
    retrieve=extend_schema(
        operation_id="credential_get",
        summary="Read about a vendor's key",
        tags=["credentials"],
        parameters=[_PROVIDER],
        responses={
            200: _answer(CredentialSerializer, "The key's end.", _CREDENTIAL),
            **_errors(401, 404),
        },
    ),
    update=extend_schema(
        operation_id="credential_put",
        summary="Store a vendor's key, for bots that bring none of their own",
        tags=["credentials"],
        parameters=[_PROVIDER],
        request=CredentialBodySerializer,
        responses={
            200: _answer(CredentialSerializer, "Stored.", _CREDENTIAL),
            **_errors(400, 401, 404, 413, 415),
        },
        examples=[OpenApiExample("A key", value={"api_key": "sk-…abcd"}, request_only=True)],
    ),
    destroy=extend_schema(
        operation_id="credential_delete",
        summary="Forget a vendor's key",
        tags=["credentials"],
        parameters=[_PROVIDER],
        responses={204: OpenApiResponse(description="Forgotten."), **_errors(401, 404)},
    ),
)
CREDENTIAL_TEST = extend_schema(
    operation_id="credential_test",
    summary="Ask the vendor whether the stored key is good",
    description="Costs nothing at the vendor. ok is null where it cannot be told; see reason.",
    tags=["credentials"],
    parameters=[_PROVIDER],
    request=None,
    responses={
        200: _answer(
            VerdictSerializer,
            "What the vendor says.",
            {
                "ok": False,
                "reason": "auth",
                "info": "The vendor refuses the key (401).",
                "latency_ms": 182.4,
            },
        ),
        **_errors(401, 404),
    },
)

AUDIT_LOG = extend_schema_view(
    list=extend_schema(
        operation_id="audit_log_list",
        summary="List what was done in the account, newest first",
        tags=["audit-log"],
        parameters=[AuditFilterSerializer],
        responses={200: AuditEntrySerializer(many=True), **_errors(400, 401)},
        examples=[OpenApiExample("A key was ended", value=_ENTRY, response_only=True)],
    )
)
