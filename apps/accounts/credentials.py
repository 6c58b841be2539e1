"""Accounts' keys at vendors: kept encrypted, tried on request, never shown."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.models import Account, Credential
from apps.providers import registry
from apps.providers.key_checks import Verdict, key_check

# A shorter key's last four characters would be half of it.
SHOWN_FROM = 8


class UnknownProvider(LookupError):
    """No provider of this name takes a key; the message lists those that do."""


def credential_providers() -> list[str]:
    """List the providers that a credential may be for."""
    found = registry.catalogue(test_providers=settings.ENABLE_TEST_PROVIDERS)
    return sorted({declaration.name for declaration in found if declaration.needs_key})


def provider_check(provider: str) -> None:
    """Raise UnknownProvider unless a credential may be for ``provider``."""
    valid = credential_providers()
    if provider not in valid:
        raise UnknownProvider(f"No provider of this name takes a key. Valid: {', '.join(valid)}.")


def credentials_of(account: Account) -> QuerySet[Credential]:
    """The account's credentials by provider; the secrets stay in the table."""
    return Credential.objects.filter(account=account).defer("secret")


def credential_secrets(account_id: uuid.UUID | str) -> dict[str, dict[str, Any]]:
    """Return ``{provider: {"api_key": "…"}}``, for bots that bring no key of their own. One query.

    Raises DecryptionError if one fits none of the ENCRYPTION_KEYS.
    """
    rows = Credential.objects.filter(account_id=account_id)
    return dict(rows.values_list("provider", "secret"))


def credential_put(*, account: Account, provider: str, api_key: str, actor: Actor) -> Credential:
    """Store a vendor's key, instead of the one that was there. Spaces around it are no part of it.

    Raises UnknownProvider.
    """
    provider_check(provider)
    api_key = api_key.strip()
    last4 = api_key[-4:] if len(api_key) >= SHOWN_FROM else ""
    with transaction.atomic():
        rows = credentials_of(account)
        before = rows.select_for_update().filter(provider=provider).first()
        found, _ = rows.update_or_create(
            account=account,
            provider=provider,
            defaults={"secret": {"api_key": api_key}, "last4": last4},
        )
        _record(found, actor=actor, verb="put", before=_facts(before), after=_facts(found))
    return found


def credential_delete(*, account: Account, provider: str, actor: Actor) -> None:
    """Forget a vendor's key. Raises UnknownProvider or Credential.DoesNotExist."""
    provider_check(provider)
    with transaction.atomic():
        found = credentials_of(account).select_for_update().get(provider=provider)
        _record(found, actor=actor, verb="delete", before=_facts(found), after={})
        found.delete()


def credential_test(*, account: Account, provider: str, actor: Actor) -> Verdict:
    """Ask the vendor whether the stored key is good; takes up to ten seconds.

    Raises UnknownProvider or Credential.DoesNotExist.
    """
    provider_check(provider)
    found = Credential.objects.get(account=account, provider=provider)
    # No transaction is open here: a vendor's slowness must hold no connection's lock.
    asked = key_check(provider, found.secret["api_key"], bases=settings.PROVIDER_API_URLS)
    verdict = asyncio.run(asked)
    outcome = {"ok": verdict.ok, "reason": verdict.reason}
    _record(found, actor=actor, verb="test", before={}, after=outcome)
    return verdict


def _facts(credential: Credential | None) -> dict[str, Any]:
    return {} if credential is None else {"last4": credential.hint}


def _record(
    credential: Credential,
    *,
    actor: Actor,
    verb: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    audit_record(
        account=credential.account,
        actor=actor,
        action=f"credential.{verb}",
        target=Target("credential", credential.provider),
        before=before,
        after=after,
    )
