"""What all voices over a WebSocket share: a connection that is there when it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.providers import speech_sockets
from apps.providers.speech_sockets import SpeechSocket
from apps.voice.ports import ProviderError
from tests.vendors.kinds import Subject, VoiceStandIn
from tests.vendors.serving import Fault, serving
from tests.vendors.subjects import VOICES
from tests.vendors.test_every_voice import NEXT, TEXT, assert_is_tone, heard

SOCKETS = [
    pytest.param(one, id=one.id)
    for one in VOICES
    if isinstance(one.build(one.service("http://127.0.0.1:9")), SpeechSocket)
]
pytestmark = pytest.mark.parametrize("subject", SOCKETS)


@pytest.fixture
async def vendor(subject: Subject) -> AsyncIterator[Any]:
    async with serving(subject.stand_in()) as stand_in:
        yield stand_in


@pytest.fixture
async def voice(subject: Subject, vendor: VoiceStandIn) -> AsyncIterator[SpeechSocket]:
    found = subject.build(subject.service(vendor.url))
    yield found
    await found.aclose()


async def test_a_connection_that_ends_idle_is_replaced_before_it_is_needed(
    vendor: VoiceStandIn, voice: SpeechSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_sockets, "LIVED_S", 0.0)
    await voice.warm()
    for n in (2, 3):
        vendor.hang_up()
        await vendor.until(lambda n=n: len(vendor.seen) == n)  # type: ignore[misc]
        # The vendor has it open; not before our side has, too, did it live at all.
        await voice.warm()
    assert_is_tone(vendor, await heard(voice, TEXT), TEXT)
    assert len(vendor.seen) == 3


async def test_one_that_does_not_last_is_not_opened_again_and_again(
    vendor: VoiceStandIn, voice: SpeechSocket
) -> None:
    await voice.warm()
    vendor.hang_up()
    await vendor.until(lambda: vendor.live == 0)
    await asyncio.sleep(0)
    assert len(vendor.seen) == 1


async def test_a_warm_up_is_waited_for_not_repeated(
    vendor: VoiceStandIn, voice: SpeechSocket
) -> None:
    warming = asyncio.create_task(voice.warm())
    assert_is_tone(vendor, await heard(voice, TEXT), TEXT)
    await warming
    assert len(vendor.seen) == 1


async def test_a_warm_up_can_be_cancelled(vendor: VoiceStandIn, voice: SpeechSocket) -> None:
    warming = asyncio.create_task(voice.warm())
    await asyncio.sleep(0)
    warming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await warming
    assert_is_tone(vendor, await heard(voice, TEXT), TEXT)


async def test_interrupted_before_the_first_sound_it_is_clean_too(
    vendor: VoiceStandIn, voice: SpeechSocket
) -> None:
    await voice.warm()
    vendor.fault = Fault("mute", times=1)
    listening = asyncio.create_task(heard(voice, TEXT))
    await vendor.until(lambda: vendor.spoken == [TEXT])
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    assert_is_tone(vendor, await heard(voice, NEXT), NEXT)


async def test_a_connection_lost_with_words_spoken_is_not_asked_again(
    vendor: VoiceStandIn, voice: SpeechSocket
) -> None:
    await heard(voice, NEXT)
    vendor.fault = Fault("cut", times=1)
    with pytest.raises(ProviderError):
        await heard(voice, TEXT)
    assert vendor.spoken == [NEXT, TEXT]


async def test_a_vendor_that_never_ends_a_sentence_is_stopped(
    vendor: VoiceStandIn, voice: SpeechSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_sockets, "LONGEST", 4_000)
    with pytest.raises(ProviderError, match="does not document"):
        await heard(voice, TEXT)


async def test_a_vendor_that_fell_mute_is_left(subject: Subject, vendor: VoiceStandIn) -> None:
    vendor.fault = Fault("mute", times=1)
    voice = subject.build(subject.service(vendor.url, patience_s=0.2))
    with pytest.raises(ProviderError):
        await heard(voice, TEXT)
    assert_is_tone(vendor, await heard(voice, NEXT), NEXT)
    assert len(vendor.seen) == 2
    await voice.aclose()


async def test_closed_while_it_connects_it_leaves_nothing(
    vendor: VoiceStandIn, voice: SpeechSocket
) -> None:
    warming = asyncio.create_task(voice.warm())
    await vendor.until(lambda: len(vendor.connections) == 1)
    await voice.aclose()
    await warming
    await vendor.until(lambda: not vendor.connections)


async def test_half_a_character_does_not_break_a_sentence(
    vendor: VoiceStandIn, voice: SpeechSocket
) -> None:
    assert_is_tone(vendor, await heard(voice, "Well done \ud83d!"), "Well done ?!")
    assert vendor.spoken == ["Well done ?!"]


async def test_mere_punctuation_is_not_asked_for(vendor: VoiceStandIn, voice: SpeechSocket) -> None:
    assert await heard(voice, " … – !") == b""
    assert vendor.seen == []


async def test_a_closed_voice_fails_at_once(voice: SpeechSocket) -> None:
    await voice.aclose()
    with pytest.raises(ProviderError):
        await heard(voice, TEXT)
