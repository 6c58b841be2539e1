"""Codes of authenticator apps, each good for one login: the step that one belongs to is kept.

A code fits for a minute and a half (RFC 6238 with a step of tolerance either way), and section 5.2
asks that it is taken once. allauth remembers the last ones in the cache: for half a minute, and
each process for itself where there is no Redis.
"""

from __future__ import annotations

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from allauth.mfa.utils import decrypt
from django.db import transaction

from apps.accounts.models import User

# In an authenticator's data, beside its secret: the last step that was used.
LAST = "last_step"


def code_is_spent(*, user: User, code: str) -> bool:
    """Tell whether a code fits, but it, or a later one, was used already. One query."""
    found = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).first()
    step = _step(found, code) if found else None
    return found is not None and step is not None and step <= _last(found)


def code_spend(*, user: User, code: str) -> bool:
    """Use up a code, and all before it. False: it fits no more, or somebody else was quicker."""
    with transaction.atomic():
        rows = Authenticator.objects.select_for_update()
        found = rows.filter(user=user, type=Authenticator.Type.TOTP).first()
        step = _step(found, code) if found else None
        if found is None or step is None or step <= _last(found):
            return False
        found.data[LAST] = step
        found.save(update_fields=["data"])
    return True


def _step(authenticator: Authenticator, code: str) -> int | None:
    """Return the latest step of now that a code belongs to."""
    secret = decrypt(authenticator.data["secret"])
    fitting = (
        step
        for step in yield_hotp_counters_from_time()
        if compare_user_code(actual=code, expected=format_hotp_value(hotp_value(secret, step)))
    )
    return max(fitting, default=None)


def _last(authenticator: Authenticator) -> int:
    return int(authenticator.data.get(LAST, -1))
