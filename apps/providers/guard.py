"""Keeps requests to URLs that users give out of private networks.

The address is judged, not the name: a name is resolved once, and the connection goes to the address
that was judged, so that a name whose answer changes gains nothing. Every connection passes here,
those of redirects too. Kept-alive ones were judged when they were opened.

``PRIVATE_ADDRESSES`` in the environment lists what is allowed all the same: addresses or networks
(``127.0.0.1, 10.2.0.0/16``), or ``all``.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import ssl
from typing import cast

import httpcore
import httpx

from apps.providers.network import LoopBackend, resolved

ALLOWED = "PRIVATE_ADDRESSES"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# RFC 6052, 2.1: the last 32 bits are an IPv4 address.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# RFC 4291, 2.4: nothing else is assigned for all. Older forms that hold an IPv4 address are not in.
_UNICAST = ipaddress.ip_network("2000::/3")


class AddressRefused(Exception):
    """A URL leads into a network that requests must not reach. The text is safe to show."""


def is_public(address: Address) -> bool:
    """Whether anybody on the internet may be reached at ``address``."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address not in _UNICAST:
            return False
    return address.is_global and not address.is_multicast


def networks_read(text: str) -> tuple[Network, ...]:
    """Read the allowed networks. Raises ValueError naming what is none."""
    if text.strip().lower() == "all":
        return (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


@functools.lru_cache(maxsize=8)
def _networks(text: str) -> tuple[Network, ...]:
    try:
        return networks_read(text)
    except ValueError:  # a system check has said so; nothing is allowed then
        return ()


def is_allowed(address: Address) -> bool:
    """Whether a request may go to ``address`` from this server."""
    return is_public(address) or is_listed(address)


def is_listed(address: Address) -> bool:
    """Whether the operator has named ``address`` in PRIVATE_ADDRESSES."""
    allowed = _networks(os.environ.get("PRIVATE_ADDRESSES", ""))
    return any(address in network for network in allowed)


async def addresses_of(host: str, port: int) -> list[str]:
    """Resolve a name to the addresses that may be reached.

    Raises AddressRefused if it has only others, OSError if it has none.
    """
    allowed = [text for text in await resolved(host, port) if is_allowed(address_read(text))]
    if not allowed:
        raise AddressRefused(
            f"{host} leads to a private address. {ALLOWED} in the server's environment allows it."
        )
    return allowed


def address_read(text: str) -> Address:
    """Read an address as a resolver writes it: IPv6 may name its network card."""
    return ipaddress.ip_address(text.partition("%")[0])


def _backend() -> httpcore.AsyncNetworkBackend:
    return cast(httpcore.AsyncNetworkBackend, LoopBackend(httpcore, addresses_of))


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport to addresses that may be reached; HTTP/1.1, no proxy.

    TLS still checks the certificate against the name: only the way there was resolved.
    """

    def __init__(self, *, limits: httpx.Limits, verify: ssl.SSLContext) -> None:
        super().__init__(verify=verify, limits=limits)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=verify,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_backend(),
        )
