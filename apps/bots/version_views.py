"""REST of a bot's versions: read, publish, restore."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import ClassVar

from rest_framework import status, viewsets
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.authentication import account_of
from apps.bots import schema
from apps.bots.answers import VersionSerializer
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.presentation import config_present, version_present
from apps.bots.selectors import twilio_config_get, versions_before, versions_of
from apps.bots.services import config_publish, config_restore
from apps.bots.viewsets import ConfigErrors, config_answer, write_of
from apps.core.pagination import NewestFirstPagination


class NewestVersionFirst(NewestFirstPagination):
    """By number, which is unique in a bot."""

    ordering = ("-number", "-id")


@schema.VERSIONS
class VersionViewSet(ConfigErrors, viewsets.GenericViewSet[TwilioConfigVersion]):
    """A bot's history. Another account's bot is a 404."""

    serializer_class = VersionSerializer
    pagination_class = NewestVersionFirst
    required_scopes: ClassVar[Mapping[str, str]] = {
        "GET": "configs:read",
        "POST": "configs:write",
    }

    def list(self, request: Request, id: uuid.UUID) -> Response:
        config = self._config(request, id)
        page = self.paginate_queryset(versions_of(config)) or []
        before = versions_before(config, page)
        return self.get_paginated_response(
            [version_present(config, found, before.get(found.number - 1)) for found in page]
        )

    def retrieve(self, request: Request, id: uuid.UUID, number: int) -> Response:
        config = self._config(request, id)
        version = get_object_or_404(versions_of(config), number=number)
        before = versions_before(config, [version])
        return Response(
            {
                **version_present(config, version, before.get(number - 1)),
                "content": config_present(config, version),
            }
        )

    @schema.PUBLISH
    def publish(self, request: Request, id: uuid.UUID, number: int) -> Response:
        return config_answer(config_publish(write_of(request, id, may_draft=False), number))

    @schema.RESTORE
    def restore(self, request: Request, id: uuid.UUID, number: int) -> Response:
        written = config_restore(write_of(request, id, may_draft=False), number)
        return config_answer(written, code=status.HTTP_201_CREATED)

    def _config(self, request: Request, id: uuid.UUID) -> TwilioConfig:
        return twilio_config_get(account_of(request), id)
