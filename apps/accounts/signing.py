"""What Twilio may sign an account's webhooks with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.accounts.models import Account, TwilioConnection
from apps.telephony.signatures import Secrets


def secrets_of(account: Account, *, account_sid: str = "") -> list[Secrets]:
    """Return what a request of a Twilio account's may be signed with; no query.

    account_sid: the request's ``AccountSid``; empty where it is not known, as in a handshake. An
    empty list: nothing is stored, so no signature can be checked.
    """
    stored: Mapping[str, Any] = account.signing_secrets or {}
    own = {sid: _secrets(found) for sid, found in stored.items()}
    if account_sid in own:
        return [own[account_sid]]
    alone = [Secrets(account.twilio_auth_token)] if account.twilio_auth_token else []
    return alone if account_sid and alone else [*own.values(), *alone]


def _secrets(stored: Mapping[str, Any]) -> Secrets:
    return Secrets(stored.get("auth_token", ""), stored.get("keys") or {})


def signing_secrets_refresh(account: Account) -> None:
    """Gather them anew after a connection was changed, in the caller's transaction."""
    found: dict[str, Any] = {}
    for connection in TwilioConnection.objects.filter(account=account):
        if connection.auth_token or connection.signing_keys:
            found[connection.account_sid] = {
                "auth_token": connection.auth_token,
                "keys": connection.signing_keys,
            }
    account.signing_secrets = found
    account.save(update_fields=["signing_secrets", "updated_at"])
