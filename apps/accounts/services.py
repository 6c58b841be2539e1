"""What can be done to accounts, memberships and keys. Each change leaves an entry in the log."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.models import Account, ApiKey, Membership, User
from apps.accounts.owners import members_lock, other_owner_check
from apps.accounts.scopes import DEFAULT_SCOPES, scopes_in_order

# last_used_at says "about when": a write per request would make every read a write.
LAST_USED_STEP = timedelta(minutes=5)

ACCOUNT_SECRETS = ("twilio_auth_token", "signing_secrets")

_FORM = re.compile(r"bc_([a-z0-9]{4,16})_[A-Za-z0-9_-]{20,200}")
# Every request asks this, and laying it out anew costs the ORM more than asking does.
_BY_PREFIX = (
    "SELECT id, account_id, name, prefix, digest, scopes, expires_at, revoked_at, last_used_at "
    f"FROM {ApiKey._meta.db_table} WHERE prefix = %s"
)
_NOBODY = hashlib.sha256(b"").hexdigest()


class KeyIsOver(Exception):
    """The key is revoked, expired or rotated already; the message says which."""


def account_create(*, name: str, actor: Actor, twilio_auth_token: str = "") -> Account:
    """Create an account. twilio_auth_token: Twilio's secret that requests are signed with."""
    with transaction.atomic():
        account = Account.objects.create(name=name, twilio_auth_token=twilio_auth_token)
        audit_record(
            account=account,
            actor=actor,
            action="account.create",
            target=Target("account", str(account.id)),
            after=_account_facts(account, new_token=bool(twilio_auth_token)),
        )
    return account


def account_update(
    *,
    account: Account,
    actor: Actor,
    name: str | None = None,
    max_live_calls: int | None = None,
    twilio_auth_token: str | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Account:
    """Change an account, and return it as it is stored. What is None stays as it is.

    defaults: checked by ``bots.document.defaults_check``; accounts know no providers.
    """
    given = {
        "name": name,
        "max_live_calls": max_live_calls,
        "twilio_auth_token": twilio_auth_token,
        "defaults": None if defaults is None else dict(defaults),
    }
    changes = {member: value for member, value in given.items() if value is not None}
    with transaction.atomic():
        # Read anew, and only what was given is written: the caller's own may be of long ago.
        found = Account.objects.select_for_update().defer(*ACCOUNT_SECRETS).get(pk=account.pk)
        before = _account_facts(found)
        for member, value in changes.items():
            setattr(found, member, value)
        found.save(update_fields=[*changes, "updated_at"])
        audit_record(
            account=found,
            actor=actor,
            action="account.update",
            target=Target("account", str(found.id)),
            before=before,
            after=_account_facts(found, new_token=twilio_auth_token is not None),
        )
    return found


def account_patch(*, account_id: uuid.UUID, changes: Mapping[str, Any], actor: Actor) -> Account:
    """Change members of an account, by their names in the model; they are checked already."""
    with transaction.atomic():
        account = Account.objects.select_for_update().defer(*ACCOUNT_SECRETS).get(pk=account_id)
        before = _account_facts(account)
        changed = [name for name in changes if getattr(account, name) != changes[name]]
        if not changed:
            return account
        for name in changed:
            setattr(account, name, changes[name])
        account.save(update_fields=[*changed, "updated_at"])
        audit_record(
            account=account,
            actor=actor,
            action="account.update",
            target=Target("account", str(account.id)),
            before=before,
            after=_account_facts(account),
        )
    return account


def _account_facts(account: Account, *, new_token: bool = False) -> dict[str, Any]:
    facts = {
        "name": account.name,
        "max_live_calls": account.max_live_calls,
        "calls_per_second": account.calls_per_second,
        "allowed_countries": account.allowed_countries,
        "calling_hours": account.calling_hours,
        "defaults": account.defaults,
    }
    # That it was set is told by the member; the log blots out what it was set to.
    return {**facts, "twilio_auth_token": "set"} if new_token else facts


def membership_put(*, account: Account, user: User, role: str, actor: Actor) -> Membership:
    """Give a user a role in an account, or another role. Raises LastOwner."""
    with transaction.atomic():
        members_lock(account.pk)
        old = Membership.objects.filter(account=account, user=user).first()
        if old is not None:
            return _role_change(old, role, actor)
        found = Membership.objects.create(account=account, user=user, role=role)
        _membership_record(found, actor=actor, verb="put", before=None)
    return found


def membership_role(
    *, account: Account, membership_id: uuid.UUID, role: str, actor: Actor
) -> Membership:
    """Give a member another role. Raises LastOwner, or Membership.DoesNotExist: who has just been
    removed is not put back."""
    with transaction.atomic():
        members_lock(account.pk)
        found = Membership.objects.select_related("user").get(account=account, pk=membership_id)
        return _role_change(found, role, actor)


def membership_delete(*, membership: Membership, actor: Actor) -> None:
    """Take a user out of an account. Raises LastOwner, or Membership.DoesNotExist."""
    with transaction.atomic():
        members_lock(membership.account_id)
        # Read anew, under the lock: the role may be another one by now, or the row gone.
        found = Membership.objects.select_related("user").get(pk=membership.pk)
        other_owner_check(found)
        audit_record(
            account=found.account,
            actor=actor,
            action="membership.delete",
            target=Target("membership", str(found.id)),
            before=_membership_facts(found),
        )
        found.delete()


def _role_change(member: Membership, role: str, actor: Actor) -> Membership:
    before = _membership_facts(member)
    if role != Membership.Role.OWNER:
        other_owner_check(member)
    member.role = role
    member.save(update_fields=["role", "updated_at"])
    _membership_record(member, actor=actor, verb="put", before=before)
    return member


def _membership_record(
    member: Membership, *, actor: Actor, verb: str, before: dict[str, Any] | None
) -> None:
    audit_record(
        account=member.account,
        actor=actor,
        action=f"membership.{verb}",
        target=Target("membership", str(member.id)),
        before=before,
        after=_membership_facts(member),
    )


def _membership_facts(membership: Membership) -> dict[str, Any]:
    return {"user": membership.user.get_username(), "role": membership.role}


def api_key_create(
    *,
    account: Account,
    actor: Actor,
    name: str = "",
    scopes: Iterable[str] = DEFAULT_SCOPES,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Create a key. Returns the row and the key itself, which nobody can ever read again.

    Raises django's ValidationError for scopes that are none.
    """
    prefix = secrets.token_hex(6)
    secret = f"bc_{prefix}_{secrets.token_urlsafe(32)}"
    with transaction.atomic():
        key = ApiKey.objects.create(
            account=account,
            name=name,
            prefix=prefix,
            digest=_digest(secret),
            scopes=scopes_in_order(scopes),
            expires_at=expires_at,
        )
        _key_record(key, actor=actor, action="api_key.create", before=None)
    return key, secret


def api_key_revoke(*, key: ApiKey, actor: Actor) -> None:
    """End a key now. Ending it twice keeps the first time, and is one entry in the log."""
    with transaction.atomic():
        now = timezone.now()
        if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
            return
        before = _key_facts(key)
        key.revoked_at = now
        _key_record(key, actor=actor, action="api_key.revoke", before=before)


def api_key_rotate(
    *, account: Account, key_id: uuid.UUID, actor: Actor, grace: timedelta
) -> tuple[ApiKey, str]:
    """Make a key's successor, of the same name and scopes; the old one works for ``grace`` more.

    An earlier end of the old key's stays. Rotating a key whose successor lives would leave two
    keys where its owner knows of one; a successor that was lost on its way is revoked first.
    Raises ApiKey.DoesNotExist, or KeyIsOver.
    """
    with transaction.atomic():
        old = ApiKey.objects.select_for_update().get(account=account, pk=key_id)
        _rotatable_check(old)
        before = _key_facts(old)
        new, secret = api_key_create(account=account, actor=actor, name=old.name, scopes=old.scopes)
        end = timezone.now() + grace
        old.expires_at = min(end, old.expires_at) if old.expires_at else end
        old.successor = new
        old.save(update_fields=["expires_at", "successor", "updated_at"])
        _key_record(old, actor=actor, action="api_key.rotate", before=before)
    return new, secret


def _rotatable_check(key: ApiKey) -> None:
    if key.revoked_at is not None:
        raise KeyIsOver("The key is revoked.")
    if not key.is_live:
        raise KeyIsOver("The key has expired.")
    if key.successor is not None and key.successor.is_live:
        raise KeyIsOver(f"The key was rotated already, to {key.successor_id}.")


def _key_record(key: ApiKey, *, actor: Actor, action: str, before: dict[str, Any] | None) -> None:
    audit_record(
        account=key.account,
        actor=actor,
        action=action,
        target=Target("api_key", str(key.id)),
        before=before,
        after=_key_facts(key),
    )


def _key_facts(key: ApiKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "expires_at": key.expires_at and key.expires_at.isoformat(),
        "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
        "successor": key.successor_id and str(key.successor_id),
    }


def api_key_verify(secret: str) -> ApiKey | None:
    """Return the live key that ``secret`` is; None for every other text.

    Its account is known by its id; the rest of it is read where somebody looks at it.
    """
    form = _FORM.fullmatch(secret)
    if form is None:
        return None
    key = next(iter(ApiKey.objects.raw(_BY_PREFIX, [form[1]])), None)
    known = key.digest if key else _NOBODY
    # Compared for an unknown prefix too: time must not tell which prefixes exist.
    fits = hmac.compare_digest(_digest(secret), known)
    if key is None or not fits or not key.is_live:
        return None
    key.account = Account.from_db(key._state.db, ("id",), (key.account_id,))
    _touch(key)
    return key


def _touch(key: ApiKey) -> None:
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - LAST_USED_STEP:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_STEP)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)


def _digest(secret: str) -> str:
    # A plain hash is enough: the secret is 256 random bits, which no dictionary holds.
    return hashlib.sha256(secret.encode()).hexdigest()
