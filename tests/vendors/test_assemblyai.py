"""What is AssemblyAI's own: message sizes, turns, and refusals on a socket that opened well."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.providers.assemblyai import AssemblyAiWire
from apps.providers.base import ServiceSettings
from apps.voice.ports import Final, ProviderError, TurnEnded
from tests.vendors.assemblyai import AssemblyAiStandIn
from tests.vendors.caller import calling
from tests.vendors.kinds import Subject
from tests.vendors.serving import Fault, serving


@pytest.fixture
async def vendor() -> AsyncIterator[AssemblyAiStandIn]:
    async with serving(AssemblyAiStandIn()) as stand_in:
        assert isinstance(stand_in, AssemblyAiStandIn)
        yield stand_in


def assemblyai(model: str = "", language: str = "", **options: Any) -> Subject:
    settings = {"model": model, "language": language, "options": options}
    return Subject("stt", "assemblyai", AssemblyAiStandIn, settings)


async def test_messages_of_audio_have_from_50_to_1000_ms(vendor: AssemblyAiStandIn) -> None:
    vendor.gate = asyncio.Event()
    vendor.transcripts = ["book a table"] * 8
    async with calling(assemblyai(), vendor, opens=False) as caller:
        opening = asyncio.create_task(caller.ears.open(caller))
        await vendor.until(lambda: bool(vendor.seen))
        caller.speak(1, ms=5_020)
        vendor.gate.set()
        await opening
        caller.stop()
        assert await caller.words(1) == "book a table"
        for frames in range(1, 8):  # ends at every remainder
            caller.silence(20 * frames)
            caller.ears.begin(frames + 1)
            caller.sound(20 * frames)
            caller.ears.finish()
            assert await caller.words(frames + 1) == "book a table"
    assert vendor.refusals == []
    assert all(400 <= length <= 8_000 for length in vendor.chunks)
    assert max(vendor.chunks) == 8_000


@pytest.mark.parametrize(
    ("subject", "more"),
    [
        (assemblyai(), {"speech_model": "universal-3-6-pro"}),
        (
            assemblyai("universal-3-6-pro", "de-DE"),
            {"speech_model": "universal-3-6-pro", "language_codes": '["de"]'},
        ),
        (assemblyai("universal-3-5-pro", "multi"), {"speech_model": "universal-3-5-pro"}),
        (
            assemblyai("universal-streaming-multilingual", "de"),
            {"speech_model": "universal-streaming-multilingual"},
        ),
    ],
)
async def test_a_session_is_asked_for(
    vendor: AssemblyAiStandIn, subject: Subject, more: dict[str, str]
) -> None:
    async with calling(subject, vendor):
        pass
    always = {"sample_rate": "8000", "encoding": "pcm_mulaw", "format_turns": "false"}
    assert dict(vendor.seen[-1].query) == always | more


async def test_terms_are_cut_to_what_it_takes(vendor: AssemblyAiStandIn) -> None:
    terms = ["x" * 60, *(f"term {n}" for n in range(120))]
    async with calling(assemblyai(keyterms=terms), vendor):
        pass
    sent = json.loads(vendor.seen[-1].query["keyterms_prompt"])
    assert sent == ["x" * 50, *(f"term {n}" for n in range(99))]


async def test_a_turns_end_is_told_and_the_end_finds_the_words(vendor: AssemblyAiStandIn) -> None:
    async with calling(assemblyai(), vendor) as caller:
        caller.speak(1)
        caller.silence(600)
        assert (await caller.until(TurnEnded)).utterance == 1
        caller.ears.finish()
        assert caller.events[-1] == Final(1, "book a table")
        assert vendor.flushes == 0


async def test_a_turn_that_was_over_before_its_mark_is_told_at_the_mark(
    vendor: AssemblyAiStandIn,
) -> None:
    async with calling(assemblyai(), vendor) as caller:
        caller.sound(600)
        caller.silence(600)
        await vendor.until(lambda: bool(caller.ears._utterances._loose))
        caller.ears.begin(1)
        assert caller.turns_over() == []
        assert (await caller.until(TurnEnded)).utterance == 1
        caller.ears.finish()
        assert caller.events[-1] == Final(1, "book a table")


async def test_it_endpoints_only_if_it_is_wanted(vendor: AssemblyAiStandIn) -> None:
    async with calling(assemblyai(endpointing="ours"), vendor) as caller:
        assert not caller.ears.endpoints
        caller.speak(1)
        caller.silence(1_000)
        caller.ears.finish()
        assert await caller.words(1) == "book a table"
        assert caller.turns_over() == []


async def test_an_empty_turn_answers_at_once(vendor: AssemblyAiStandIn) -> None:
    vendor.answers_empty_force = True
    vendor.transcripts = [""]
    async with calling(assemblyai(), vendor) as caller:
        caller.say(1, ms=400)
        async with asyncio.timeout(0.5):
            assert await caller.words(1) == ""


@pytest.mark.parametrize(("status", "reason"), [(401, "auth"), (402, "quota"), (429, "quota")])
async def test_a_refusal_after_the_handshake_has_its_reason_and_is_final(
    vendor: AssemblyAiStandIn, status: int, reason: str
) -> None:
    vendor.fault = Fault("status", status)
    with pytest.raises(ProviderError) as raised:
        async with calling(assemblyai(), vendor):
            pass
    assert raised.value.reason == reason
    assert len(vendor.seen) == 1


def test_a_turn_that_is_told_again_with_punctuation_counts_once() -> None:
    wire = AssemblyAiWire(ServiceSettings("assemblyai"))
    turn = {
        "type": "Turn",
        "turn_order": 0,
        "end_of_turn": True,
        "transcript": "yes please",
        "words": [{"text": "yes", "start": 0, "end": 300}],
    }
    assert wire.read(turn, round) is not None
    assert wire.read({**turn, "transcript": "Yes, please."}, round) is None
