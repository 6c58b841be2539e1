"""What the tests of vendors share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from apps.providers import connections


@pytest.fixture(autouse=True)
async def _connections_closed() -> AsyncIterator[None]:
    """Each test has its own event loop, and closes what was opened on it."""
    yield
    await connections.aclose()
