"""The Daily Bots face: ``/v1/twilio-config`` and ``/v1/bots/twilio-config``.

A script written for Daily Bots works by changing its base URL and key. What their documentation
leaves open (the status of a create, what a list and a delete answer) is as their demos expect it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework import serializers, viewsets
from rest_framework.exceptions import NotAuthenticated
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.authentication import account_of, actor_of, authorization_is_readable
from apps.bots import dailybots
from apps.bots.answers import DailyBotsSerializer
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.presentation import dailybots_present
from apps.bots.schema_dailybots import DAILYBOTS
from apps.bots.selectors import twilio_configs_of, version_shown, versions_shown
from apps.bots.services import Write, config_create, config_delete, config_replace
from apps.bots.viewsets import ConfigErrors
from apps.core.handling import exception_handler
from apps.core.parsers import JsonParser

# Their list has no pages; ours ends somewhere.
LONGEST_LIST = 1_000


@DAILYBOTS
class DailyBotsViewSet(ConfigErrors, viewsets.GenericViewSet[TwilioConfig]):
    """The account's bots in Daily Bots' form, whichever face they were made on."""

    lookup_url_kwarg = "id"
    serializer_class = DailyBotsSerializer
    parser_classes = (JsonParser,)
    pagination_class = None
    required_scopes: ClassVar[Mapping[str, str]] = {
        "GET": "configs:read",
        "POST": "configs:write",
        "DELETE": "configs:write",
    }

    def get_queryset(self) -> QuerySet[TwilioConfig]:
        configs = twilio_configs_of(account_of(self.request))
        return configs.select_related("current").defer("current__secrets", "previous_stream_token")

    def list(self, request: Request) -> Response:
        found = self.get_queryset()
        page = list(found.order_by("-created_at", "-id")[:LONGEST_LIST])
        shown = zip(page, versions_shown(page), strict=True)
        data = [dailybots_present(config, version) for config, version in shown]
        return Response({"total_count": found.count(), "data": data})

    def create(self, request: Request) -> Response:
        draft = draft_read(_body(request.data))
        config = config_create(account=account_of(request), draft=draft, actor=actor_of(request))
        return self._answer(config)

    def retrieve(self, request: Request, id: uuid.UUID) -> Response:
        return self._answer(get_object_or_404(self.get_queryset(), pk=id))

    def update(self, request: Request, id: uuid.UUID) -> Response:
        written = config_replace(_write(request, id), _body(request.data))
        return self._answer(written.config)

    def destroy(self, request: Request, id: uuid.UUID) -> Response:
        config_delete(_write(request, id))
        return Response({"deleted": True, "id": str(id)})

    def get_exception_handler(self) -> Callable[..., Any]:
        return _handler

    def _answer(self, config: TwilioConfig) -> Response:
        return Response(dailybots_present(config, version_shown(config, whole=True)))


def _write(request: Request, id: uuid.UUID) -> Write:
    return Write(account=account_of(request), config_id=id, actor=actor_of(request))


def _body(body: Any) -> Any:
    """Their face takes their form alone; what a client sends back of an answer is taken out."""
    if not isinstance(body, Mapping):
        return body
    if not dailybots.is_dailybots(body):
        raise serializers.ValidationError(
            {
                "config": [
                    'A list of {"service", "options"}; the native form goes to /twilio-config.'
                ]
            }
        )
    return {name: value for name, value in body.items() if name not in ("id", "twiml")}


def _handler(exc: Exception, context: dict[str, Any]) -> HttpResponse:
    """Answer ``{"error", "info"}``. A missing or malformed header is not what a bad key is."""
    request: Request = context["request"]
    answer = exception_handler(exc, context)
    if not isinstance(answer, Response):
        return answer  # a first answer once more, in the form that it had
    found = answer.data
    if answer.status_code == 401 and not authorization_is_readable(request):
        answer.status_code = 400
        del answer["WWW-Authenticate"]
        found = {**found, "error": "authorization-header-error"}
        if isinstance(exc, NotAuthenticated):
            found["info"] = "The Authorization header is missing: Bearer <API key>."
    fields = found.get("fields") or {}
    complaints = "; ".join(f"{path}: {' '.join(texts)}" for path, texts in fields.items())
    info = f"{found['info']}: {complaints}" if complaints else found["info"]
    answer.data = {"error": found["error"], "info": info}
    return answer
