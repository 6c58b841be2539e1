"""Connections on the loop's own streams: over real sockets, and as the HTTP client expects them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpcore
import httpx
import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from apps.providers import connections, network
from apps.providers.network import LoopBackend, LoopStream
from tests.vendors.serving import Exchange, StandIn, serving

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[int]:
    """Listen on loopback; yields the port."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(1000):
        writer.write(piece)
        await writer.drain()
    writer.close()


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def connected(port: int, *addresses: str) -> LoopStream:
    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses) or ["127.0.0.1"]

    return await LoopBackend(httpcore, resolve).connect_tcp("vendor.example", port, 5)


async def test_what_is_written_is_read_back() -> None:
    async with listening(echo) as port:
        stream = await connected(port)
        await stream.write(b"hello")
        assert await stream.read(100) == b"hello"
        assert stream.get_extra_info("is_readable") is False
        assert stream.get_extra_info("server_addr")[1] == port
        await stream.aclose()


async def test_a_deadline_that_is_given_is_kept() -> None:
    async with listening(silence) as port:
        stream = await connected(port)
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(100, 0)
        await stream.aclose()


async def test_the_end_of_an_idle_connection_is_seen_without_reading() -> None:
    async with listening(hang_up) as port:
        stream = await connected(port)
        assert await stream.read(100) == b""
        assert stream.get_extra_info("is_readable") is True
        await stream.aclose()


async def test_an_address_where_nobody_listens_is_passed_over() -> None:
    async with listening(echo) as port:
        stream = await connected(port, "127.0.0.2", "127.0.0.1")
        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
        await stream.aclose()


async def test_an_address_that_does_not_answer_loses_its_head_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "HEAD_START_S", 0)
    opened: list[str] = []
    real = asyncio.open_connection

    async def slow(host: str, port: int) -> network.Streams:
        opened.append(host)
        if host == "192.0.2.1":
            await asyncio.Event().wait()
        return await real(host, port)

    async with listening(echo) as port:
        monkeypatch.setattr(asyncio, "open_connection", slow)
        stream = await connected(port, "192.0.2.1", "127.0.0.1")
        assert opened == ["192.0.2.1", "127.0.0.1"]
        await stream.aclose()


async def test_no_address_at_all_is_no_connection() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return []

    with pytest.raises(httpcore.ConnectError):
        await LoopBackend(httpcore, resolve).connect_tcp("vendor.example", 443, 5)
    with pytest.raises(httpcore.ConnectError):
        await connected(9)


async def test_a_name_that_takes_too_long_is_a_timeout() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(httpcore.ConnectTimeout):
        await LoopBackend(httpcore, resolve).connect_tcp("vendor.example", 443, 0)


async def test_a_server_that_is_no_tls_is_no_connection() -> None:
    async with listening(echo) as port:
        stream = await connected(port)
        with pytest.raises(httpcore.ConnectError):
            await stream.start_tls(ssl.create_default_context(), "vendor.example", 5)
        await stream.aclose()


class Vendor(StandIn):
    async def http(self, exchange: Exchange) -> None:
        await exchange.answer(200, {"port": exchange.seen.port})


async def test_the_client_keeps_connections_and_replaces_those_that_ended() -> None:
    async with serving(Vendor()) as vendor:
        client = connections.http()
        one, two = [(await client.get(vendor.url)).json()["port"] for _ in range(2)]
        assert one == two
        vendor.hang_up()
        await vendor.until(lambda: not vendor.connections)
        try:
            three = (await client.get(vendor.url)).json()["port"]
        except httpx.HTTPError:  # its end had not arrived yet
            three = (await client.get(vendor.url)).json()["port"]
        assert three != one
        await connections.aclose()


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's TLS, of a certificate for vendor.example made here."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vendor.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("vendor.example")]), False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "vendor.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


async def transferred(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, name: str) -> bytes:
    """Send four megabytes through TLS and back, read slowly enough to stop the sender."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(5)
        writer.write(BODY)
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_tls)
    async with server:
        stream = await connected(server.sockets[0].getsockname()[1])
        try:
            await stream.start_tls(client_tls, name, 5)
            assert stream.get_extra_info("ssl_object") is not None
            await stream.write(b"hello")
            found = bytearray()
            while piece := await stream.read(65_536):
                found += piece
                await asyncio.sleep(0)
            return bytes(found)
        finally:
            await stream.aclose()


BODY = bytes(range(256)) * 16_384


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_tls_carries_everything_on_both_event_loops(
    authority: tuple[ssl.SSLContext, ssl.SSLContext], loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(transferred(*authority, "vendor.example")) == BODY


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_certificate_of_another_name_is_no_connection(
    authority: tuple[ssl.SSLContext, ssl.SSLContext], loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=loop) as runner, pytest.raises(httpcore.ConnectError):
        runner.run(transferred(*authority, "other.example"))
