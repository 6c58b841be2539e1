"""REST of an account's connections to Twilio."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import ClassVar

from django.db.models import QuerySet
from django.http import Http404
from django.urls import reverse
from rest_framework import mixins, status, viewsets
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import connection_schema as schema
from apps.accounts.authentication import account_of, actor_of
from apps.accounts.connection_serializers import (
    CheckQuerySerializer,
    SubAccountsSerializer,
    TwilioConnectionBodySerializer,
    TwilioConnectionPatchSerializer,
    TwilioConnectionSerializer,
)
from apps.accounts.connections import (
    ConnectionChanged,
    ConnectionInUse,
    Saved,
    connection_check,
    connection_create,
    connection_delete,
    connection_patch,
    connections_of,
    subaccounts_of,
)
from apps.accounts.models import TwilioConnection
from apps.accounts.scopes import ADMIN
from apps.accounts.twilio_errors import TwilioErrors
from apps.core.errors import Conflict
from apps.core.pagination import NewestFirstPagination
from apps.core.parsers import JsonParser, MergePatchParser, body_of

_ERRORS: Mapping[type[Exception], Callable[[Exception], Exception]] = {
    TwilioConnection.DoesNotExist: lambda _: Http404(),
    ConnectionInUse: lambda exc: Conflict(str(exc)),
    ConnectionChanged: lambda _: Conflict("Somebody else changed it meanwhile; read it again."),
}


@schema.CONNECTIONS
class ConnectionViewSet(
    TwilioErrors, mixins.ListModelMixin, viewsets.GenericViewSet[TwilioConnection]
):
    """The account's connections to Twilio. Another account's is a 404."""

    required_scopes: ClassVar[Mapping[str, str]] = {
        "GET": "phones:read",
        "POST": ADMIN,
        "PATCH": ADMIN,
        "DELETE": ADMIN,
    }
    queryset = TwilioConnection.objects.none()
    serializer_class = TwilioConnectionSerializer
    parser_classes = (JsonParser, MergePatchParser)
    pagination_class = NewestFirstPagination

    def get_queryset(self) -> QuerySet[TwilioConnection]:
        return connections_of(account_of(self.request))

    def create(self, request: Request) -> Response:
        body = TwilioConnectionBodySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        saved = connection_create(
            account=account_of(request),
            given=body.validated_data,
            actor=actor_of(request),
            check=_checks(request),
        )
        answer = _answer(saved, status.HTTP_201_CREATED)
        path = reverse("twilio-connection", kwargs={"id": saved.connection.id})
        answer["Location"] = request.build_absolute_uri(path)
        return answer

    def retrieve(self, request: Request, id: uuid.UUID) -> Response:
        return _answer(Saved(get_object_or_404(self.get_queryset(), pk=id)))

    def partial_update(self, request: Request, id: uuid.UUID) -> Response:
        body = TwilioConnectionPatchSerializer(body_of(request))
        body.is_valid(raise_exception=True)
        saved = connection_patch(
            account=account_of(request),
            connection_id=id,
            given=body.validated_data,
            actor=actor_of(request),
            check=_checks(request),
        )
        return _answer(saved)

    def destroy(self, request: Request, id: uuid.UUID) -> Response:
        connection_delete(account=account_of(request), connection_id=id, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @schema.CONNECTION_CHECK
    def check(self, request: Request, id: uuid.UUID) -> Response:
        account, actor = account_of(request), actor_of(request)
        return _answer(connection_check(account=account, connection_id=id, actor=actor))

    @schema.SUBACCOUNTS
    def subaccounts(self, request: Request, id: uuid.UUID) -> Response:
        found = subaccounts_of(account=account_of(request), connection_id=id)
        return Response(SubAccountsSerializer({"results": found}).data)

    def handle_exception(self, exc: Exception) -> Response:
        known = _ERRORS.get(type(exc))
        return super().handle_exception(known(exc) if known else exc)


def _checks(request: Request) -> bool:
    asked = CheckQuerySerializer(data=request.query_params.dict())
    asked.is_valid(raise_exception=True)
    return bool(asked.validated_data["check"])


def _answer(saved: Saved, code: int = status.HTTP_200_OK) -> Response:
    shown = TwilioConnectionSerializer(saved.connection, context={"notes": saved.notes})
    return Response(shown.data, status=code)
