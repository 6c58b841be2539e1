"""Stopping a say: the provider's work ends, and nothing of it is heard, each by itself."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Sequence

from apps.voice.history import History
from apps.voice.ports import ChatMessage, ModelEvent, TextDelta, TextToSpeech, Tool
from apps.voice.production import Outcome, Services
from apps.voice.speaking import Speaker
from apps.voice.stages import Stopwatch
from tests.support.virtual_time import in_virtual_time
from tests.voice.far_end import NoTools
from tests.voice.test_playout import Desk

FRAME = b"\x20" * 160


class EndlessMind:
    """Talks until it is closed, and says when that was."""

    def __init__(self) -> None:
        self.tokens = 0
        self.closed = 0

    async def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        try:
            while True:
                self.tokens += 1
                yield TextDelta("word. ")
                await asyncio.sleep(0.02)
        finally:
            self.closed += 1

    async def aclose(self) -> None:
        pass


class StubbornMind(EndlessMind):
    """Goes on thinking through its cancellation."""

    async def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        try:
            while True:
                self.tokens += 1
                yield TextDelta("word. ")
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.02)
        finally:
            self.closed += 1


class StubbornVoice:
    """Goes on speaking through its cancellation, as a client with a bad ``except`` does."""

    def __init__(self) -> None:
        self.pieces = 0
        self.ignored = 0

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        while self.pieces < 40:
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                self.ignored += 1
            self.pieces += 1
            yield FRAME

    async def aclose(self) -> None:
        pass


class PoliteVoice:
    """Speaks one frame a sentence."""

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        yield FRAME

    async def aclose(self) -> None:
        pass


def speaker_of(desk: Desk, mind: EndlessMind, voice: TextToSpeech) -> Speaker:
    return Speaker(
        services=Services(mind, voice, NoTools()),
        playout=desk.playout,
        clock=desk.clock,
        report=lambda outcome: None,
    )


def ask(speaker: Speaker, desk: Desk) -> None:
    watch = Stopwatch(desk.clock.now())
    speaker.answer(History([ChatMessage("user", "Go.")]), watch=watch)


@in_virtual_time
async def test_a_cancelled_answer_ends_the_models_work_and_its_bill() -> None:
    desk, mind = Desk(), EndlessMind()
    speaker = speaker_of(desk, mind, PoliteVoice())
    ask(speaker, desk)
    await asyncio.sleep(0.5)
    assert mind.closed == 0
    speaker.cancel()
    await asyncio.sleep(0.001)
    assert mind.closed == 1
    tokens = mind.tokens
    await asyncio.sleep(0.5)
    assert mind.tokens == tokens
    await speaker.aclose()
    desk.playout.close()


@in_virtual_time
async def test_a_voice_that_speaks_on_through_its_cancellation_is_not_heard() -> None:
    desk, voice = Desk(), StubbornVoice()
    speaker = speaker_of(desk, EndlessMind(), voice)
    ask(speaker, desk)
    await asyncio.sleep(0.2)
    written = desk.playout.talk.written_ms
    assert written > 0
    speaker.cancel()
    await asyncio.sleep(1)
    assert voice.ignored
    assert desk.playout.talk.written_ms == written
    await speaker.aclose()
    desk.playout.close()


@in_virtual_time
async def test_a_model_that_thinks_on_through_its_cancellation_is_closed_at_its_next_word() -> None:
    desk, mind = Desk(), StubbornMind()
    speaker = speaker_of(desk, mind, PoliteVoice())
    ask(speaker, desk)
    await asyncio.sleep(0.2)
    tokens = mind.tokens
    speaker.cancel()
    await asyncio.sleep(0.05)
    assert mind.closed == 1
    assert mind.tokens <= tokens + 1
    await speaker.aclose()
    desk.playout.close()


@in_virtual_time
async def test_what_a_stopped_answer_ends_with_is_told_to_nobody() -> None:
    desk = Desk()
    told: list[Outcome] = []
    speaker = Speaker(
        services=Services(EndlessMind(), StubbornVoice(), NoTools()),
        playout=desk.playout,
        clock=desk.clock,
        report=told.append,
    )
    ask(speaker, desk)
    await asyncio.sleep(0.2)
    speaker.cancel()
    await asyncio.sleep(2)
    assert told == []
    await speaker.aclose()
    desk.playout.close()


class UnevenVoice:
    """Takes any time for a sentence, the first the longest; each sounds otherwise."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._takes = random.Random(3)

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        self.asked.append(text)
        sounds = bytes([len(self.asked)])
        await asyncio.sleep(0.4 if len(self.asked) == 1 else self._takes.uniform(0, 0.4))
        for _ in range(5):
            yield sounds * 800
            await asyncio.sleep(self._takes.uniform(0, 0.05))

    async def aclose(self) -> None:
        pass


@in_virtual_time
async def test_sentences_are_heard_in_their_order_whatever_time_each_takes() -> None:
    desk, voice = Desk(), UnevenVoice()
    speaker = speaker_of(desk, EndlessMind(), voice)
    sentences = [f"Sentence number {number}." for number in range(1, 9)]
    speaker.say(" ".join(sentences), source="model")
    await asyncio.sleep(10)
    assert voice.asked == sentences
    assert list(dict.fromkeys(desk.ear.heard)) == list(range(1, 9))
    assert bytes(desk.ear.heard) == b"".join(bytes([n]) * 4_000 for n in range(1, 9))
    await speaker.aclose()
    desk.playout.close()
