"""Keys stay with the server that they were meant for, where the bot itself names the server.

``base_url`` is an option like any other, changed by who may change bots; a key is given by who may
keep keys, and nobody may read it. So a key is not sent to an address that somebody names later: a
bot's own is dropped, and the account's is lent to the server alone that it was stored for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.conf import settings

from apps.accounts.credentials import credential_addresses
from apps.accounts.models import Account
from apps.bots.slots import declaration, kinds_used, slots_of
from apps.providers.addresses import ADDRESS, same_server
from apps.providers.base import Kind

Document = Mapping[str, Any]
# Of the account: the address of each provider that it has a key for; empty where none was said.
KeptFor = Mapping[str, str]


def is_addressed(kind: Kind, provider: str) -> bool:
    """Tell whether the bot says where this provider's server is."""
    found = declaration(kind, provider)
    return found is not None and found.option(ADDRESS) is not None


def address_of(slot: Mapping[str, Any]) -> str:
    """Return where a slot's provider is asked: what the bot says, or the server's operator."""
    return str(slot["options"].get(ADDRESS) or "").strip() or _operators(slot["provider"])


def may_lend(slot: Mapping[str, Any], kept_for: str) -> bool:
    """Tell whether the account's key may go to a slot's server. kept_for: the key's address; a key
    without one is for where the server's operator says."""
    return same_server(address_of(slot), kept_for or _operators(slot["provider"]))


def keys_left_behind(before: Document, after: Document, own: Collection[str]) -> list[str]:
    """List the providers of ``own``, that the bot brings a key for, whose address is a new one."""
    old, new = _addresses(before), _addresses(after)
    return sorted(name for name in own if new.get(name, set()) - old.get(name, set()))


def withheld(document: Document, own: Collection[str], kept_for: KeptFor) -> Iterator[str]:
    """Say which of a bot's slots do not get the account's key, and why."""
    for kind, slot in _addressed(document):
        name = slot["provider"]
        if name in own or name not in kept_for or may_lend(slot, kept_for[name]):
            continue
        bound = kept_for[name]
        why = f"is for {bound}" if bound else "was stored without an address"
        yield (
            f"{kind}.{ADDRESS}: The account's key for {name} {why}, and is not sent to"
            f" {address_of(slot) or 'nowhere'}. Store it for this address, or give the bot its own."
        )


def keys_withheld(account: Account, document: Document, own: Collection[str]) -> tuple[str, ...]:
    """The same of the keys that the account has now. One query, if there is such a slot."""
    if all(slot["provider"] in own for _, slot in _addressed(document)):
        return ()
    return tuple(withheld(document, own, credential_addresses(account)))


def _addressed(document: Document) -> Iterator[tuple[Kind, Mapping[str, Any]]]:
    for kind in kinds_used(document):
        for slot in slots_of(document, kind):
            if is_addressed(kind, slot["provider"]):
                yield kind, slot


def _addresses(document: Document) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for _, slot in _addressed(document):
        found.setdefault(slot["provider"], set()).add(address_of(slot).rstrip("/"))
    return found


def _operators(provider: str) -> str:
    return str(settings.PROVIDER_API_URLS.get(provider, ""))
