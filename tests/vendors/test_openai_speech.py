"""What is OpenAI's own: instructions, pace, and the connection after an interruption."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from apps.providers.openai_tts import OpenAISpeech
from apps.voice.ports import sound_of
from tests.vendors.kinds import Subject, tasks_running
from tests.vendors.openai_speech import OpenAISpeechStandIn
from tests.vendors.serving import serving

TEXT = "We are open until nine."


@pytest.fixture
async def vendor() -> AsyncIterator[OpenAISpeechStandIn]:
    async with serving(OpenAISpeechStandIn()) as standing:
        assert isinstance(standing, OpenAISpeechStandIn)
        yield standing


def voice(vendor: OpenAISpeechStandIn, model: str = "gpt-4o-mini-tts", **options: Any) -> Any:
    subject = Subject("tts", "openai_tts", OpenAISpeechStandIn)
    return OpenAISpeech(replace(subject.service(vendor.url), model=model, options=options))


async def said(voice: Any, text: str = TEXT) -> bytes:
    return b"".join([piece async for piece in sound_of(voice, text)])


async def test_instructions_and_pace_are_told(vendor: OpenAISpeechStandIn) -> None:
    await said(voice(vendor, instructions="Whisper.", speed=1.25))
    body = vendor.seen[-1].json()
    assert (body["instructions"], body["speed"]) == ("Whisper.", 1.25)


async def test_a_model_that_ignores_instructions_is_not_told_any(
    vendor: OpenAISpeechStandIn,
) -> None:
    await said(voice(vendor, "tts-1", instructions="Whisper."))
    assert "instructions" not in vendor.seen[-1].json()


async def test_nobody_is_asked_to_say_nothing(vendor: OpenAISpeechStandIn) -> None:
    assert await said(voice(vendor), "… !") == b""
    assert vendor.seen == []


async def test_half_a_character_harms_nothing(vendor: OpenAISpeechStandIn) -> None:
    assert await said(voice(vendor), "Well \ud83d done")
    assert vendor.spoken == ["Well ? done"]


async def test_an_unknown_model_is_passed_on_and_refused(vendor: OpenAISpeechStandIn) -> None:
    with pytest.raises(Exception, match=r"refuses the request \(HTTP 404, model_not_found\)"):
        await said(voice(vendor, "tts-9/../x"))


async def test_while_the_caller_speaks_the_next_connection_is_opened(
    vendor: OpenAISpeechStandIn,
) -> None:
    speaking = voice(vendor)
    vendor.hold = asyncio.Event()
    before = tasks_running()
    async with aclosing(speaking.speak(TEXT)) as pieces:
        await anext(pieces)
    # Answered, and taken by the client, which then has the connection to spare.
    await vendor.until(lambda: vendor.seen[-1].method == "GET" and tasks_running() <= before)
    vendor.hold = None
    await said(speaking)
    asked = [(seen.method, seen.port) for seen in vendor.seen]
    assert asked[1] == ("GET", asked[2][1])
    assert asked[0][1] != asked[1][1]
    await speaking.aclose()
