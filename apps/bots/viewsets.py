"""REST of the bot configurations, native face, and of the provider catalogue."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import ClassVar

from django.db.models import QuerySet
from django.http import Http404
from django.urls import reverse
from django.utils.http import parse_etags
from rest_framework import status, viewsets
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import account_of, actor_of
from apps.accounts.credentials import credential_addresses, credentials_of
from apps.bots import schema, schema_tools
from apps.bots.addresses import keys_withheld
from apps.bots.answers import TwilioConfigSerializer
from apps.bots.document import draft_read
from apps.bots.filters import ConfigPagination, configs_filtered
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.presentation import catalogue_present, config_present
from apps.bots.rendering import Caller, config_render, variables_check
from apps.bots.selectors import (
    twilio_config_get,
    twilio_configs_listed,
    version_numbered,
    version_shown,
    versions_shown,
)
from apps.bots.serializers import RenderQuerySerializer, RotateSerializer, ToolTrialSerializer
from apps.bots.services import (
    Guard,
    NotADraft,
    StaleVersion,
    Write,
    Written,
    always,
    config_create,
    config_delete,
    config_patch,
    config_replace,
    config_token_rotate,
)
from apps.bots.tooltrials import UnknownTool, tool_try
from apps.core.errors import Conflict, PreconditionFailed
from apps.core.parsers import JsonParser, MergePatchParser, body_of
from apps.providers.base import KINDS
from apps.telephony.twiml import TwimlError

_ERRORS: Mapping[type[Exception], Callable[[], Exception]] = {
    TwilioConfig.DoesNotExist: Http404,
    TwilioConfigVersion.DoesNotExist: Http404,
    StaleVersion: PreconditionFailed,
    NotADraft: lambda: Conflict("Only a draft can be published; restore an older version."),
}


class ConfigErrors:
    """Says in HTTP what the services refuse."""

    def handle_exception(self, exc: Exception) -> Response:
        known = _ERRORS.get(type(exc))
        answer: Response = super().handle_exception(known() if known else exc)  # type: ignore[misc]
        return answer


@schema.CONFIGS
class TwilioConfigViewSet(ConfigErrors, viewsets.GenericViewSet[TwilioConfig]):
    """The caller's bots: list, create, read, change, delete. Another account's bot is a 404."""

    serializer_class = TwilioConfigSerializer
    lookup_url_kwarg = "id"
    parser_classes = (JsonParser, MergePatchParser)
    pagination_class = ConfigPagination
    required_scopes: ClassVar[Mapping[str, str]] = {
        "GET": "configs:read",
        "POST": "configs:write",
        "PUT": "configs:write",
        "PATCH": "configs:write",
        "DELETE": "configs:write",
    }

    def get_queryset(self) -> QuerySet[TwilioConfig]:
        return twilio_configs_listed(account_of(self.request))

    def list(self, request: Request) -> Response:
        found = configs_filtered(self.get_queryset(), request.query_params)
        page = self.paginate_queryset(found) or []
        shown = zip(page, versions_shown(page), strict=True)
        return self.get_paginated_response([config_present(*pair) for pair in shown])

    def create(self, request: Request) -> Response:
        account = account_of(request)
        draft = draft_read(request.data, defaults=account.defaults)
        config = config_create(
            account=account,
            draft=draft,
            actor=actor_of(request),
            publish=not draft_asked(request),
        )
        withheld = keys_withheld(account, draft.document, draft.api_keys or ())
        written = Written(config, version_shown(config), (*draft.notes, *withheld))
        answer = config_answer(written, code=status.HTTP_201_CREATED)
        path = reverse("twilio-config", kwargs={"id": config.id})
        answer["Location"] = request.build_absolute_uri(path)
        return answer

    def retrieve(self, request: Request, id: uuid.UUID) -> Response:
        config = twilio_config_get(account_of(request), id)
        return config_answer(Written(config, version_shown(config, draft=draft_asked(request))))

    def update(self, request: Request, id: uuid.UUID) -> Response:
        return config_answer(config_replace(write_of(request, id), request.data))

    def partial_update(self, request: Request, id: uuid.UUID) -> Response:
        return config_answer(config_patch(write_of(request, id), body_of(request)))

    def destroy(self, request: Request, id: uuid.UUID) -> Response:
        config_delete(write_of(request, id, may_draft=False))
        return Response(status=status.HTTP_204_NO_CONTENT)


@schema.RENDER
class RenderView(ConfigErrors, APIView):
    """What a caller would get."""

    required_scopes: ClassVar[Mapping[str, str]] = {"GET": "configs:read"}

    def get(self, request: Request, id: uuid.UUID) -> Response:
        form = RenderQuerySerializer(data=request.query_params.dict())
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        if wrong := variables_check(asked["variables"]):
            raise ValidationError({"variables": wrong})
        config = twilio_config_get(account_of(request), id)
        number = asked.get("version") or version_shown(config).number
        version = version_numbered(config, number, whole=True)
        caller = Caller(asked["from"], asked["to"], asked["variables"])
        try:
            keys = credential_addresses(account_of(request))
            return Response(config_render(config, version, caller, keys))
        except TwimlError as exc:
            raise ValidationError({"variables": [str(exc)]}) from None


@schema.ROTATE
class RotateTokenView(ConfigErrors, APIView):
    """A new stream token, with an overlap."""

    required_scopes: ClassVar[Mapping[str, str]] = {"POST": "configs:write"}

    def post(self, request: Request, id: uuid.UUID) -> Response:
        form = RotateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        grace_s = form.validated_data["grace_seconds"]
        return config_answer(
            config_token_rotate(write_of(request, id, may_draft=False), grace_s=grace_s)
        )


@schema_tools.TRY_TOOL
class ToolTrialView(ConfigErrors, APIView):
    """A tool, asked as a call would ask it."""

    required_scopes: ClassVar[Mapping[str, str]] = {"POST": "configs:write"}

    def post(self, request: Request, id: uuid.UUID, name: str) -> Response:
        config = twilio_config_get(account_of(request), id)
        form = ToolTrialSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        version = version_shown(config, draft=draft_asked(request), whole=True)
        arguments = form.validated_data["arguments"]
        try:
            return Response(tool_try(config, version, name, arguments, actor_of(request)))
        except UnknownTool as exc:
            raise NotFound(str(exc)) from None


@schema.PROVIDERS
class ProvidersView(APIView):
    """The catalogue of providers."""

    required_scopes: ClassVar[Mapping[str, str]] = {"GET": "configs:read"}

    def get(self, request: Request) -> Response:
        kind = request.query_params.get("kind")
        if kind is not None and kind not in KINDS:
            raise ValidationError({"kind": [f"One of {', '.join(KINDS)}."]})
        return Response({"results": catalogue_present(kind=kind, keys_of=_keys_of(request))})


def _keys_of(request: Request) -> set[str]:
    """The providers that the account has a credential for."""
    return set(credentials_of(account_of(request)).values_list("provider", flat=True))


def draft_asked(request: Request) -> bool:
    """Read ``draft``: whether the drafts' line of versions is meant, not the calls'."""
    asked = request.query_params.get("draft", "false")
    if asked not in ("true", "false"):
        raise ValidationError({"draft": ["true or false."]})
    return asked == "true"


def write_of(request: Request, id: uuid.UUID, *, may_draft: bool = True) -> Write:
    """Return what the request wants written, and under which condition."""
    return Write(
        account=account_of(request),
        config_id=id,
        actor=actor_of(request),
        guard=guard_of(request),
        publish=not (may_draft and draft_asked(request)),
    )


def guard_of(request: Request) -> Guard:
    """Read ``If-Match``. Weak tags never match (RFC 9110, 13.1.1)."""
    header = request.headers.get("If-Match")
    if header is None:
        return always
    tags = parse_etags(header)
    return lambda number: tags == ["*"] or etag_of(number) in tags


def etag_of(number: int) -> str:
    """Return the tag of a bot whose version is shown."""
    return f'"{number}"'


def config_answer(written: Written, *, code: int = status.HTTP_200_OK) -> Response:
    """Answer with a bot as it is now."""
    shown = config_present(written.config, written.version, written.notes)
    answer = Response(shown, status=code)
    answer["ETag"] = etag_of(written.version.number)
    return answer
