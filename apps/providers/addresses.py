"""Addresses that a bot names itself: how they are read, and whether two lead to one server."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

# The option of a provider whose server the bot names.
ADDRESS: Final = "base_url"
# Without a user's name in it: that would be a password in a place where none is looked for.
URL: Final = re.compile(
    r"https?://(\[[0-9a-f:.]+\]|[^\s/?#@:\[\]\\]+)(:\d{1,5})?(/[^\s?#\\]*)?", re.IGNORECASE
)
_PORTS: Final = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Where a server is (RFC 6454)."""

    scheme: str
    host: str
    port: int


def origin_of(address: str) -> Origin | None:
    """Return where an address leads; None for what is no address."""
    if not URL.fullmatch(address.strip()):
        return None
    parts = urlsplit(address.strip())
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError:
        return None
    return Origin(parts.scheme, parts.hostname or "", port)


def same_server(one: str, other: str) -> bool:
    """Tell whether two addresses have one scheme, host and port. Two that are empty have."""
    if not one.strip() and not other.strip():
        return True
    found = origin_of(one)
    return found is not None and found == origin_of(other)
