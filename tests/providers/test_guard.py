"""Addresses that requests to users' URLs may reach, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from apps.providers import connections
from apps.providers.guard import (
    AddressRefused,
    addresses_of,
    is_allowed,
    is_public,
    networks_read,
)
from tests.vendors.serving import Exchange, StandIn, serving

PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "::1"),  # loopback
    *("169.254.169.254", "169.254.0.1", "fe80::1"),  # link-local: where clouds keep their keys
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12::1"),
    *("100.64.0.1", "100.127.255.255"),  # carrier-grade NAT
    *("0.0.0.0", "0.1.2.3", "::"),
    *("224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"),  # multicast
    *("255.255.255.255", "240.0.0.1"),
    *("192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),  # IPv4-mapped
    *("::127.0.0.1", "::ffff:0:127.0.0.1"),  # IPv4-compatible, IPv4-translated
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1"),  # NAT64
    *("2002:7f00:1::", "2002:a00:1::", "2002:a9fe:a9fe::1"),  # 6to4
    *("2001:0:7f00:1::", "2001::1"),  # Teredo
    *("fec0::1", "100::1", "5f00::1", "4000::1"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "198.20.0.1"),
    *(
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::",
    ),
]


@pytest.mark.parametrize("text", PRIVATE)
def test_nobody_is_reached_at_a_private_address(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_everybody_is_reached_at_a_public_address(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    ("allowed", "text", "may"),
    [
        ("", "10.2.0.1", False),
        ("10.2.0.0/16", "10.2.0.1", True),
        ("10.2.0.0/16", "10.3.0.1", False),
        ("127.0.0.1, 10.2.0.0/16,", "127.0.0.1", True),
        ("127.0.0.1", "::1", False),
        ("::1", "::1", True),
        ("all", "169.254.169.254", True),
        (" ALL ", "fe80::1", True),
        ("10.2.0.1/16", "10.2.0.1", False),  # no network: a check says so, and nothing is allowed
        ("nonsense", "8.8.8.8", True),
    ],
)
def test_the_operator_allows_networks(
    monkeypatch: pytest.MonkeyPatch, allowed: str, text: str, may: bool
) -> None:
    monkeypatch.setenv("PRIVATE_ADDRESSES", allowed)
    assert is_allowed(ipaddress.ip_address(text)) is may


@pytest.mark.parametrize("text", ["10.2.0.1/16", "localhost", "10.0.0.0/33", "1.2.3"])
def test_what_is_no_network_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=text.partition("/")[0]):
        networks_read(f"127.0.0.1, {text}")


# Spellings of private addresses that some resolvers and URL parsers read differently.
SPELLINGS = [
    *("localhost", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1"),
    *("127.0.0.1", "0", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]"),
    *("169.254.169.254", "0xa9fea9fe", "2852039166", "[64:ff9b::7f00:1]", "[fe80::1]"),
]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with connections.closing():
        yield connections.http(guarded=True)


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_leads_inside(client: httpx.AsyncClient, host: str) -> None:
    with pytest.raises((AddressRefused, httpx.ConnectError, httpx.InvalidURL)):
        await client.get(f"http://{host}:9/")


class Names:
    """A name server: each name has its answers, one for each time that it is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        monkeypatch.setattr(socket, "getaddrinfo", self._asking(socket.getaddrinfo))

    def _asking(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def ask(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if host not in self.answers:
                return real(host, port, *args, **kwargs)
            self.asked.append(host)
            known = self.answers[host]
            found = known.pop(0) if len(known) > 1 else known[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

        return ask


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


class Inside(StandIn):
    """What must not be reached, or may."""

    async def http(self, exchange: Exchange) -> None:
        await exchange.answer(200, {"host": exchange.seen.headers["host"]})


@pytest.fixture
async def inside() -> AsyncIterator[Inside]:
    async with serving(Inside()) as stand_in:
        assert isinstance(stand_in, Inside)
        yield stand_in


async def test_of_a_name_with_both_only_public_addresses_are_tried(names: Names) -> None:
    names.answers["both.example"] = [["10.0.0.1", "8.8.8.8", "127.0.0.1", "8.8.8.8"]]
    assert await addresses_of("both.example", 443) == ["8.8.8.8"]


async def test_a_name_with_private_addresses_alone_is_refused(names: Names) -> None:
    names.answers["inside.example"] = [["10.0.0.1", "127.0.0.1"]]
    with pytest.raises(AddressRefused, match=r"inside\.example leads to a private address"):
        await addresses_of("inside.example", 443)


async def test_a_name_whose_answer_changes_gains_nothing(
    names: Names, client: httpx.AsyncClient, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Judged at the first answer, connected to by the second: that would be inside.
    names.answers["rebind.example"] = [["192.0.2.1"], ["127.0.0.1"]]
    monkeypatch.setenv("PRIVATE_ADDRESSES", "192.0.2.1")
    port = inside.url.rpartition(":")[2]
    with pytest.raises((httpx.ConnectError, httpx.ConnectTimeout, TimeoutError)):
        async with asyncio.timeout(0.5):
            await client.get(f"http://rebind.example:{port}/")
    assert names.asked == ["rebind.example"]
    assert inside.seen == []


async def test_the_connection_goes_to_the_address_that_was_judged(
    names: Names, client: httpx.AsyncClient, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.answers["rebind.example"] = [["127.0.0.1"], ["192.0.2.1"]]
    monkeypatch.setenv("PRIVATE_ADDRESSES", "127.0.0.1")
    port = inside.url.rpartition(":")[2]
    answer = await client.get(f"http://rebind.example:{port}/")
    assert answer.json() == {"host": f"rebind.example:{port}"}
    assert names.asked == ["rebind.example"]


async def test_a_new_connection_is_judged_anew(
    names: Names, client: httpx.AsyncClient, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.answers["rebind.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    monkeypatch.setenv("PRIVATE_ADDRESSES", "127.0.0.1")
    port = inside.url.rpartition(":")[2]
    url = f"http://rebind.example:{port}/"
    assert (await client.get(url, headers={"connection": "close"})).status_code == 200
    with pytest.raises(AddressRefused):
        await client.get(url)
    assert len(inside.seen) == 1


async def test_what_the_operator_allows_is_reached(
    client: httpx.AsyncClient, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AddressRefused, match="PRIVATE_ADDRESSES"):
        await client.get(inside.url)
    monkeypatch.setenv("PRIVATE_ADDRESSES", "127.0.0.0/8")
    assert (await client.get(inside.url)).status_code == 200


async def test_it_follows_no_redirects_and_asks_no_proxy(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not client.follow_redirects
    assert not client.trust_env
