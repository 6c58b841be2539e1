"""What is Deepgram's own: two endpoints, their options, Finalize, KeepAlive, turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.providers.deepgram import FluxWire, NovaWire
from apps.voice.ports import Final, Partial, ProviderError, TurnEnded
from tests.vendors.caller import calling
from tests.vendors.deepgram_live import DeepgramStandIn
from tests.vendors.kinds import Subject
from tests.vendors.serving import serving


@pytest.fixture
async def vendor() -> AsyncIterator[DeepgramStandIn]:
    async with serving(DeepgramStandIn()) as stand_in:
        assert isinstance(stand_in, DeepgramStandIn)
        yield stand_in


def deepgram(model: str, language: str = "", **options: Any) -> Subject:
    settings = {"model": model, "language": language, "options": options}
    return Subject("stt", "deepgram", DeepgramStandIn, settings)


async def asked(vendor: DeepgramStandIn, subject: Subject) -> tuple[str, dict[str, str]]:
    """Return the path and the query of a handshake; without what all have."""
    async with calling(subject, vendor):
        pass
    query = dict(vendor.seen[-1].query)
    assert (query.pop("encoding"), query.pop("sample_rate")) == ("mulaw", "8000")
    return vendor.seen[-1].path, query


NOVA = {
    "channels": "1",
    "interim_results": "true",
    "punctuate": "true",
    "endpointing": "false",
}


@pytest.mark.parametrize(
    ("subject", "query"),
    [
        (deepgram(""), {"model": "nova-2-general"}),
        (deepgram("nova-3", "multi"), {"model": "nova-3", "language": "multi"}),
        (deepgram("nova-3", keyterms=["Ada"]), {"model": "nova-3", "keyterm": "Ada"}),
        (deepgram("nova-2", keyterms=["Ada"]), {"model": "nova-2", "keywords": "Ada"}),
        (
            deepgram("nova-2-phonecall", "de", smart_format=True, numerals=True),
            {
                "model": "nova-2-phonecall",
                "language": "de",
                "smart_format": "true",
                "numerals": "true",
            },
        ),
    ],
)
async def test_nova_is_asked_for(
    vendor: DeepgramStandIn, subject: Subject, query: dict[str, str]
) -> None:
    assert await asked(vendor, subject) == ("/v1/listen", NOVA | query)


@pytest.mark.parametrize(
    ("subject", "query"),
    [
        (deepgram("flux-general-en", "en"), {"model": "flux-general-en"}),
        (
            deepgram("flux-general-multi", "de-DE"),
            {"model": "flux-general-multi", "language_hint": "de"},
        ),
        (deepgram("flux-general-multi", "multi"), {"model": "flux-general-multi"}),
        (
            deepgram(
                "flux-general-en",
                eot_threshold=0.8,
                eot_timeout_ms=3_000,
                keyterms=["Ada"],
                smart_format=True,
            ),
            {
                "model": "flux-general-en",
                "eot_threshold": "0.8",
                "eot_timeout_ms": "3000",
                "keyterm": "Ada",
            },
        ),
    ],
)
async def test_flux_is_asked_for(
    vendor: DeepgramStandIn, subject: Subject, query: dict[str, str]
) -> None:
    assert await asked(vendor, subject) == ("/v2/listen", query)


async def test_a_model_that_it_has_not_is_a_bad_request(vendor: DeepgramStandIn) -> None:
    with pytest.raises(ProviderError) as raised:
        async with calling(deepgram("sonic"), vendor):
            pass
    assert raised.value.reason == "bad_request"


async def test_the_pause_asks_for_the_words_so_that_the_end_finds_them(
    vendor: DeepgramStandIn,
) -> None:
    async with calling(deepgram("nova-3"), vendor) as caller:
        caller.speak(1)
        caller.silence(100)
        caller.ears.pause()
        await caller.until(Partial, 1)
        await vendor.until(lambda: vendor.told == 1)
        await vendor.until(lambda: caller.ears._utterances.open.settled)
        caller.silence(200)
        caller.ears.finish()
        assert caller.events[-1] == Final(1, "book a table")
        assert vendor.flushes == 1


async def test_a_finalize_that_is_not_answered_is_no_failure(vendor: DeepgramStandIn) -> None:
    vendor.answers_empty_finalize = False
    async with calling(deepgram("nova-3"), vendor) as caller:
        caller.silence(1_000)
        caller.ears.begin(1)
        caller.silence(400)
        caller.ears.finish()
        async with asyncio.timeout(2.5):  # 1.4 s came at once: 1.1 s to take them, and 0.7 s
            assert await caller.words(1) == ""


async def test_a_connection_without_audio_is_kept_alive(
    vendor: DeepgramStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NovaWire, "idle_s", 0.05)
    vendor.idle_s = 0.3
    async with calling(deepgram("nova-3"), vendor, opens=False) as caller:
        await caller.ears.warm()
        await vendor.until(lambda: vendor.beats >= 10)
        await caller.ears.open(caller)
        caller.say(1)
        assert await caller.words(1) == "book a table"
        assert len(vendor.seen) == 1


async def test_flux_is_kept_alive_by_silence_which_moves_no_words(
    vendor: DeepgramStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FluxWire, "idle_s", 0.05)
    vendor.idle_s = 0.3
    async with calling(deepgram("flux-general-en"), vendor) as caller:
        await vendor.until(lambda: len(vendor.audio) >= 640 * 10)
        for number, words in ((1, "book a table"), (2, "for two people")):
            caller.say(number)
            caller.silence(600)
            assert await caller.words(number) == words
        assert len(vendor.seen) == 1


async def test_flux_says_that_a_turn_is_over_and_the_end_finds_the_words(
    vendor: DeepgramStandIn,
) -> None:
    async with calling(deepgram("flux-general-en"), vendor) as caller:
        assert caller.ears.endpoints
        caller.speak(1)
        caller.silence(600)
        assert (await caller.until(TurnEnded)).utterance == 1
        caller.ears.finish()
        assert caller.events[-1] == Final(1, "book a table")
        assert vendor.flushes == 0


async def test_flux_is_told_the_end_where_it_does_not_see_one(vendor: DeepgramStandIn) -> None:
    vendor.ends_turns_after_ms = 60_000
    async with calling(deepgram("flux-general-en"), vendor) as caller:
        caller.say(1)
        assert await caller.words(1) == "book a table"
        assert vendor.flushes == 1
        assert caller.turns_over() == []


async def test_flux_endpoints_only_if_it_is_wanted(vendor: DeepgramStandIn) -> None:
    async with calling(deepgram("flux-general-en", endpointing="ours"), vendor) as caller:
        assert not caller.ears.endpoints
        caller.speak(1)
        caller.silence(1_000)
        caller.ears.finish()
        assert await caller.words(1) == "book a table"
        assert caller.turns_over() == []


async def test_silence_that_flux_has_heard_is_an_empty_final_without_waiting(
    vendor: DeepgramStandIn,
) -> None:
    async with calling(deepgram("flux-general-en"), vendor) as caller:
        caller.silence(600)
        caller.ears.begin(1)
        caller.silence(200)
        caller.ears.finish()
        caller.silence(1_000)
        async with asyncio.timeout(0.5):
            assert await caller.words(1) == ""


@pytest.mark.parametrize("model", ["nova-3", "flux-general-en"])
async def test_a_vendor_that_falls_silent_is_a_failure_and_not_an_empty_final(
    vendor: DeepgramStandIn, model: str
) -> None:
    async with calling(deepgram(model), vendor, patience_s=1.6) as caller:
        vendor.deaf = True
        caller.silence(1_000)
        caller.say(1, ms=3_000)
        assert (await caller.failure(1)).reason == "timeout"
        vendor.deaf = False
        caller.say(2)
        assert await caller.words(2) == "book a table"


async def test_words_after_the_pauses_answer_are_asked_for_at_the_end(
    vendor: DeepgramStandIn,
) -> None:
    async with calling(deepgram("nova-3"), vendor) as caller:
        caller.speak(1)
        caller.silence(100)
        caller.ears.pause()
        await caller.until(Partial, 1)
        await vendor.until(lambda: caller.ears._utterances.open.settled)
        caller.sound(600)  # too weak for our detector, not for the vendor
        await vendor.until(lambda: bool(caller.ears._utterances.open.guess))
        caller.ears.finish()
        async with asyncio.timeout(1.0):
            assert await caller.words(1) == "book a table for two people"
        assert vendor.flushes == 2
