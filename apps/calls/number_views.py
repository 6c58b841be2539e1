"""REST of the phone numbers of the connected Twilio accounts."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import mixins, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.authentication import account_of, actor_of
from apps.accounts.models import Account
from apps.accounts.twilio_errors import TwilioErrors
from apps.bots.models import TwilioConfig
from apps.bots.selectors import twilio_configs_of
from apps.calls import number_schema as schema
from apps.calls.models import PhoneNumber
from apps.calls.number_serializers import (
    AssignmentSerializer,
    NumberFilterSerializer,
    PhoneNumberSerializer,
    RepairSerializer,
)
from apps.calls.number_watch import numbers_refresh
from apps.calls.numbers import (
    Change,
    NotReachable,
    NumberChanging,
    NumberOverridden,
    number_assign,
    number_repair,
    number_unassign,
    phone_numbers_of,
)
from apps.core.errors import Conflict
from apps.core.pagination import NewestFirstPagination

_ERRORS: Mapping[type[Exception], Callable[[Exception], Exception]] = {
    PhoneNumber.DoesNotExist: lambda _: Http404(),
    NumberChanging: lambda _: Conflict("Somebody else is changing the number; try again."),
    NumberOverridden: lambda exc: Conflict(str(exc)),
    NotReachable: lambda exc: Conflict(str(exc)),
}


class ByNumber(NewestFirstPagination):
    """By their digits."""

    ordering = ("number", "id")


@schema.NUMBERS
class PhoneNumberViewSet(TwilioErrors, mixins.ListModelMixin, viewsets.GenericViewSet[PhoneNumber]):
    """The account's numbers. Another account's number is a 404."""

    required_scopes: ClassVar[Mapping[str, str]] = {
        "GET": "phones:read",
        "PUT": "phones:write",
        "POST": "phones:write",
    }
    queryset = PhoneNumber.objects.none()
    serializer_class = PhoneNumberSerializer
    lookup_field = "sid"
    pagination_class = ByNumber

    def get_queryset(self) -> QuerySet[PhoneNumber]:
        account = account_of(self.request)
        asked = NumberFilterSerializer(data=self.request.query_params.dict())
        asked.is_valid(raise_exception=True)
        which = asked.validated_data
        failed = numbers_refresh(account, only_new=not which["refresh"])
        if failed and which["refresh"] and failed[0].error is not None:
            raise failed[0].error
        return phone_numbers_of(account).filter(**_filters(which))

    def retrieve(self, request: Request, sid: str) -> Response:
        return self._answer(sid)

    def update(self, request: Request, sid: str) -> Response:
        body = AssignmentSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        change = self._change(sid, replace=given["replace_application"], restore=given["restore"])
        if given["config_id"] is None:
            number_unassign(change)
        else:
            number_assign(change, _config(change.account, given["config_id"]))
        return self._answer(sid)

    @schema.NUMBER_REPAIR
    def repair(self, request: Request, sid: str) -> Response:
        body = RepairSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        number_repair(self._change(sid, replace=body.validated_data["replace_application"]))
        return self._answer(sid)

    def handle_exception(self, exc: Exception) -> Response:
        known = _ERRORS.get(type(exc))
        return super().handle_exception(known(exc) if known else exc)

    def _change(self, sid: str, **how: Any) -> Change:
        account = account_of(self.request)
        found = phone_numbers_of(account).filter(sid=sid)
        if not found.exists():
            # It may be of a connection whose numbers nobody has listed yet.
            numbers_refresh(account, only_new=True)
            found.get()
        return Change(account, sid, actor_of(self.request), **how)

    def _answer(self, sid: str) -> Response:
        found = phone_numbers_of(account_of(self.request)).get(sid=sid)
        return Response(PhoneNumberSerializer(found).data)


def _filters(which: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: which[name] for name in ("connection_id", "config_id") if name in which}
    if "drifted" in which:
        found["drifted_at__isnull"] = not which["drifted"]
    return found


def _config(account: Account, config_id: uuid.UUID) -> TwilioConfig:
    found = twilio_configs_of(account).filter(pk=config_id).first()
    if found is None:
        raise ValidationError({"config_id": ["No bot of this account has this id."]})
    return found
