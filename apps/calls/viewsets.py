"""REST of calls: list, read, dial, hang up."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from django.urls import reverse
from rest_framework import mixins, status, viewsets
from rest_framework.exceptions import APIException, Throttled, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from apps.accounts.authentication import account_of, actor_of
from apps.accounts.twilio_errors import TwilioErrors, TwilioRefusal
from apps.calls import schema
from apps.calls.control import GatewayNotReached, OrderRefused
from apps.calls.dial_serializers import DialSerializer
from apps.calls.dialling import AnotherCall, NotNow, WishRefused, call_dial
from apps.calls.filters import calls_filtered
from apps.calls.hangup import NothingToHangUpWith, call_hang_up
from apps.calls.lines import Busy, TooFast
from apps.calls.models import Call
from apps.calls.selectors import calls_of, calls_with_transcript
from apps.calls.serializers import CallDetailSerializer, CallSerializer
from apps.core.errors import Conflict, Unprocessable
from apps.core.idempotency import HEADER
from apps.core.pagination import NewestFirstPagination
from apps.telephony.rest import MEANINGS, TwilioError

RETRY_AFTER_S = 1


class NewestCallFirst(NewestFirstPagination):
    """By the time they began."""

    ordering = ("-started_at", "-id")


class DialConflict(Conflict):
    """Not now. fields: the member of the request that it hangs on."""

    def __init__(self, refused: NotNow) -> None:
        super().__init__(str(refused))
        self.fields = {refused.field: [str(refused)]} if refused.field else {}


class Unreached(APIException):
    """Somebody who has to do it did not answer."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "unavailable-error"
    wait = RETRY_AFTER_S  # DRF makes it Retry-After


_ERRORS: Mapping[type[Exception], Callable[[Any], Exception]] = {
    Call.DoesNotExist: lambda exc: Http404(),
    WishRefused: lambda exc: ValidationError(exc.fields),
    NotNow: DialConflict,
    Busy: lambda exc: Conflict(str(exc)),
    TooFast: lambda exc: Throttled(wait=exc.wait_s, detail=str(exc)),
    AnotherCall: lambda exc: Unprocessable(f"This {HEADER} was used for another call."),
    OrderRefused: lambda exc: Conflict(str(exc)),
    GatewayNotReached: lambda exc: Unreached(str(exc)),
    NothingToHangUpWith: lambda exc: Conflict(
        "The call runs at a Twilio account that no connection is stored of; hang it up there."
    ),
}


class CallErrors(TwilioErrors):
    """Says in HTTP what the services refuse."""

    def handle_exception(self, exc: Exception) -> Response:
        known = _ERRORS.get(type(exc))
        return super().handle_exception(known(exc) if known else exc)


@schema.CALLS
class CallViewSet(
    CallErrors,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    viewsets.GenericViewSet[Call],
):
    """The account's calls. Another account's call is a 404."""

    required_scopes: ClassVar[Mapping[str, str]] = {"GET": "calls:read", "POST": "calls:write"}
    queryset = Call.objects.none()
    serializer_class: type[BaseSerializer[Call]] = CallSerializer
    pagination_class = NewestCallFirst
    lookup_value_converter = "uuid"

    def get_serializer_class(self) -> type[BaseSerializer[Call]]:
        return CallDetailSerializer if self.action == "retrieve" else CallSerializer

    def get_queryset(self) -> QuerySet[Call]:
        account = account_of(self.request)
        if self.action == "retrieve":
            return calls_with_transcript(account)
        return calls_filtered(calls_of(account), self.request.query_params)

    def create(self, request: Request) -> Response:
        body = DialSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        call = call_dial(
            account=account_of(request),
            wish=body.wish(),
            actor=actor_of(request),
            key=request.headers.get(HEADER, ""),
        )
        if call.status == Call.Status.FAILED and call.error_code and not call.call_sid:
            raise refusal_of(call)
        answer = Response(CallSerializer(call).data, status=status.HTTP_201_CREATED)
        answer["Location"] = request.build_absolute_uri(reverse("call", kwargs={"pk": call.id}))
        return answer


def refusal_of(call: Call) -> TwilioRefusal:
    """Return what a call that Twilio would not place is answered with."""
    code = int(call.error_code)
    meaning = MEANINGS.get(code)
    blamed = meaning.field if meaning else ""
    refusal = TwilioRefusal(TwilioError(call.end_reason, call.error, code=code, field=blamed))
    refusal.members = {**refusal.members, "call_id": str(call.id)}
    return refusal


class HangUpView(CallErrors, APIView):
    """Ends a call."""

    required_scopes: ClassVar[Mapping[str, str]] = {"POST": "calls:write"}

    @schema.HANG_UP
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        call = call_hang_up(account=account_of(request), call_id=pk, actor=actor_of(request))
        return Response(CallSerializer(call).data)
