"""What the conformance suite asks of a vendor in good health, asked of the vendor itself.

Each case runs against the stand-in always, so that its code is tried, and, marked ``live``, against
the vendor if the environment has its key (``Subject.key_name``). What needs a vendor that
misbehaves has no place here.

    OPENAI_API_KEY=... CARTESIA_API_KEY=... pytest -m live tests/vendors
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest

from apps.gateway.stock import stock_clips
from apps.providers.base import ServiceSettings
from apps.voice import g711
from apps.voice.ports import (
    ChatMessage,
    Final,
    ProviderError,
    TextDelta,
    Tool,
    ToolCall,
    TranscriptEvent,
    TranscriptionFailed,
    Usage,
    Warmable,
    sound_of,
)
from tests.vendors.kinds import Subject
from tests.vendors.serving import KEY, WRONG_KEY, StandIn, serving
from tests.vendors.subjects import EARS, MODELS, VOICES

SENTENCE = "Good morning, what can I do for you today?"
HEARD = "Are you still there?"
BOOK = Tool(
    "book",
    "Books a table.",
    {
        "type": "object",
        "properties": {"guests": {"type": "integer"}},
        "required": ["guests"],
    },
)


@dataclass(frozen=True)
class Place:
    """Where an adapter is tried. stand_in: None at the vendor itself."""

    subject: Subject
    key: str
    stand_in: Any = None

    def settings(self, key: str | None = None) -> ServiceSettings:
        url = "" if self.stand_in is None else self.stand_in.url
        return self.subject.service(url, key=self.key if key is None else key, patience_s=20)

    async def built(self, key: str | None = None) -> Any:
        adapter = self.subject.build(self.settings(key))
        if isinstance(adapter, Warmable):
            await adapter.warm()
        return adapter


def at(subjects: tuple[Subject, ...]) -> pytest.MarkDecorator:
    """Run a case at each stand-in, and at each vendor."""
    live = pytest.mark.live
    here = [pytest.param((subject, False), id=f"{subject.id}:stand-in") for subject in subjects]
    there = [
        pytest.param((subject, True), id=f"{subject.id}:live", marks=live) for subject in subjects
    ]
    return pytest.mark.parametrize("place", here + there, indirect=True)


@pytest.fixture
async def place(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    subject, live = request.param
    for name, value in subject.environment.items():
        monkeypatch.setenv(name, value)
    if live:
        key = os.environ.get(subject.key_name or "-", "")
        if not key:
            pytest.skip(f"{subject.key_name or 'a key'} is not set")
        yield Place(subject, key)
        return
    stand_in: StandIn = subject.stand_in()
    async with serving(stand_in):
        yield Place(subject, KEY, stand_in)


# --- language models ------------------------------------------------------------------------------


@at(MODELS)
async def test_a_model_streams_calls_and_speaks_of_the_answer(place: Place) -> None:
    model = await place.built()
    asked = [ChatMessage("user", "Book a table for two, with the tool.")]
    said = await taken(model, [ChatMessage("user", "Say good morning.")])
    assert any(isinstance(event, TextDelta) for event in said)
    assert isinstance(said[-1], Usage) and said[-1].prompt_tokens > 0
    if place.stand_in is not None:
        place.stand_in.calls = [("book", {"guests": 2})]
    calls = [e for e in await taken(model, asked, BOOK) if isinstance(e, ToolCall)]
    assert [(call.name, call.arguments) for call in calls] == [("book", {"guests": 2})]
    if place.stand_in is not None:
        place.stand_in.calls = []
    answers = [ChatMessage("tool", "booked", tool_call_id=call.id) for call in calls]
    told = [*asked, ChatMessage("assistant", "", tool_calls=tuple(calls)), *answers]
    assert any(isinstance(event, TextDelta) for event in await taken(model, told, BOOK))


@at(MODELS)
async def test_a_model_that_is_interrupted_answers_again(place: Place) -> None:
    model = await place.built()
    history = [ChatMessage("user", "Count from one to thirty in words.")]
    async with aclosing(model.reply(history, ())) as events:
        await anext(events)
    assert any(isinstance(event, TextDelta) for event in await taken(model, history))


@at(tuple(subject for subject in MODELS if subject.provider != "custom_llm"))
async def test_a_model_with_a_wrong_key_says_so(place: Place) -> None:
    with pytest.raises(ProviderError) as told:
        await taken(await place.built(WRONG_KEY), [ChatMessage("user", "Hello.")])
    assert told.value.reason == "auth"


async def taken(model: Any, history: list[ChatMessage], *tools: Tool) -> list[Any]:
    async with aclosing(model.reply(history, tools)) as events:
        return [event async for event in events]


# --- voices ---------------------------------------------------------------------------------------


@at(VOICES)
async def test_a_voice_is_heard_and_stops_when_it_is_told(place: Place) -> None:
    voice = await place.built()
    try:
        whole = b"".join([piece async for piece in sound_of(voice, SENTENCE)])
        async with aclosing(voice.speak(SENTENCE)) as pieces:
            await anext(pieces)
        again = b"".join([piece async for piece in sound_of(voice, SENTENCE)])
    finally:
        await voice.aclose()
    for sound in (whole, again):
        assert 1_000 <= len(sound) / g711.BYTES_PER_MS <= 6_000
        assert -45 <= g711.level_db(sound) <= -6
    # Of the sentence that was broken off nothing is left in the next.
    assert abs(len(again) - len(whole)) < 0.4 * len(whole)


@at(VOICES)
async def test_a_voice_with_a_wrong_key_says_so(place: Place) -> None:
    voice = await place.built(WRONG_KEY)
    try:
        with pytest.raises(ProviderError) as told:
            async for _ in sound_of(voice, SENTENCE):
                pass
    finally:
        await voice.aclose()
    assert told.value.reason == "auth"


# --- recognisers ----------------------------------------------------------------------------------


@at(EARS)
async def test_a_recogniser_hears_each_utterance_and_nothing_in_silence(place: Place) -> None:
    if place.stand_in is not None:
        place.stand_in.transcripts = [HEARD, HEARD, ""]
    ears = await place.built()
    finals: asyncio.Queue[TranscriptEvent] = asyncio.Queue()

    def take(event: TranscriptEvent) -> None:
        if isinstance(event, Final | TranscriptionFailed):
            finals.put_nowait(event)

    await ears.open(take)
    try:
        for number in (1, 2):
            await spoken(ears, number, live=place.stand_in is None)
            final = await asyncio.wait_for(finals.get(), 15)
            assert isinstance(final, Final) and final.utterance == number
            assert "still there" in final.text.lower()
        ears.begin(3)
        for _ in range(25):
            ears.hear(b"\xff" * 160)
        ears.finish()
        final = await asyncio.wait_for(finals.get(), 15)
        assert final == Final(3, "")
    finally:
        await ears.aclose()


async def spoken(ears: Any, number: int, *, live: bool) -> None:
    """Say HEARD as a call does: in frames of 20 ms, marked as our detector marks it."""
    speech = stock_clips()["idle"].audio
    frames = [speech[at_ : at_ + 160] for at_ in range(0, len(speech), 160)]
    frames += [b"\xff" * 160] * 25
    for place_, frame in enumerate(frames):
        ears.hear(frame)
        if place_ == 15:
            ears.begin(number)
        if place_ == len(frames) - 20:
            ears.pause()
        # A vendor is spoken to in real time; a stand-in does not mind.
        await asyncio.sleep(0.02 if live else 0)
    ears.finish()


@at(EARS)
async def test_a_recogniser_with_a_wrong_key_says_so(place: Place) -> None:
    ears = await place.built(WRONG_KEY)
    try:
        with pytest.raises(ProviderError) as told:
            await ears.open(lambda event: None)
    finally:
        await ears.aclose()
    assert told.value.reason == "auth"
