"""What a key may do at a view: each view declares the scope that each of its methods needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.accounts.authentication import key_of
from apps.accounts.scopes import scopes_allow

if TYPE_CHECKING:
    # rest_framework.views imports this module while it is being imported itself.
    from rest_framework.views import APIView

# Read as a GET: they tell no more than it does.
_LIKE_GET = frozenset(("HEAD", "OPTIONS"))


def scope_needed(view: object, method: str) -> str | None:
    """Return the scope that ``method`` needs at the view; None if the view declares none.

    A view declares ``required_scopes``, a scope by method. OPTIONS at a view without GET needs
    what the view names first.
    """
    declared: Mapping[str, str] = getattr(view, "required_scopes", {})
    if method in _LIKE_GET:
        return declared.get("GET", next(iter(declared.values()), None))
    return declared.get(method)


class HasScope(BasePermission):
    """The key holds the scope that the view needs. A view that declares nothing lets nobody in."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        method = request.method or ""
        if not hasattr(view, method.lower()):
            return True  # 405 says more
        needed = scope_needed(view, method)
        if needed is None:
            self.message = "This view declares no scope, so no key can use it."
            return False
        self.message = f"The API key lacks the scope {needed}."
        return scopes_allow(key_of(request).scopes, needed)
