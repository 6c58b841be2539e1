"""REST of calls that are on: say, press keys, put through."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import account_of, actor_of
from apps.calls import control_schema as schema
from apps.calls.control_serializers import (
    DtmfSerializer,
    SaySerializer,
    TransferOrderSerializer,
)
from apps.calls.live import call_press, call_say
from apps.calls.reach import NoConnection
from apps.calls.serializers import CallSerializer, CallTransferSerializer
from apps.calls.transfers import call_transfer
from apps.calls.viewsets import CallErrors
from apps.core.errors import Conflict

_ERRORS: Mapping[type[Exception], Callable[[Any], Exception]] = {
    NoConnection: lambda exc: Conflict(
        "Twilio has to do this, and nothing is stored that it could be asked by: add a connection "
        "of the call's Twilio account."
    ),
}


class ControlView(CallErrors, APIView):
    """Something that is done to a call. Says in HTTP what is refused."""

    required_scopes: ClassVar[Mapping[str, str]] = {"POST": "calls:write"}

    def handle_exception(self, exc: Exception) -> Response:
        known = _ERRORS.get(type(exc))
        return super().handle_exception(known(exc) if known else exc)


class SayView(ControlView):
    """Words for the bot to say."""

    @schema.SAY
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        body = SaySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        call = call_say(
            account=account_of(request),
            call_id=pk,
            text=body.validated_data["text"],
            interrupt=body.validated_data["interrupt"],
            actor=actor_of(request),
        )
        return Response(CallSerializer(call).data, status=status.HTTP_202_ACCEPTED)


class DtmfView(ControlView):
    """Keys to press."""

    @schema.DTMF
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        body = DtmfSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        call = call_press(
            account=account_of(request),
            call_id=pk,
            digits=body.validated_data["digits"],
            actor=actor_of(request),
        )
        return Response(CallSerializer(call).data, status=status.HTTP_202_ACCEPTED)


class TransferView(ControlView):
    """Somebody to put the caller through to."""

    @schema.TRANSFER
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        body = TransferOrderSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        transfer = call_transfer(
            account=account_of(request), call_id=pk, wish=body.wish(), actor=actor_of(request)
        )
        return Response(CallTransferSerializer(transfer).data, status=status.HTTP_202_ACCEPTED)
