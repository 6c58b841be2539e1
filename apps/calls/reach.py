"""By what Twilio is asked about a call, where there has to be something."""

from __future__ import annotations

from apps.accounts.models import TwilioConnection
from apps.calls.lookups import connection_of
from apps.calls.models import Call


class NoConnection(Exception):
    """The call runs at a Twilio account that nothing is stored of."""


def reach_of(call: Call) -> TwilioConnection:
    """Return what to ask Twilio by; it may be no row. Raises NoConnection."""
    found = connection_of(call)
    if found is None:
        raise NoConnection
    return found
