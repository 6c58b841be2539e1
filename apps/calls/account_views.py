"""GET and PATCH /account: what an account sets for its bots and its dialling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import account_of, actor_of
from apps.accounts.connection_schema import answer, errors
from apps.accounts.models import Account
from apps.accounts.scopes import ADMIN
from apps.accounts.services import ACCOUNT_SECRETS, account_patch
from apps.calls.account_serializers import AccountBodySerializer, AccountSerializer, patch_read
from apps.core.parsers import JsonParser, MergePatchParser, body_of

_TAG = ["account"]
_HOURS = {"from": "09:00", "until": "20:00", "days": ["mon", "tue"], "timezone": "callee"}
_ACCOUNT: dict[str, Any] = {
    "id": "0f0e0d0c-1111-4222-8333-444455556666",
    "name": "Hotel Seeblick",
    "max_live_calls": 100,
    "calls_per_second": 1,
    "allowed_countries": ["DE", "AT", "CH"],
    "calling_hours": _HOURS,
    "defaults": {"llm": {"provider": "openai", "model": "gpt-5-mini"}},
    "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z",
}


class AccountView(APIView):
    """The account that the key is of."""

    required_scopes: ClassVar[Mapping[str, str]] = {"GET": ADMIN, "PATCH": ADMIN}
    parser_classes = (JsonParser, MergePatchParser)

    @extend_schema(
        operation_id="account_get",
        summary="Read the account's settings",
        tags=_TAG,
        responses={200: answer(AccountSerializer, "The account.", _ACCOUNT), **errors(401)},
    )
    def get(self, request: Request) -> Response:
        return Response(AccountSerializer(_account(request)).data)

    @extend_schema(
        operation_id="account_patch",
        summary="Change settings of the account",
        description=(
            "After RFC 7396: null takes back what was set. calling_hours and allowed_countries hold"
            " for calls that are dialled. max_live_calls is the server's operator's to set."
        ),
        tags=_TAG,
        request={"application/json": AccountBodySerializer},
        responses={
            200: answer(AccountSerializer, "Changed.", _ACCOUNT),
            **errors(400, 401, 413, 415),
        },
        examples=[
            OpenApiExample(
                "When and where may be dialled",
                value={"calling_hours": _HOURS, "allowed_countries": ["DE", "AT", "CH"]},
                request_only=True,
            )
        ],
    )
    def patch(self, request: Request) -> Response:
        account = _account(request)
        changed = account_patch(
            account_id=account.pk,
            changes=patch_read(account, body_of(request)),
            actor=actor_of(request),
        )
        return Response(AccountSerializer(changed).data)


def _account(request: Request) -> Account:
    return Account.objects.defer(*ACCOUNT_SECRETS).get(pk=account_of(request).pk)
