"""What an operator does to a call, by the services that the API uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.accounts.connections import error_text
from apps.calls.control import ControlError
from apps.calls.control_serializers import SaySerializer, TransferOrderSerializer
from apps.calls.dialling import WishRefused
from apps.calls.hangup import NothingToHangUpWith, call_hang_up
from apps.calls.live import call_say
from apps.calls.models import Call, Recording
from apps.calls.reach import NoConnection
from apps.calls.recordings.services import recording_erase
from apps.calls.transfers import call_transfer
from apps.core.errors import fields_flatten
from apps.dashboard.calls.detail import Bound, call_page
from apps.dashboard.scoping import actor_in
from apps.telephony.rest import TwilioError

_NO_CONNECTION: Final = (
    "Twilio has to do this, and nothing is stored that it could be asked by: add a connection of "
    "the call's Twilio account."
)
_WORDS: Mapping[type[Exception], Callable[[Any], str]] = {
    NothingToHangUpWith: lambda _: (
        "The call runs at a Twilio account that no connection is stored of: hang it up there."
    ),
    NoConnection: lambda _: _NO_CONNECTION,
    TwilioError: error_text,
}
REFUSALS: Final[tuple[type[Exception], ...]] = (ControlError, *_WORDS)
# What the form of a transfer asks for.
_WHOM: Final = ("to", "target", "mode", "summary", "say")
# Of a page that shows what is wrong with what was sent.
UNPROCESSABLE: Final = 422


def hang_up(request: HttpRequest, call: Call) -> HttpResponse:
    """End the call."""
    try:
        found = call_hang_up(account=call.account, call_id=call.pk, actor=actor_in(request))
    except REFUSALS as refused:
        messages.error(request, _words(refused))
    else:
        over = "The call is over." if found.is_over else "The call is being hung up."
        messages.success(request, over)
    return _back(call)


def transfer(request: HttpRequest, call: Call) -> HttpResponse:
    """Put the caller through, to a target of the bot's or to a number."""
    # As a client of the API leaves out what it has nothing to say about.
    given = {name: text for name in _WHOM if (text := request.POST.get(name, "").strip())}
    body = TransferOrderSerializer(data=given)
    if not body.is_valid():
        return _again(request, call, "transfer", fields_flatten(body.errors))
    try:
        made = call_transfer(
            account=call.account, call_id=call.pk, wish=body.wish(), actor=actor_in(request)
        )
    except WishRefused as refused:
        return _again(request, call, "transfer", refused.fields)
    except REFUSALS as refused:
        messages.error(request, _words(refused))
    else:
        messages.success(request, f"The caller is being put through to {made.to}.")
    return _back(call)


def say(request: HttpRequest, call: Call) -> HttpResponse:
    """Have the bot say something."""
    given = {"text": request.POST.get("text", ""), "interrupt": "interrupt" in request.POST}
    body = SaySerializer(data=given)
    if not body.is_valid():
        return _again(request, call, "say", fields_flatten(body.errors))
    try:
        call_say(
            account=call.account, call_id=call.pk, actor=actor_in(request), **body.validated_data
        )
    except REFUSALS as refused:
        messages.error(request, _words(refused))
    else:
        messages.success(request, "The bot says it when it is its turn.")
    return _back(call)


def erase(request: HttpRequest, call: Call) -> HttpResponse:
    """Erase the call's recording for good."""
    try:
        recording_erase(account=call.account, call_id=call.pk, actor=actor_in(request))
    except Recording.DoesNotExist:
        messages.info(request, "There is no recording of this call any more.")
    else:
        messages.success(request, "The recording is erased. It cannot be brought back.")
    return _back(call)


def _words(refused: Exception) -> str:
    said = _WORDS.get(type(refused))
    return said(refused) if said else str(refused)


def _again(request: HttpRequest, call: Call, form: str, errors: Mapping[str, Any]) -> HttpResponse:
    bound = Bound(request.POST.dict(), errors)
    return call_page(request, call, status=UNPROCESSABLE, **{form: bound})


def _back(call: Call) -> HttpResponse:
    return redirect("admin:calls_call_change", call.pk)
