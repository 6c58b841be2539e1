"""By what Twilio can be asked about a call: a connection, or a Bin account's auth token."""

from __future__ import annotations

from apps.accounts.models import TwilioConnection
from apps.accounts.signing import secrets_of
from apps.calls.lookups import connection_of
from apps.calls.models import Call


class NoConnection(Exception):
    """The call runs at a Twilio account that nothing is stored of."""


def reach_of(call: Call) -> TwilioConnection:
    """Return what to ask Twilio by; it may be none that is stored. Raises NoConnection."""
    sid = call.twilio_account_sid
    if (found := connection_of(call)) is not None:
        return found
    secrets = secrets_of(call.account, account_sid=sid) if sid else []
    token = next((secret.auth_token for secret in secrets if secret.auth_token), "")
    if not token:
        raise NoConnection
    return TwilioConnection(account_id=call.account_id, account_sid=sid, auth_token=token)
