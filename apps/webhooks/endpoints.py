"""What can be done to endpoints. Each change leaves an entry in the audit log."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import Throttled

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.models import Account
from apps.core.crypto import DecryptionError
from apps.webhooks.delivering import delivery_carry
from apps.webhooks.kinds import KINDS, PING
from apps.webhooks.models import Delivery, Endpoint, Event
from apps.webhooks.outbox import LEASE, deliveries_end
from apps.webhooks.selectors import endpoints_of
from apps.webhooks.signing import secret_new

ENDPOINTS = 50
# Each holds a thread of this process for as long as its endpoint takes.
_PINGS = threading.BoundedSemaphore(16)


class TooMany(Exception):
    """The account has as many endpoints as it may have."""


def endpoint_create(
    *, account: Account, actor: Actor, secret: str | None = None, **said: Any
) -> tuple[Endpoint, str]:
    """Make an endpoint. Returns it and its secret, which nobody can read again.

    secret: the client's own, checked by the serializer, as are url, description, kinds and enabled
    in ``said``. Raises TooMany.
    """
    secret = secret or secret_new()
    with transaction.atomic():
        # Its lock, so that two at once do not both find room for one.
        Account.objects.select_for_update().only("id").get(pk=account.pk)
        if Endpoint.objects.owned_by(account).count() >= ENDPOINTS:
            raise TooMany(f"An account has {ENDPOINTS} endpoints at most.")
        endpoint = Endpoint(account=account, secret=secret, **said)
        endpoint.disabled_reason = _reason(endpoint)
        endpoint.save(force_insert=True)
        _record(endpoint, actor, "create", {}, endpoint_facts(endpoint))
    return endpoint, secret


def endpoint_update(
    *, account: Account, endpoint_id: uuid.UUID, actor: Actor, changes: Mapping[str, Any]
) -> Endpoint:
    """Change url, description, kinds or enabled.

    Disabled, what waits for it is dead, and can be replayed once it is enabled. Raises
    Endpoint.DoesNotExist.
    """
    with transaction.atomic():
        endpoint = _locked(account, endpoint_id)
        before, was_enabled = endpoint_facts(endpoint), endpoint.enabled
        for name, value in changes.items():
            setattr(endpoint, name, value)
        if endpoint.enabled != was_enabled:
            endpoint.disabled_reason = _reason(endpoint)
        endpoint.save(update_fields=[*changes, "disabled_reason", "updated_at"])
        if was_enabled and not endpoint.enabled:
            deliveries_end(endpoint, now=timezone.now())
        _record(endpoint, actor, "update", before, endpoint_facts(endpoint))
    return endpoint


def endpoint_delete(*, account: Account, endpoint_id: uuid.UUID, actor: Actor) -> None:
    """Forget an endpoint, and the log of its deliveries. Raises Endpoint.DoesNotExist."""
    with transaction.atomic():
        endpoint = _locked(account, endpoint_id)
        _record(endpoint, actor, "delete", endpoint_facts(endpoint), {})
        endpoint.delete()


def endpoint_secret_rotate(
    *,
    account: Account,
    endpoint_id: uuid.UUID,
    actor: Actor,
    grace: timedelta,
    secret: str | None = None,
) -> tuple[Endpoint, str]:
    """Give an endpoint another secret; the old one signs beside it for ``grace`` more.

    One that was still in its grace ends now. Returns the secret, which nobody can read again.
    Raises Endpoint.DoesNotExist.
    """
    secret = secret or secret_new()
    with transaction.atomic():
        endpoint = _locked(account, endpoint_id)
        endpoint.previous_secret = _readable_secret(endpoint) if grace else ""
        until = timezone.now() + grace if endpoint.previous_secret else None
        endpoint.previous_secret_until = until
        endpoint.secret = secret
        endpoint.save()
        seconds = {"grace_seconds": int(grace.total_seconds())}
        _record(endpoint, actor, "rotate_secret", {}, seconds)
    return endpoint, secret


def endpoint_ping(*, account: Account, endpoint_id: uuid.UUID) -> Delivery:
    """Send a ping now, enabled or not, and return what became of it. Takes up to 15 seconds.

    It is tried once. Raises Endpoint.DoesNotExist, or Throttled.
    """
    endpoint = endpoints_of(account).get(pk=endpoint_id)
    if not _PINGS.acquire(blocking=False):
        raise Throttled(wait=1, detail="Too many endpoints are being pinged at once.")
    try:
        # No transaction is open here: an endpoint's slowness must hold no connection's lock.
        delivery = _ping_claimed(endpoint)
        delivery_carry(delivery)
    finally:
        _PINGS.release()
    return delivery


def endpoint_facts(endpoint: Endpoint) -> dict[str, Any]:
    """Return what the audit log tells of an endpoint."""
    return {
        "url": endpoint.url,
        "description": endpoint.description,
        "kinds": endpoint.kinds,
        "enabled": endpoint.enabled,
    }


# --- inside -------------------------------------------------------------------------------------


def _locked(account: Account, endpoint_id: uuid.UUID) -> Endpoint:
    endpoint = endpoints_of(account).select_for_update().get(pk=endpoint_id)
    endpoint.account = account
    return endpoint


def _readable_secret(endpoint: Endpoint) -> str:
    """Return the secret; none if it fits none of our keys, which rotating it mends."""
    try:
        return endpoint.secret
    except DecryptionError:
        return ""


def _reason(endpoint: Endpoint) -> str:
    return Endpoint.Disabled.NOT if endpoint.enabled else Endpoint.Disabled.REQUEST


def _ping_claimed(endpoint: Endpoint) -> Delivery:
    """Write a ping down as a delivery that is being sent: no worker takes it, unless we die."""
    now = timezone.now()
    with transaction.atomic():
        event = Event.objects.create(
            account_id=endpoint.account_id,
            kind=PING,
            data=dict(KINDS[PING].example),
            created_at=now,
        )
        return Delivery.objects.create(
            event=event,
            endpoint=endpoint,
            kind=PING,
            status=Delivery.Status.SENDING,
            due_at=now + LEASE,
            attempts=1,
            tries=1,
            created_at=now,
        )


def _record(
    endpoint: Endpoint,
    actor: Actor,
    verb: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    audit_record(
        account=endpoint.account,
        actor=actor,
        action=f"webhook.{verb}",
        target=Target("webhook", str(endpoint.pk)),
        before=before,
        after=after,
    )
