"""What services refuse, in words for a person at the dashboard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rest_framework.exceptions import Throttled

from apps.accounts.connections import ConnectionChanged, ConnectionInUse, error_text
from apps.accounts.credentials import NoAddress, UnknownProvider
from apps.accounts.owners import LastOwner
from apps.accounts.services import KeyIsOver
from apps.calls.control import GatewayNotReached, OrderRefused
from apps.calls.hangup import NothingToHangUpWith
from apps.calls.numbers import NotReachable, NumberChanging, NumberOverridden
from apps.calls.reach import NoConnection
from apps.telephony.rest import TwilioError
from apps.webhooks.endpoints import TooMany
from apps.webhooks.replaying import NotNow

_WORDS: Mapping[type[Exception], Callable[[Any], str]] = {
    TwilioError: error_text,
    NumberChanging: lambda _: "Somebody else is changing the number. Try again in a moment.",
    NumberOverridden: lambda exc: (
        f"The number has {exc.told}, so Twilio would not look at its voice URLs."
        " Tick the box to take that away."
    ),
    ConnectionChanged: lambda _: "Somebody else has changed it meanwhile. Look at it again.",
    Throttled: lambda exc: str(exc.detail),
    NothingToHangUpWith: lambda _: (
        "The call runs at a Twilio account that no connection is stored of: hang it up there."
    ),
    NoConnection: lambda _: (
        "Twilio has to do this, and nothing is stored that it could be asked by: add a connection"
        " of the call's Twilio account."
    ),
    **dict.fromkeys((OrderRefused, GatewayNotReached), str),
    **dict.fromkeys(
        (NotReachable, ConnectionInUse, KeyIsOver, LastOwner, TooMany, NotNow),
        str,
    ),
    **dict.fromkeys(
        (UnknownProvider, NoAddress),
        str,
    ),
}

# In an ``except``.
REFUSALS = tuple(_WORDS)
_FIELDS: Mapping[type[Exception], str] = {
    NumberOverridden: "replace_application",
    NoAddress: "base_url",
}


def refusal_of(refused: Exception) -> tuple[str | None, str]:
    """Return the field that is to blame, if one is, and what to tell."""
    if isinstance(refused, TwilioError):
        return refused.field or None, error_text(refused)
    return _FIELDS.get(type(refused)), _WORDS[type(refused)](refused)
