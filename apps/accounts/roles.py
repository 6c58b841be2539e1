"""What a person may do in an account: each role holds scopes, the same that API keys hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from apps.accounts.models import Membership
from apps.accounts.scopes import ADMIN, DEFAULT_SCOPES, scopes_allow

# A key makes no members: this is asked of people alone.
MEMBERS: Final = "members"

_READS = tuple(scope for scope in DEFAULT_SCOPES if scope.endswith(":read"))

ROLE_SCOPES: Final[Mapping[str, tuple[str, ...]]] = {
    Membership.Role.VIEWER: _READS,
    Membership.Role.OPERATOR: DEFAULT_SCOPES,
    Membership.Role.ADMIN: (*DEFAULT_SCOPES, ADMIN),
    Membership.Role.OWNER: (*DEFAULT_SCOPES, ADMIN, MEMBERS),
}


def role_allows(role: str, needed: str) -> bool:
    """Tell whether a role may do what ``needed``, a scope or MEMBERS, names."""
    scopes = ROLE_SCOPES.get(role, ())
    if needed == MEMBERS:
        return MEMBERS in scopes
    return scopes_allow(scopes, needed)


def roles_with(needed: str) -> frozenset[str]:
    """Return the roles that may do it."""
    return frozenset(role for role in ROLE_SCOPES if role_allows(role, needed))
