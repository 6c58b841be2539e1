"""What only Deepgram's voice adapter has to get right: Clear, flushes a minute, errors inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from apps.providers import deepgram_tts
from apps.providers.deepgram_tts import AuraVoice
from apps.voice.ports import ProviderError
from tests.vendors.deepgram_speak import VOICE, Closed, DeepgramStandIn
from tests.vendors.serving import KEY, serving
from tests.vendors.subjects import VOICES
from tests.vendors.test_every_voice import NEXT, TEXT, assert_is_tone, heard

SUBJECT = next(subject for subject in VOICES if subject.provider == "deepgram_tts")


@pytest.fixture
async def vendor() -> AsyncIterator[DeepgramStandIn]:
    async with serving(DeepgramStandIn()) as stand_in:
        assert isinstance(stand_in, DeepgramStandIn)
        yield stand_in


@pytest.fixture
async def voice(vendor: DeepgramStandIn) -> AsyncIterator[AuraVoice]:
    found = AuraVoice(SUBJECT.service(vendor.url))
    yield found
    await found.aclose()


@pytest.mark.parametrize(
    ("voice_id", "model", "options", "query"),
    [
        (VOICE, "", {"speed": 1.1}, {"model": VOICE, "speed": "1.1"}),
        ("", "", {}, {"model": VOICE}),
        ("", "aura-2", {}, {"model": VOICE}),
        ("", "aura-2-viktoria-de", {}, {"model": "aura-2-viktoria-de"}),
        ("aura-asteria-en", "aura", {"speed": 1.1}, {"model": "aura-asteria-en"}),
    ],
)
async def test_it_asks_as_documented(
    vendor: DeepgramStandIn,
    voice_id: str,
    model: str,
    options: dict[str, Any],
    query: dict[str, str],
) -> None:
    settings = replace(
        SUBJECT.service(vendor.url), voice=voice_id, model=model, options=options, language="en"
    )
    voice = AuraVoice(settings)
    assert_is_tone(vendor, await heard(voice, TEXT), TEXT)
    await voice.aclose()
    seen = vendor.seen[0]
    assert seen.query == {"encoding": "mulaw", "sample_rate": "8000", **query}
    assert seen.headers["authorization"] == f"Token {KEY}"


async def test_sound_of_an_interrupted_sentence_is_dropped_until_it_is_cleared(
    vendor: DeepgramStandIn, voice: AuraVoice
) -> None:
    vendor.hold, vendor.clears = asyncio.Event(), asyncio.Event()
    async with aclosing(voice.speak(TEXT)) as pieces:
        await anext(pieces)
    vendor.hold.set()  # the old sentence goes on
    next_one = asyncio.create_task(heard(voice, NEXT))
    await vendor.until(lambda: vendor.spoken == [TEXT, NEXT])
    vendor.clears.set()
    assert_is_tone(vendor, await next_one, NEXT)
    assert len(vendor.seen) == 1


async def test_a_clear_that_is_never_confirmed_costs_no_sentence(
    vendor: DeepgramStandIn, voice: AuraVoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepgram_tts, "CLEARS_S", 0.0)
    vendor.hold, vendor.clears = asyncio.Event(), asyncio.Event()
    async with aclosing(voice.speak(TEXT)) as pieces:
        await anext(pieces)
    await vendor.until(lambda: vendor.cancels == 1)
    vendor.hold.set()
    vendor.clears = None
    assert_is_tone(vendor, await heard(voice, NEXT), NEXT)
    assert len(vendor.seen) == 2


async def test_a_sentence_that_was_sent_whole_is_not_cleared(
    vendor: DeepgramStandIn, voice: AuraVoice
) -> None:
    await heard(voice, TEXT)
    assert vendor.cancels == 0


async def test_it_speaks_more_sentences_a_minute_than_may_be_flushed(
    vendor: DeepgramStandIn, voice: AuraVoice
) -> None:
    for _ in range(45):
        await heard(voice, "Yes.")
    assert not vendor.refusals
    assert len(vendor.seen) == 3


async def test_the_new_connection_is_there_before_it_is_needed(
    vendor: DeepgramStandIn, voice: AuraVoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepgram_tts, "CHARACTERS", 20)
    await heard(voice, TEXT)
    await vendor.until(lambda: len(vendor.seen) == 2)
    await heard(voice, "Yes.")
    assert len(vendor.seen) == 2
    await vendor.until(lambda: vendor.live == 1)


@pytest.mark.parametrize(
    ("message", "reason", "retryable"),
    [
        ({"error_code": 402, "error_message": "x", "request_id": "0"}, "quota", False),
        ({"error_code": 429, "error_message": "x", "request_id": "0"}, "quota", True),
        ({"type": "Error", "code": "NET-0000", "description": "x"}, "unavailable", True),
        ({"type": "Warning", "code": "EXCESSIVE_FLUSH", "description": "x"}, "quota", True),
    ],
)
async def test_an_error_inside_the_socket_is_one_of_ours(
    vendor: DeepgramStandIn,
    voice: AuraVoice,
    message: dict[str, Any],
    reason: str,
    retryable: bool,
) -> None:
    vendor.says = message
    with pytest.raises(ProviderError) as caught:
        await heard(voice, TEXT)
    assert (caught.value.reason, caught.value.retryable) == (reason, retryable)
    vendor.says = None
    assert_is_tone(vendor, await heard(voice, NEXT), NEXT)


@pytest.mark.parametrize(
    ("code", "payload", "reason", "retryable"),
    [
        (1008, "DATA-0001", "quota", True),
        (1008, "DATA-0000", "bad_request", False),
        (1009, "BIG-0001", "bad_request", False),
        (1011, "NET-0001", "unavailable", True),
    ],
)
async def test_a_close_says_what_is_wrong(
    vendor: DeepgramStandIn,
    voice: AuraVoice,
    code: int,
    payload: str,
    reason: str,
    retryable: bool,
) -> None:
    vendor.shuts = Closed(code, payload)
    with pytest.raises(ProviderError) as caught:
        await heard(voice, TEXT)
    assert (caught.value.reason, caught.value.retryable) == (reason, retryable)
    vendor.shuts = None
    assert_is_tone(vendor, await heard(voice, NEXT), NEXT)
