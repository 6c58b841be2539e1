"""What is Gladia's own: a session by HTTP first, and no way to ask for final words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.providers import connections
from apps.voice.ports import ProviderError
from tests.vendors.caller import calling
from tests.vendors.gladia import GladiaStandIn
from tests.vendors.kinds import Subject
from tests.vendors.serving import Exchange, Fault, serving


@pytest.fixture
async def vendor() -> AsyncIterator[GladiaStandIn]:
    async with serving(GladiaStandIn()) as stand_in:
        assert isinstance(stand_in, GladiaStandIn)
        yield stand_in


def gladia(language: str = "", **options: Any) -> Subject:
    settings = {"model": "", "language": language, "options": options}
    return Subject("stt", "gladia", GladiaStandIn, settings)


@pytest.mark.parametrize(
    ("language", "config"),
    [
        ("de-AT", {"languages": ["de"], "code_switching": False}),
        ("multi", {"languages": [], "code_switching": True}),
        ("", {"languages": [], "code_switching": False}),
    ],
)
async def test_a_session_is_asked_for(
    vendor: GladiaStandIn, language: str, config: dict[str, Any]
) -> None:
    async with calling(gladia(language, keyterms=["Ada", "Grace"]), vendor):
        pass
    (asked,) = vendor.sessions.values()
    assert asked["model"] == "solaria-1"
    assert asked["language_config"] == config
    assert asked["realtime_processing"] == {
        "custom_vocabulary": True,
        "custom_vocabulary_config": {"vocabulary": ["Ada", "Grace"]},
    }


async def test_without_words_to_expect_none_are_sent(vendor: GladiaStandIn) -> None:
    async with calling(gladia(), vendor):
        pass
    (asked,) = vendor.sessions.values()
    assert "realtime_processing" not in asked


async def test_the_key_is_for_the_session_alone(vendor: GladiaStandIn) -> None:
    async with calling(gladia(), vendor):
        pass
    session, socket = vendor.seen
    assert "x-gladia-key" in session.headers
    assert "x-gladia-key" not in socket.headers


async def test_a_broken_connection_gets_a_new_session(vendor: GladiaStandIn) -> None:
    async with calling(gladia(), vendor) as caller:
        vendor.fault = Fault()
        caller.speak(1, ms=600)
        await vendor.until(lambda: len(vendor.audio) > 4_000)
        caller.ears._link.socket.transport.abort()
        caller.sound(400)
        caller.stop()
        assert await caller.words(1) == "book a table"
        assert len(vendor.sessions) == 2


async def test_final_words_that_take_their_time_are_waited_for(vendor: GladiaStandIn) -> None:
    vendor.slow_finals_ms = 800.0
    async with calling(gladia(), vendor) as caller:
        caller.say(1)
        await vendor.until(lambda: len(vendor.audio) >= 8 * 1_280)
        assert caller.ends() == []
        caller.silence(1_000)
        assert await caller.words(1) == "book a table"


async def test_a_connection_that_was_kept_too_long_is_no_failure(vendor: GladiaStandIn) -> None:
    async with calling(gladia(), vendor):
        pass
    # The vendor closes what is idle, and the pool does not know yet.
    for connection in connections.http()._transport._pool.connections:  # type: ignore[attr-defined]
        await connection._connection._network_stream.aclose()
    async with calling(gladia(), vendor) as caller:
        caller.say(1)
        assert await caller.words(1) == "book a table"


class Sly(GladiaStandIn):
    async def http(self, exchange: Exchange) -> None:
        await exchange.answer(201, {"id": "x", "url": "https://elsewhere.example/"})


async def test_an_address_that_is_no_socket_is_not_asked() -> None:
    async with serving(Sly()) as vendor:
        assert isinstance(vendor, Sly)
        with pytest.raises(ProviderError) as raised:
            async with calling(gladia(), vendor):
                pass
    assert raised.value.reason == "unavailable"
