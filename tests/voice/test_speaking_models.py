"""A model that speaks itself, and voices that tell where their words are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from apps.voice.history import History
from apps.voice.playout import Passage
from apps.voice.ports import (
    ChatMessage,
    ModelEvent,
    ProviderError,
    SpokenDelta,
    TextDelta,
    Tool,
    ToolCall,
    WordAt,
)
from apps.voice.production import Services
from apps.voice.settings import ConversationSettings, Lines
from apps.voice.speaking import Speaker
from apps.voice.stages import Stopwatch
from apps.voice.turns import Heard
from tests.support.virtual_time import in_virtual_time
from tests.voice.far_end import Call, NoTools
from tests.voice.test_playout import Desk

SECOND = b"\x20" * 8_000


class SpokenMind:
    """Speaks each of its replies for a second a piece, and remembers what it is told."""

    def __init__(self, *replies: Sequence[ModelEvent]) -> None:
        self.replies = list(replies)
        self.briefed: list[str] = []
        self.heard_ms: list[float] = []
        self.history: list[str] = []

    def brief(self, messages: Sequence[ChatMessage], tools: Sequence[Tool]) -> None:
        self.briefed = [message.content for message in messages]

    def heard(self, ms: float) -> None:
        self.heard_ms.append(ms)

    def follow(self, messages: Sequence[ChatMessage]) -> None:
        self.history = [message.content for message in messages]

    async def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        for event in self.replies.pop(0):
            await asyncio.sleep(0.01)
            yield event

    async def aclose(self) -> None:
        pass


def says(text: str, seconds: int = 1) -> list[ModelEvent]:
    pieces: list[ModelEvent] = [SpokenDelta(text=text)]
    return pieces + [SpokenDelta(SECOND)] * seconds


@in_virtual_time
async def test_a_model_that_speaks_itself_is_heard_and_its_words_are_kept() -> None:
    mind = SpokenMind(says("Good morning to you."))
    async with Call(mind=mind) as call:
        assert mind.briefed == ["Be brief."]
        await call.speak(0.5)
        await call.quiet(3)
        turn = call.notebook.turns[-1]
        assert (turn.role, turn.said, turn.heard) == ("bot", "Good morning to you.", turn.said)
        assert turn.stages_ms.keys() == {"endpointing", "transcription", "model", "voice", "line"}
        assert mind.heard_ms == [1_000]


@in_virtual_time
async def test_an_interrupted_model_is_told_how_far_it_was_heard() -> None:
    mind = SpokenMind(says("one two three four five six seven eight nine ten", 4), says("Yes."))
    async with Call(mind=mind) as call:
        await call.speak(0.5)
        await call.quiet(2)
        await call.speak(0.5)
        await call.quiet(2)
        told, heard = mind.heard_ms[0], len(call.ear.heard)
        turns = [turn for turn in call.notebook.turns if turn.role == "bot"]
        assert turns[0].interrupted and 0 < len(turns[0].heard) < len(turns[0].said)
        # The second answer's second is behind what was heard of the first.
        assert abs(told - (heard - 8_000) / 8) < 40


@in_virtual_time
async def test_the_replies_before_and_after_a_tool_count_as_one() -> None:
    asks = [*says("Let me see."), ToolCall("1", "look", {})]
    mind = SpokenMind(asks, says("There is one."))
    async with Call(mind=mind) as call:
        await call.speak(0.5)
        await call.quiet(4)
        assert call.notebook.turns[-1].said == "Let me see. There is one."
        assert mind.heard_ms == [2_000]


@in_virtual_time
async def test_what_a_clip_said_in_the_same_talk_is_none_of_the_models_audio() -> None:
    class Breaks(SpokenMind):
        async def reply(
            self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
        ) -> AsyncGenerator[ModelEvent, None]:
            yield SpokenDelta(SECOND, "I think")
            raise ProviderError("mind", "connection lost", reason="unavailable")

    mind = Breaks()
    async with Call(mind=mind) as call:
        await call.speak(0.5)
        await call.quiet(4)
        assert len(call.ear.heard) == 16_000  # and a second of apology
        assert mind.heard_ms == [1_000]


@in_virtual_time
async def test_a_model_that_speaks_itself_learns_what_clips_said() -> None:
    mind = SpokenMind()
    settings = ConversationSettings(
        (ChatMessage("system", "Be brief."),), lines=Lines(greeting="Welcome.")
    )
    async with Call(mind=mind, settings=settings) as call:
        await call.quiet(2)
        assert mind.history == ["Be brief.", "Welcome."]


@in_virtual_time
async def test_a_reply_that_nobody_heard_is_told_as_such() -> None:
    mind = SpokenMind([SpokenDelta(text="I"), *says("think", 1)], says("Yes."))
    async with Call(mind=mind) as call:
        await call.speak(0.5)
        await call.quiet(0.3)
        await asyncio.sleep(0.012)
        call.talk.observe(Heard.SPEECH_STARTED)
        assert mind.heard_ms == [0.0]


class TimedVoice:
    """Speaks two seconds and says where its words are."""

    def __init__(self) -> None:
        self.flows = 0

    def flow(self) -> None:
        self.flows += 1

    async def speak(self, text: str) -> AsyncGenerator[bytes | WordAt, None]:
        yield WordAt("Wait", 1_500)
        yield SECOND
        yield SECOND
        yield WordAt("please", 2_000)

    async def aclose(self) -> None:
        pass


class Brief(SpokenMind):
    """Answers with text."""

    async def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        yield TextDelta("Wait, please. ")
        yield TextDelta("Wait, please. ")


@in_virtual_time
async def test_a_voice_is_told_once_a_say_that_its_sentences_belong_together() -> None:
    desk, voice = Desk(), TimedVoice()
    speaker = Speaker(
        services=Services(Brief(), voice, NoTools()),
        playout=desk.playout,
        clock=desk.clock,
        report=lambda outcome: None,
    )
    watch = Stopwatch(desk.clock.now())
    speaker.answer(History([ChatMessage("user", "Go.")]), watch=watch)
    await asyncio.sleep(0.1)
    first, second = desk.playout.talk.passages
    assert voice.flows == 1
    assert first.heard(1_499) == ""
    assert first.heard(1_500) == "Wait,"
    assert first.heard(2_000) == "Wait, please."
    assert second.heard(3_499) == ""
    assert second.heard(3_500) == "Wait,"
    await speaker.aclose()
    desk.playout.close()


def test_a_word_that_the_text_does_not_hold_is_passed_over() -> None:
    passage = Passage("It costs 5 dollars today.", 0, 2_000)
    for word, end in (("It", 100), ("costs", 300), ("five", 500), ("dollars", 900)):
        passage.place(WordAt(word, end))
    assert passage.heard(500) == "It costs"
    assert passage.heard(900) == "It costs 5 dollars"


def test_a_word_far_ahead_is_another_one() -> None:
    passage = Passage(
        "Wait. " + "This goes on for quite a while, word after word. " * 3 + "xyz", 0, 9
    )
    passage.place(WordAt("xyz", 1))
    assert passage.words == []
