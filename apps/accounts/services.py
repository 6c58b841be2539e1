"""What can be done to accounts and keys."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import Account, ApiKey

# last_used_at says "about when": a write per request would make every read a write.
LAST_USED_STEP = timedelta(minutes=5)

_FORM = re.compile(r"bc_([a-z0-9]{4,16})_[A-Za-z0-9_-]{20,200}")
_NOBODY = hashlib.sha256(b"").hexdigest()


def account_create(*, name: str, twilio_auth_token: str = "") -> Account:
    """Create an account. twilio_auth_token: Twilio's secret that requests are signed with."""
    return Account.objects.create(name=name, twilio_auth_token=twilio_auth_token)


def account_update(
    *, account: Account, name: str, max_live_calls: int, twilio_auth_token: str | None = None
) -> Account:
    """Change an account. A twilio_auth_token of None leaves the stored one."""
    account.name = name
    account.max_live_calls = max_live_calls
    if twilio_auth_token is not None:
        account.twilio_auth_token = twilio_auth_token
    account.save()
    return account


def api_key_create(
    *, account: Account, name: str = "", expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Create a key. Returns the row and the key itself, which nobody can ever read again."""
    prefix = secrets.token_hex(6)
    secret = f"bc_{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        account=account, name=name, prefix=prefix, digest=_digest(secret), expires_at=expires_at
    )
    return key, secret


def api_key_revoke(*, key: ApiKey) -> None:
    """End a key now. Ending it twice keeps the first time."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())


def api_key_verify(secret: str) -> ApiKey | None:
    """Return the live key that ``secret`` is, with its account; None for every other text."""
    form = _FORM.fullmatch(secret)
    if form is None:
        return None
    key = ApiKey.objects.select_related("account").filter(prefix=form[1]).first()
    known = key.digest if key else _NOBODY
    # Compared for an unknown prefix too: time must not tell which prefixes exist.
    fits = hmac.compare_digest(_digest(secret), known)
    if key is None or not fits or not _is_live(key):
        return None
    _touch(key)
    return key


def _is_live(key: ApiKey) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > timezone.now())


def _touch(key: ApiKey) -> None:
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - LAST_USED_STEP:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_STEP)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)


def _digest(secret: str) -> str:
    # A plain hash is enough: the secret is 256 random bits, which no dictionary holds.
    return hashlib.sha256(secret.encode()).hexdigest()
