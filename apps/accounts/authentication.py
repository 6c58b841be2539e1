"""Bearer authentication: whose request is this?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.accounts.audit import Actor
from apps.accounts.models import Account, ApiKey
from apps.accounts.services import api_key_verify
from apps.core.throttling import guess_count, guesses_refuse

if TYPE_CHECKING:
    # rest_framework.views imports this module while it is being imported itself.
    from rest_framework.views import APIView

KEYWORD = "bearer"


class ApiKeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer <key>``. request.auth becomes the ApiKey; there is no user.

    An unknown, a wrong, a revoked and an expired key answer alike, so that none can be told from
    another.
    """

    def authenticate(self, request: Request) -> tuple[None, ApiKey] | None:
        header = request.headers.get("Authorization", "")
        if not header:
            return None
        if not authorization_is_readable(request):
            raise AuthenticationFailed("The Authorization header must read: Bearer <API key>.")
        guesses_refuse()
        key = api_key_verify(header.partition(" ")[2].strip())
        if key is None:
            guess_count()
            raise AuthenticationFailed("The API key is not valid.")
        return None, key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def authorization_is_readable(request: Request) -> bool:
    """Whether the request has an Authorization header that could hold a key."""
    keyword, _, secret = request.headers.get("Authorization", "").partition(" ")
    return keyword.lower() == KEYWORD and bool(secret.strip())


class HasAccount(BasePermission):
    """Somebody with an account asks."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, ApiKey)


def account_of(request: Request) -> Account:
    """Return the account that the request acts for. The permission has been checked."""
    return key_of(request).account


def actor_of(request: Request) -> Actor:
    """Return who is asking, for the audit log."""
    return Actor(key=key_of(request))


def key_of(request: Request) -> ApiKey:
    """Return the request's API key. The permission has been checked."""
    key = request.auth
    if not isinstance(key, ApiKey):
        raise TypeError("This view lets requests without a key through.")
    return key
