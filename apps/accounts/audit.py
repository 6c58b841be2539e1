"""The audit log: who did what, from where, and what changed, in the change's own transaction."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from apps.accounts.models import Account, ApiKey, AuditEntry, User
from apps.core.changes import ABSENT, changes
from apps.core.logs import BLOT, client_address, redact, request_id

# A prompt may have 100,000 characters; the log says that it changed, its version holds the rest.
LONGEST_TEXT = 500
_SECRET_NAME = re.compile(
    r"(^|[._-])(api_keys?|secret\w*|token|password|authorization|custom_headers|auth_token)($|[._-])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change: a script by its key, a person at the dashboard, or a command.

    With none of them it is the system itself.
    """

    key: ApiKey | None = None
    user: User | None = None
    command: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What was changed: ``config``, ``api_key``, ``credential`` …, and which one."""

    kind: str
    id: str


def audit_record(
    *,
    account: Account,
    actor: Actor,
    action: str,
    target: Target,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write one entry; one INSERT.

    action: ``config.create``: what it was done to, and a verb. before, after: the whole thing as
    it was and is; only what differs is kept. Whatever is named like a secret is blotted out, and
    long texts are cut; hand over no secrets all the same.
    """
    found = list(changes(_plain(before), _plain(after)))
    kind, identifier, name = who(actor)
    AuditEntry.objects.create(
        account=account,
        actor_kind=kind,
        actor_id=identifier,
        actor_name=name[:200],
        address=_address(),
        request_id=request_id.get(),
        action=action,
        target_kind=target.kind,
        target_id=target.id,
        before={change.path: change.before for change in found if change.before is not ABSENT},
        after={change.path: change.after for change in found if change.after is not ABSENT},
    )


@contextmanager
def without_address() -> Iterator[None]:
    """Have entries name no address: of somebody who is a stranger to the account."""
    token = client_address.set("")
    try:
        yield
    finally:
        client_address.reset(token)


def who(actor: Actor) -> tuple[str, str, str]:
    """Return an actor's kind, id and name; the latter two empty where there is none."""
    kinds = AuditEntry.ActorKind
    if actor.key is not None:
        return kinds.KEY, str(actor.key.id), actor.key.name or str(actor.key)
    if actor.user is not None:
        return kinds.USER, str(actor.user.pk), actor.user.get_username()
    if actor.command:
        return kinds.COMMAND, "", actor.command
    return kinds.SYSTEM, "", ""


def _address() -> str | None:
    try:
        return str(ipaddress.ip_address(client_address.get()))
    except ValueError:
        return None


def _plain(value: Any, path: str = "") -> Any:
    """Return JSON that may be kept: texts cut, secrets blotted out, by the names on their path."""
    if value is None and not path:
        return {}
    if isinstance(value, Mapping):
        return {
            str(name): _plain(inner, f"{path}.{name}" if path else str(name))
            for name, inner in value.items()
        }
    if path and _SECRET_NAME.search(path):
        return BLOT if value else value
    if isinstance(value, list | tuple):
        return [_plain(inner, path) for inner in value]
    if isinstance(value, str):
        text = redact(value)
        return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text)})"
    return value if isinstance(value, bool | int | float | None) else str(value)
