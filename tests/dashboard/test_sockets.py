"""Which pages open a WebSocket of the dashboard: our own, by scheme, host and port."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from pytest_django import Settings

from apps.core.threads import shared_close
from tests.dashboard.people import person
from tests.dashboard.sockets import PageSocket, session_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest_asyncio.fixture(autouse=True)
async def _no_thread_is_left() -> AsyncIterator[None]:
    yield
    await shared_close()


async def opens(origin: str, host: str, scheme: str = "ws") -> bool:
    session = await sync_to_async(session_of)(
        await sync_to_async(person)("root", None, "superuser")
    )
    socket = PageSocket("/admin/ws/live", session, origin=origin, host=host, scheme=scheme)
    opened = await socket.connect()
    if opened:
        await socket.leave()
    return opened


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "ws"),
        ("http://localhost", "localhost:80", "ws"),
        ("http://localhost:80", "localhost", "ws"),
        ("https://localhost", "localhost", "wss"),
        ("https://LOCALHOST:443", "LocalHost", "wss"),
        # A proxy that ends TLS and says nothing of it.
        ("https://localhost", "localhost", "ws"),
        # One that passes on its own idea of the host: the page has PUBLIC_URL's origin.
        ("https://voice.example.com", "127.0.0.1:8000", "ws"),
        ("https://voice.example.com:443", "voice.example.com", "wss"),
    ],
)
async def test_a_page_of_ours_opens_a_socket(origin: str, host: str, scheme: str) -> None:
    assert await opens(origin, host, scheme)


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://127.0.0.1:9999", "127.0.0.1:8000", "ws"),
        ("http://localhost:8000", "127.0.0.1:8000", "ws"),
        ("https://localhost", "localhost:8000", "ws"),
        ("http://localhost", "localhost", "wss"),
        ("http://voice.example.com", "voice.example.com", "ws"),
        ("https://voice.example.com:8443", "voice.example.com", "wss"),
        ("https://evil.example", "voice.example.com", "wss"),
        ("https://evil.example", "evil.example", "wss"),
        ("null", "127.0.0.1:8000", "ws"),
        ("ftp://127.0.0.1:8000", "127.0.0.1:8000", "ws"),
        ("http://127.0.0.1:port", "127.0.0.1:8000", "ws"),
        ("http://127.0.0.1:8000", "127.0.0.1:port", "ws"),
        ("http://127.0.0.1:8000", "", "ws"),
    ],
)
async def test_a_page_of_elsewhere_opens_none(origin: str, host: str, scheme: str) -> None:
    assert not await opens(origin, host, scheme)


@pytest.mark.parametrize(
    ("origin", "ours"), [("http://a.test:81", True), ("https://a.test:81", False)]
)
async def test_a_server_without_tls_has_pages_without(
    settings: Settings, origin: str, ours: bool
) -> None:
    settings.PUBLIC_URL = "http://a.test:81"
    assert await opens(origin, "127.0.0.1:8000") is ours
