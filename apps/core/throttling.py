"""Rate limits of the API: requests per key, and failed authentications per client address.

Headers: draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from apps.core.limits import Limit, Standing, limit_read, meter
from apps.core.logs import client_address
from apps.core.middleware import GetResponse

if TYPE_CHECKING:
    # rest_framework.views imports this module while it is being imported itself.
    from rest_framework.views import APIView

POLICY = "RateLimit-Policy"
REMAINING = "RateLimit"

_STANDING = "_rate_standing"


class KeyRate(BaseThrottle):
    """At most RATE_LIMIT requests with one key; 429 beyond.

    A request's key is whatever its authentication made ``request.auth``, by its ``pk``.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        found = _counted(request._request, request.auth)
        if found is not None and not found.allowed:
            # Raised, where DRF would go on to ask the other throttles after a no: the next one
            # begins work.
            raise Throttled(wait=found.reset_s, detail="Too many requests with this API key.")
        return True


class RateLimitMiddleware:
    """Tells every answer to a keyed request how its key stands.

    What was refused before any throttle was asked, as for a missing permission, is counted here.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        found = _counted(request, getattr(request, "auth", None))
        limit = _key_limit()
        if found is not None and limit is not None:
            response[POLICY] = f'"default";q={limit.quota};w={limit.window_s}'
            response[REMAINING] = f'"default";r={found.remaining};t={found.reset_s}'
        return response


def _counted(request: HttpRequest, key: Any) -> Standing | None:
    """Count the request, once."""
    who = getattr(key, "pk", None)
    limit = _key_limit()
    if who is None or limit is None:
        return None
    if not hasattr(request, _STANDING):
        setattr(request, _STANDING, meter.take(limit, f"key:{who}"))
    found: Standing | None = getattr(request, _STANDING)
    return found


def _key_limit() -> Limit | None:
    return limit_read(settings.RATE_LIMIT)


def guesses_refuse() -> None:
    """Refuse an address that has failed too often, before anything is looked up for it.

    Its good keys are refused with the bad ones: an answer that told them apart would be what a
    guesser asks for. Raises Throttled.
    """
    limit = limit_read(settings.AUTH_FAILURE_LIMIT)
    found = meter.peek(limit, _address()) if limit else None
    if found is not None and not found.allowed:
        raise Throttled(wait=found.reset_s, detail="Too many failed authentications from here.")


def guess_count() -> None:
    """Count a key that was none."""
    if limit := limit_read(settings.AUTH_FAILURE_LIMIT):
        meter.take(limit, _address())


def _address() -> str:
    return f"from:{counted_address() or client_address.get() or 'unknown'}"


def counted_address() -> str:
    """Return the address that the request's failures are counted under; empty if it has none."""
    try:
        address = ipaddress.ip_address(client_address.get())
    except ValueError:
        return ""
    if address.version == 6:
        # One customer has all addresses of a /64, and would guess from each in turn.
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)
