"""REST of the bot configurations and the provider catalogue."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.urls import reverse
from django.utils.http import parse_etags
from rest_framework import status, viewsets
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import account_of, actor_of
from apps.bots import schema
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.presentation import catalogue_present, config_present
from apps.bots.selectors import twilio_configs_listed
from apps.bots.serializers import TwilioConfigSerializer
from apps.bots.services import (
    Guard,
    StaleVersion,
    config_create,
    config_delete,
    config_patch,
    config_replace,
)
from apps.core.errors import PreconditionFailed
from apps.core.parsers import JsonParser, MergePatchParser, body_of


@schema.CONFIGS
class TwilioConfigViewSet(viewsets.GenericViewSet[TwilioConfig]):
    """The caller's bots: list, create, read, change, delete. Another account's bot is a 404."""

    serializer_class = TwilioConfigSerializer
    lookup_url_kwarg = "id"
    parser_classes = (JsonParser, MergePatchParser)

    def get_queryset(self) -> QuerySet[TwilioConfig]:
        return twilio_configs_listed(account_of(self.request))

    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset()) or []
        shown = TwilioConfigSerializer([config_present(config) for config in page], many=True)
        return self.get_paginated_response(shown.data)

    def create(self, request: Request) -> Response:
        draft = draft_read(request.data)
        config = config_create(account=account_of(request), draft=draft, actor=actor_of(request))
        answer = _answer(config, draft.notes, code=status.HTTP_201_CREATED)
        path = reverse("twilio-config", kwargs={"id": config.id})
        answer["Location"] = request.build_absolute_uri(path)
        return answer

    def retrieve(self, request: Request, id: uuid.UUID) -> Response:
        return _answer(get_object_or_404(self.get_queryset(), pk=id))

    def update(self, request: Request, id: uuid.UUID) -> Response:
        draft = draft_read(request.data)
        config = config_replace(
            account=account_of(request),
            config_id=id,
            draft=draft,
            actor=actor_of(request),
            guard=_guard(request),
        )
        return _answer(config, draft.notes)

    def partial_update(self, request: Request, id: uuid.UUID) -> Response:
        config, draft = config_patch(
            account=account_of(request),
            config_id=id,
            patch=body_of(request),
            actor=actor_of(request),
            guard=_guard(request),
        )
        return _answer(config, draft.notes)

    def destroy(self, request: Request, id: uuid.UUID) -> Response:
        config_delete(account=account_of(request), config_id=id, guard=_guard(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, TwilioConfig.DoesNotExist):
            exc = Http404()
        elif isinstance(exc, StaleVersion):
            exc = PreconditionFailed()
        return super().handle_exception(exc)


@schema.PROVIDERS
class ProvidersView(APIView):
    """The catalogue of providers."""

    def get(self, request: Request) -> Response:
        return Response({"results": catalogue_present()})


def _etag(number: int) -> str:
    return f'"{number}"'


def _guard(request: Request) -> Guard:
    """Read ``If-Match``. Weak tags never match (RFC 9110, 13.1.1)."""
    header = request.headers.get("If-Match")
    if header is None:
        return lambda number: True
    tags = parse_etags(header)
    return lambda number: tags == ["*"] or _etag(number) in tags


def _answer(
    config: TwilioConfig, notes: Iterable[str] = (), *, code: int = status.HTTP_200_OK
) -> Response:
    shown: dict[str, Any] = config_present(config, notes)
    answer = Response(TwilioConfigSerializer(shown).data, status=code)
    answer["ETag"] = _etag(shown["version"])
    return answer
