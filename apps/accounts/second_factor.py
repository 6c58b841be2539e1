"""A person's second factor: whether there is one, and taking it away from who has lost theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models import QuerySet

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.models import Account, User
from apps.accounts.sessions import sessions_end


def second_factor_is_on(user: User) -> bool:
    """Tell whether a login of theirs takes more than the password. One query."""
    return factors().filter(user=user).exists()


def factors() -> QuerySet[Authenticator]:
    """Everybody's apps and keys. Recovery codes are none: they go with what they stand in for."""
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    found: QuerySet[Authenticator] = Authenticator.objects.filter(type__in=kinds)
    return found


def second_factor_reset(*, user: User, actor: Actor) -> bool:
    """Take away a person's second factor and recovery codes, and end their sessions.

    Returns whether there was anything to take away.
    """
    with transaction.atomic():
        taken, _ = Authenticator.objects.filter(user=user).delete()
        if not taken:
            return False
        sessions_end(user=user)
        person_record(user=user, actor=actor, action="user.second_factor_reset")
    return True


def person_record(
    *,
    user: User,
    actor: Actor,
    action: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write what was done to a person into the log of every account that they are in.

    before, after: as in ``audit_record``; without before, the entry names the person. Entries
    belong to accounts and people to none: of somebody who is in no account, none is kept.
    """
    if before is None:
        after = {"user": user.get_username(), **(after or {})}
    for account in Account.objects.filter(memberships__user=user).only("id"):
        audit_record(
            account=account,
            actor=actor,
            action=action,
            target=Target("user", str(user.pk)),
            before=before,
            after=after,
        )
