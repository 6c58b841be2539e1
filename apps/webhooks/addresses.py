"""URLs that events may be sent to: said when one is saved, and looked at again when it is asked.

Where a connection leads is judged by ``providers.guard`` when it is opened; that is decisive, for a
name may lead elsewhere tomorrow.
"""

from __future__ import annotations

import asyncio
from urllib.parse import SplitResult, urlsplit

import httpx

from apps.providers.guard import ALLOWED, AddressRefused, address_read, addresses_of, is_listed

RESOLVE_S = 3.0
EXPECTED = "A whole https URL, without user, password or fragment."
PLAIN = f"http only to addresses that {ALLOWED} in the server's environment allows; else https."


class UrlRefused(ValueError):
    """No events go to this URL. The text is safe to show."""


def url_check(url: str) -> None:
    """Refuse a URL that nothing may be sent to; asks a name server, three seconds at most.

    A name that nobody knows passes, for it may be known tomorrow; not so for http. Raises
    UrlRefused.
    """
    parts = url_parts(url)
    try:
        asyncio.run(asyncio.wait_for(host_check(parts), RESOLVE_S))
    except AddressRefused as exc:
        raise UrlRefused(str(exc)) from None
    except (OSError, ValueError, TimeoutError):
        # ValueError: a host that no name server is asked for.
        if parts.scheme == "http":
            raise UrlRefused(PLAIN) from None


def url_parts(url: str) -> SplitResult:
    """Take a URL apart. Raises UrlRefused for one that is no whole http or https URL."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx.URL(url)  # who will ask has a mind of its own
    except (ValueError, httpx.InvalidURL):
        raise UrlRefused(EXPECTED) from None
    if not fits or "@" in parts.netloc or "#" in url or any(map(str.isspace, url)):
        raise UrlRefused(EXPECTED)
    return parts


async def host_check(parts: SplitResult) -> None:
    """Refuse a host whose addresses events must not go to.

    Raises AddressRefused; OSError or ValueError for a host that leads nowhere.
    """
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    found = await addresses_of(host, port)
    if parts.scheme == "http" and not all(is_listed(address_read(text)) for text in found):
        raise AddressRefused(PLAIN)
