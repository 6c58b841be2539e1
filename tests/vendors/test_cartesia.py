"""What only Cartesia's adapter has to get right: contexts, expiry, controls, errors inside."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from apps.providers.cartesia import CartesiaVoice, Contexts
from apps.providers.speech_sockets import Mark
from apps.voice.ports import Flowing, ProviderError, Warmable, WordAt, sound_of
from tests.vendors.cartesia import VOICE, CartesiaStandIn, Refused
from tests.vendors.serving import KEY, serving
from tests.vendors.subjects import VOICES
from tests.vendors.test_every_voice import NEXT, TEXT, assert_is_tone, heard

SUBJECT = next(subject for subject in VOICES if subject.provider == "cartesia")


@pytest.fixture
async def vendor() -> AsyncIterator[CartesiaStandIn]:
    async with serving(CartesiaStandIn()) as stand_in:
        assert isinstance(stand_in, CartesiaStandIn)
        yield stand_in


@pytest.fixture
async def voice(vendor: CartesiaStandIn) -> AsyncIterator[CartesiaVoice]:
    found = CartesiaVoice(SUBJECT.service(vendor.url))
    yield found
    await found.aclose()


def contexts(vendor: CartesiaStandIn) -> list[str]:
    """The contexts of the texts asked for, in order."""
    return [asked["context_id"] for asked in vendor.requests if asked["transcript"]]


def test_it_is_what_the_engine_looks_for(voice: CartesiaVoice) -> None:
    assert isinstance(voice, Flowing)
    assert isinstance(voice, Warmable)


async def test_it_asks_as_documented(vendor: CartesiaStandIn, voice: CartesiaVoice) -> None:
    await heard(voice, TEXT)
    assert vendor.seen[0].headers["cartesia-version"] == "2026-03-01"
    text, flush = vendor.requests
    assert text == {
        "model_id": "sonic-3",
        "voice": {"mode": "id", "id": VOICE},
        "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
        "language": "en",
        "add_timestamps": True,
        "context_id": text["context_id"],
        "continue": True,
        "transcript": f"{TEXT} ",
    }
    assert flush == {**text, "transcript": "", "flush": True}


async def test_the_sentences_of_a_say_share_a_context(
    vendor: CartesiaStandIn, voice: CartesiaVoice
) -> None:
    voice.flow()
    for text in (TEXT, NEXT):
        await heard(voice, text)
    voice.flow()
    await heard(voice, TEXT)
    first, second, third = contexts(vendor)
    assert first == second != third
    assert not vendor.refusals


async def test_a_say_that_is_over_holds_no_context(
    vendor: CartesiaStandIn, voice: CartesiaVoice
) -> None:
    vendor.concurrency = 1
    for _ in range(3):
        voice.flow()
        await heard(voice, TEXT)
    assert not vendor.refusals


async def test_an_interrupted_say_is_not_continued(
    vendor: CartesiaStandIn, voice: CartesiaVoice
) -> None:
    async with aclosing(voice.speak(TEXT)) as pieces:
        await anext(pieces)
    assert_is_tone(vendor, await heard(voice, NEXT), NEXT)
    first, second = contexts(vendor)
    assert first != second


async def test_a_context_that_expired_is_not_used(
    vendor: CartesiaStandIn, voice: CartesiaVoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    await heard(voice, TEXT)
    monkeypatch.setattr("apps.providers.cartesia.FRESH_S", 0.0)
    await heard(voice, NEXT)
    first, second = contexts(vendor)
    assert first != second
    assert not vendor.refusals


async def test_a_sentence_that_meets_the_end_of_its_context_is_asked_again(
    vendor: CartesiaStandIn, voice: CartesiaVoice
) -> None:
    vendor.expires_s = 0.0  # long before it is expected here
    for _ in range(5):
        assert_is_tone(vendor, await heard(voice, NEXT), NEXT)


def test_a_context_that_ends_under_a_sentence_has_it_asked_again(vendor: CartesiaStandIn) -> None:
    words = Contexts(SUBJECT.service(vendor.url))
    words.ask(TEXT)
    context = words._context
    chunk = {"type": "chunk", "data": "AAAA", "done": False, "context_id": context}
    flushed = {"type": "flush_done", "context_id": context, "flush_id": 1}
    done = json.dumps({"type": "done", "done": True, "context_id": context})
    assert list(words.read(json.dumps(chunk))) == [b"\0\0\0"]
    assert list(words.read(json.dumps(flushed))) == [Mark.END]
    words.ask(NEXT)
    assert list(words.read(done)) == [Mark.AGAIN]
    words.ask(NEXT)
    assert words._context != context
    assert list(words.read(done)) == []


async def test_an_end_that_comes_twice_does_not_end_the_next_sentence(
    vendor: CartesiaStandIn, voice: CartesiaVoice
) -> None:
    vendor.ends_twice = True
    for text in (TEXT, NEXT, TEXT):
        assert_is_tone(vendor, await heard(voice, text), text)


@pytest.mark.parametrize("from_sentence", [False, True])
async def test_words_are_placed_whatever_their_times_count_from(
    vendor: CartesiaStandIn, voice: CartesiaVoice, from_sentence: bool
) -> None:
    vendor.times_from_sentence = from_sentence
    for text in (TEXT, NEXT, TEXT):
        words = [piece async for piece in voice.speak(text) if isinstance(piece, WordAt)]
        assert words[0] == WordAt(text.split()[0], 60.0 * len(text.split()[0]))
        assert words[-1] == WordAt(text.split()[-1], 60.0 * len(text))


@pytest.mark.parametrize(
    ("model", "options", "sent"),
    [
        ("sonic-3", {}, {}),
        ("sonic-3", {"speed": "normal"}, {}),
        ("sonic-3", {"speed": "slowest"}, {"generation_config": {"speed": 0.6}}),
        ("sonic-3", {"speed": "fast"}, {"generation_config": {"speed": 1.25}}),
        ("sonic-3", {"speed": "1.0"}, {}),
        ("sonic-3", {"speed": 0.7}, {"generation_config": {"speed": 0.7}}),
        ("sonic-3.5", {"speed": "1.2"}, {"generation_config": {"speed": 1.2}}),
        ("sonic-3", {"speed": "0.5"}, {"generation_config": {"speed": 1.25}}),
        ("sonic-2", {"speed": "1.0"}, {"speed": "fast"}),
        ("sonic-3", {"speed": "-0.5"}, {"generation_config": {"speed": 0.8}}),
        ("sonic-3", {"speed": "17"}, {"generation_config": {"speed": 1.5}}),
        ("sonic-3", {"speed": "briskly"}, {}),
        (
            "sonic-3",
            {"emotion": ["positivity:high", "curiosity"]},
            {"generation_config": {"emotion": "happy"}},
        ),
        ("sonic-latest", {"emotion": ["Calm"]}, {"generation_config": {"emotion": "calm"}}),
        ("sonic-3", {"emotion": []}, {}),
        ("sonic-2", {"speed": "fastest", "emotion": ["anger"]}, {"speed": "fast"}),
        ("sonic-turbo", {"speed": -0.3}, {"speed": "slow"}),
        ("sonic-2", {"speed": 0.1}, {}),
        ("sonic-3", {"sample_rate": 24000, "text_filter": {}}, {}),
    ],
)
async def test_pace_and_emotion_are_said_as_the_model_understands(
    vendor: CartesiaStandIn, model: str, options: dict[str, Any], sent: dict[str, Any]
) -> None:
    service = SUBJECT.service(vendor.url)
    settings = type(service)(
        "cartesia", model, VOICE, "en", options, service.secrets, vendor.url, 5.0
    )
    voice = CartesiaVoice(settings)
    await heard(voice, NEXT)
    await voice.aclose()
    asked = vendor.requests[0]
    found = {name: asked[name] for name in ("generation_config", "speed") if name in asked}
    assert found == sent


@pytest.mark.parametrize(
    ("status", "code", "reason", "retryable"),
    [
        (401, None, "auth", False),
        (402, "quota_exceeded", "quota", False),
        (429, "concurrency_limited", "quota", True),
        (400, "voice_not_found", "bad_request", False),
        (500, None, "unavailable", True),
    ],
)
async def test_an_error_inside_the_socket_is_one_of_ours(
    vendor: CartesiaStandIn,
    voice: CartesiaVoice,
    status: int,
    code: str,
    reason: str,
    retryable: bool,
) -> None:
    await heard(voice, TEXT)
    vendor.refuses = Refused(status, code, "why")
    voice.flow()
    with pytest.raises(ProviderError) as caught:
        await heard(voice, TEXT)
    assert (caught.value.reason, caught.value.retryable) == (reason, retryable)
    assert (code or "HTTP") in str(caught.value)
    assert KEY not in str(caught.value)
    vendor.refuses = None
    assert_is_tone(vendor, await heard(voice, NEXT), NEXT)
    assert len(vendor.seen) == 1, "The connection was good."


async def test_retired_models_and_no_voice_are_passed_on(vendor: CartesiaStandIn) -> None:
    service = SUBJECT.service(vendor.url)
    settings = type(service)(
        "cartesia", "sonic-english", "", "", {}, service.secrets, vendor.url, 5.0
    )
    voice = CartesiaVoice(settings)
    with pytest.raises(ProviderError, match="model_not_found"):
        _ = [piece async for piece in sound_of(voice, TEXT)]
    await voice.aclose()
    assert set(vendor.refusals) == {"no such model"}
