"""What Twilio tells us of calls, unasked: verified, stored by one INSERT, answered 204."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from prometheus_client import Counter

from apps.calls.callbacks import Delivery, callback_store
from apps.calls.models import TwilioCallback, call_id
from apps.calls.webhook_requests import REFUSED, Asked, RequestRefused, asked_of, refusal
from apps.telephony.stream_errors import stream_fault

RECEIVED = Counter(
    "botsconfig_callbacks_received", "Callbacks of Twilio's that were taken", ["kind"]
)
STREAM_ERRORS = Counter(
    "botsconfig_stream_errors", "Media streams that failed, as Twilio tells it", ["code", "name"]
)
Kind = TwilioCallback.Kind
# Of our own, in the URL: a GET carries them beside what Twilio says.
_OURS = ("account", "call", "key", "bodySHA256")


@csrf_exempt
@require_http_methods(["GET", "POST"])
def status(request: HttpRequest) -> HttpResponse:
    """A call's progress: ``StatusCallback`` of dialled calls, numbers, and transfers' legs."""
    return _taken(request, Kind.LEG if "leg" in request.GET else Kind.STATUS)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def stream_status(request: HttpRequest) -> HttpResponse:
    """News of a stream. TwiML that was pasted long ago names no account: nothing is kept then."""
    if "account" not in request.GET:
        return HttpResponse(status=204)
    return _taken(request, Kind.STREAM)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def amd(request: HttpRequest) -> HttpResponse:
    """Who answered: a human, or a machine."""
    return _taken(request, Kind.AMD)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def recording(request: HttpRequest) -> HttpResponse:
    """A recording of Twilio's own, where somebody had it make one."""
    return _taken(request, Kind.RECORDING)


def _taken(request: HttpRequest, kind: TwilioCallback.Kind) -> HttpResponse:
    """Verify, store, answer. Two queries; a delivery that is known already changes nothing.

    Where nothing is stored to verify with, it is passed over: the account uses Bins alone, and a
    refusal would fill its Twilio debugger with errors that nobody can mend here.
    """
    try:
        asked = asked_of(request)
    except RequestRefused as refused:
        if refused.reason != "unverifiable":
            return refusal(refused)
        REFUSED.labels(refused.reason).inc()
        return HttpResponse(status=204)
    told = {name: value for name, value in asked.fields.items() if name not in _OURS}
    if kind == Kind.LEG:
        told["leg"] = request.GET["leg"]
    about = _call_of(request, asked)
    if about is None:
        REFUSED.labels("call_missing").inc()
        return HttpResponse(status=204)
    callback_store(Delivery(asked.account.id, about, kind, told))
    RECEIVED.labels(kind.value).inc()
    if told.get("StreamEvent") == "stream-error":
        fault = stream_fault(str(told.get("StreamError", "")))
        STREAM_ERRORS.labels(fault.code, fault.name).inc()
    return HttpResponse(status=204)


def _call_of(request: HttpRequest, asked: Asked) -> uuid.UUID | None:
    """Return the row that it is about: the URL of a call that we dialled names it."""
    named = request.GET.get("call", "")
    if named:
        try:
            return uuid.UUID(named)
        except ValueError:
            return None
    call_sid = asked.fields.get("CallSid", "")
    return call_id(account_id=asked.account.id, call_sid=call_sid) if call_sid else None
