"""What an API key may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError

ADMIN: Final = "admin"
# In this order they are kept and shown.
SCOPES: Final = (
    *("configs:read", "configs:write", "calls:read", "calls:write"),
    *("phones:read", "phones:write", "webhooks:read", "webhooks:write", ADMIN),
)
# What a key that says nothing gets: it works with bots, and makes no other keys.
DEFAULT_SCOPES: Final = tuple(scope for scope in SCOPES if scope != ADMIN)

# Who may write may read; admin may do everything.
HOLDS: Final[Mapping[str, frozenset[str]]] = {
    scope: frozenset((scope, scope.replace(":write", ":read"))) for scope in SCOPES
} | {ADMIN: frozenset(SCOPES)}


def scopes_allow(scopes: Iterable[str], needed: str) -> bool:
    """Tell whether one of ``scopes`` holds ``needed``. None holds an unknown one."""
    return any(needed in HOLDS.get(scope, ()) for scope in scopes)


def scopes_in_order(scopes: Iterable[str]) -> list[str]:
    """Return ``scopes`` once each, in the order of SCOPES.

    Raises django's ValidationError for none at all, and for unknown ones, saying what is valid.
    """
    asked = set(scopes)
    unknown = sorted(asked - set(SCOPES))
    valid = f"Valid: {', '.join(SCOPES)}."
    if unknown:
        raise ValidationError(f"Unknown: {', '.join(unknown)}. {valid}", code="unknown")
    if not asked:
        raise ValidationError(f"At least one. {valid}", code="empty")
    return [scope for scope in SCOPES if scope in asked]


def scopes_are_valid(value: Any) -> None:
    """Refuse what is no list of scopes, for the model's field."""
    if not isinstance(value, list) or not all(isinstance(scope, str) for scope in value):
        raise ValidationError("A list of scopes.", code="invalid")
    scopes_in_order(value)
