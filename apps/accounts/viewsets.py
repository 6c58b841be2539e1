"""REST of API keys, vendors' credentials and the audit log. All of it needs the scope admin."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from django.urls import reverse
from rest_framework import mixins, status, viewsets
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import schema
from apps.accounts.authentication import account_of, actor_of
from apps.accounts.credentials import (
    NoAddress,
    UnknownProvider,
    credential_delete,
    credential_put,
    credential_test,
    credentials_of,
    provider_check,
)
from apps.accounts.models import ApiKey, AuditEntry, Credential
from apps.accounts.scopes import ADMIN
from apps.accounts.selectors import api_keys_of, audit_entries_of
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
from apps.accounts.services import KeyIsOver, api_key_create, api_key_revoke, api_key_rotate
from apps.core.errors import Conflict


@schema.API_KEYS
class ApiKeyViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[ApiKey]):
    """The account's API keys. Another account's key is a 404."""

    required_scopes: ClassVar[Mapping[str, str]] = {"GET": ADMIN, "POST": ADMIN, "DELETE": ADMIN}
    queryset = ApiKey.objects.none()
    serializer_class = ApiKeySerializer
    lookup_url_kwarg = "id"

    def get_queryset(self) -> QuerySet[ApiKey]:
        return api_keys_of(account_of(self.request))

    def create(self, request: Request) -> Response:
        body = ApiKeyBodySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        key, secret = api_key_create(
            account=account_of(request), actor=actor_of(request), **body.validated_data
        )
        return self._shown_once(key, secret)

    def retrieve(self, request: Request, id: uuid.UUID) -> Response:
        return Response(ApiKeySerializer(get_object_or_404(self.get_queryset(), pk=id)).data)

    def destroy(self, request: Request, id: uuid.UUID) -> Response:
        key = get_object_or_404(self.get_queryset(), pk=id)
        api_key_revoke(key=key, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @schema.API_KEY_ROTATE
    def rotate(self, request: Request, id: uuid.UUID) -> Response:
        body = RotationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            key, secret = api_key_rotate(
                account=account_of(request),
                key_id=id,
                actor=actor_of(request),
                grace=timedelta(seconds=body.validated_data["grace_seconds"]),
            )
        except ApiKey.DoesNotExist:
            raise Http404 from None
        except KeyIsOver as exc:
            raise Conflict(str(exc)) from None
        return self._shown_once(key, secret)

    def _shown_once(self, key: ApiKey, secret: str) -> Response:
        shown = NewApiKeySerializer(key, context={"key": secret}).data
        answer = Response(shown, status=status.HTTP_201_CREATED)
        path = reverse("api-key", kwargs={"id": key.id})
        answer["Location"] = self.request.build_absolute_uri(path)
        answer["Cache-Control"] = "no-store"
        return answer


@schema.CREDENTIALS
class CredentialViewSet(viewsets.GenericViewSet[Credential]):
    """The account's keys at vendors, by provider: written, tried, forgotten, never read."""

    required_scopes: ClassVar[Mapping[str, str]] = {
        "GET": ADMIN,
        "PUT": ADMIN,
        "POST": ADMIN,
        "DELETE": ADMIN,
    }
    queryset = Credential.objects.none()
    serializer_class = CredentialSerializer
    lookup_field = "provider"
    pagination_class = None  # one a provider: the list has an end

    def get_queryset(self) -> QuerySet[Credential]:
        return credentials_of(account_of(self.request))

    def list(self, request: Request) -> Response:
        found = self.get_queryset()
        return Response(CredentialsSerializer({"results": found}).data)

    def retrieve(self, request: Request, provider: str) -> Response:
        provider_check(provider)
        found = self.get_queryset().get(provider=provider)
        return Response(CredentialSerializer(found).data)

    def update(self, request: Request, provider: str) -> Response:
        provider_check(provider)
        body = CredentialBodySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        found = credential_put(**self._named(provider), **body.validated_data)
        return Response(CredentialSerializer(found).data)

    def destroy(self, request: Request, provider: str) -> Response:
        credential_delete(**self._named(provider))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @schema.CREDENTIAL_TEST
    def test(self, request: Request, provider: str) -> Response:
        return Response(VerdictSerializer(credential_test(**self._named(provider))).data)

    def _named(self, provider: str) -> dict[str, Any]:
        request = self.request
        return {
            "account": account_of(request),
            "provider": provider,
            "actor": actor_of(request),
        }

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, UnknownProvider):
            exc = NotFound(str(exc))
        elif isinstance(exc, NoAddress):
            exc = ValidationError({"base_url": [str(exc)]})
        elif isinstance(exc, Credential.DoesNotExist):
            exc = Http404()
        return super().handle_exception(exc)


@schema.AUDIT_LOG
class AuditLogViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[AuditEntry]):
    """What was done in the account, newest first."""

    required_scopes: ClassVar[Mapping[str, str]] = {"GET": ADMIN}
    queryset = AuditEntry.objects.none()
    serializer_class = AuditEntrySerializer

    def get_queryset(self) -> QuerySet[AuditEntry]:
        asked = AuditFilterSerializer(data=self.request.query_params.dict())
        asked.is_valid(raise_exception=True)
        return audit_entries_of(account_of(self.request), **asked.validated_data)
