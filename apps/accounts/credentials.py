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
from apps.providers.addresses import ADDRESS, origin_of
from apps.providers.key_checks import Verdict, key_check

# A shorter key's last four characters would be half of it.
SHOWN_FROM = 8


class NoAddress(ValueError):
    """The key cannot be bound to this address; the message says why."""


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


def is_addressed(provider: str) -> bool:
    """Tell whether bots name this provider's server themselves."""
    found = registry.catalogue(test_providers=settings.ENABLE_TEST_PROVIDERS)
    return any(one.name == provider and one.option(ADDRESS) is not None for one in found)


def credentials_of(account: Account) -> QuerySet[Credential]:
    """The account's credentials by provider; the secrets stay in the table."""
    return Credential.objects.filter(account=account).defer("secret")


def credential_secrets(account_id: uuid.UUID | str) -> dict[str, dict[str, Any]]:
    """Return ``{provider: {"api_key": "…", "base_url": "…"}}``, for bots that bring no key of their
    own. base_url: the server that the key is for; missing where none was said. One query.

    Raises DecryptionError if one fits none of the ENCRYPTION_KEYS.
    """
    rows = Credential.objects.filter(account_id=account_id)
    return {
        provider: {**secret, "base_url": base_url} if base_url else secret
        for provider, secret, base_url in rows.values_list("provider", "secret", "base_url")
    }


def credential_addresses(account: Account) -> dict[str, str]:
    """Return the providers that the account has a key for, each with the key's address."""
    return dict(credentials_of(account).values_list("provider", "base_url"))


def credential_put(
    *, account: Account, provider: str, api_key: str, actor: Actor, base_url: str | None = None
) -> Credential:
    """Store a vendor's key, instead of the one that was there. Spaces around it are no part of it.

    base_url: the server that it is for, where bots name that themselves; None: as it was.
    Raises UnknownProvider, or NoAddress.
    """
    provider_check(provider)
    api_key = api_key.strip()
    last4 = api_key[-4:] if len(api_key) >= SHOWN_FROM else ""
    values: dict[str, Any] = {"secret": {"api_key": api_key}, "last4": last4}
    if base_url is not None:
        values["base_url"] = _address(provider, base_url)
    with transaction.atomic():
        rows = credentials_of(account)
        before = rows.select_for_update().filter(provider=provider).first()
        found, _ = rows.update_or_create(
            account=account,
            provider=provider,
            defaults=values,
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


def _address(provider: str, base_url: str) -> str:
    address = base_url.strip().rstrip("/")
    if address and not is_addressed(provider):
        raise NoAddress(f"{provider} has one address, which is known: a key for it needs none.")
    if address and origin_of(address) is None:
        raise NoAddress("The http(s) address of a server, as in https://models.example.com/v1.")
    return address


def _facts(credential: Credential | None) -> dict[str, Any]:
    if credential is None:
        return {}
    address = {"base_url": credential.base_url} if credential.base_url else {}
    return {"last4": credential.hint, **address}


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
