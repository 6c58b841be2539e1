"""What a call uses of its providers is counted whole, and stands with the turn it belongs to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from apps.voice.ports import ChatMessage, ModelEvent, TextDelta, Tool, Turn, Usage, Used
from apps.voice.settings import ConversationSettings, Lines
from tests.support.virtual_time import in_virtual_time
from tests.voice.far_end import Call, clip

SYSTEM = (ChatMessage("system", "Be brief."),)
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen."


def sides(call: Call) -> tuple[list[Turn], list[Turn]]:
    """Return the caller's turns and the bot's."""
    turns = call.notebook.turns
    return (
        [turn for turn in turns if turn.role == "caller"],
        [turn for turn in turns if turn.role == "bot"],
    )


@in_virtual_time
async def test_a_bots_turn_has_its_tokens_and_its_characters() -> None:
    async with Call(llm={"replies": ["Good day. How are you?"]}) as call:
        await call.speak(0.5)
        await call.quiet(4)
    _, (said,) = sides(call)
    letters = len("Good day.") + len("How are you?")
    assert (said.used.requests, said.used.counted, said.used.tokens) == (1, 1, Usage(2, 5))
    assert said.used.characters == letters
    assert said.used.voiced_s == pytest.approx(letters * 0.06)


@in_virtual_time
async def test_a_callers_turn_has_the_seconds_since_the_one_before() -> None:
    async with Call(llm={"replies": ["Yes."]}) as call:
        await call.quiet(1)
        await call.speak(2)
        await call.quiet(2)
        await call.speak(1)
        await call.quiet(1)
    (first, second), _ = sides(call)
    # The end of the utterance is known 300 ms after the speech, its beginning some 100 ms into it.
    assert first.used.stream_s == pytest.approx(3.3, abs=0.05)
    assert first.used.speech_s == pytest.approx(2.2, abs=0.1)
    assert second.used.stream_s == pytest.approx(3.0, abs=0.05)
    assert second.used.speech_s == pytest.approx(1.2, abs=0.1)
    assert first.used.requests == first.used.characters == 0


@in_virtual_time
async def test_a_reply_that_was_cut_short_is_a_request_without_a_count() -> None:
    async with Call(llm={"replies": [f"Well now. {LONG}"], "token_ms": 300}) as call:
        await call.speak(0.5)
        await call.quiet(1.5)
        await call.speak(1)
        await call.quiet(0.1)
    _, (cut,) = sides(call)
    assert cut.interrupted
    assert (cut.used.requests, cut.used.counted, cut.used.tokens) == (1, 0, Usage(0, 0))


@in_virtual_time
async def test_a_reply_that_was_never_heard_is_counted_with_the_next_turn() -> None:
    async with Call(llm={"replies": ["Yes."], "delay_ms": 600}) as call:
        await call.speak(0.5)
        await call.quiet(0.5)
        await call.speak(0.5)  # goes on before the answer
        await call.quiet(4)
    _, (said,) = sides(call)
    assert (said.used.requests, said.used.counted) == (2, 1)


@in_virtual_time
async def test_a_sentence_that_was_cut_is_counted_to_its_end() -> None:
    async with Call(llm={"replies": [LONG]}) as call:
        await call.speak(0.5)
        await call.quiet(1.5)
        await call.speak(1)
    _, (cut,) = sides(call)
    assert cut.heard != cut.said
    assert cut.used.characters == len(LONG)


@in_virtual_time
async def test_a_clip_costs_nothing_and_a_spoken_line_its_characters() -> None:
    settings = ConversationSettings(SYSTEM, lines=Lines(greeting="Welcome."))
    async with Call(settings=settings, clips={"greeting": clip("Welcome.")}) as cached:
        await cached.quiet(2)
    async with Call(settings=settings) as spoken:
        await spoken.quiet(2)
    assert cached.notebook.turns[0].used == Used()
    assert spoken.notebook.turns[0].used.characters == len("Welcome.")


@in_virtual_time
async def test_what_never_became_a_turn_is_in_the_total() -> None:
    async with Call(stt={"lines": [""]}, llm={"replies": ["No."]}) as call:
        await call.speak(0.5)
        await call.quiet(1)
        await call.speak(0.5)
        used = call.talk.used()
    assert not call.notebook.turns
    assert used.stream_s == pytest.approx(2.0, abs=0.03)
    assert used.speech_s == pytest.approx(0.7 + 0.4, abs=0.1)  # the second is not over yet


@in_virtual_time
async def test_the_turns_and_what_is_left_add_up_to_the_total() -> None:
    async with Call(llm={"replies": ["Yes.", LONG], "token_ms": 50}) as call:
        for _ in range(3):
            await call.speak(0.5)
            await call.quiet(1.7)
        used = call.talk.used()
        told = sum((turn.used for turn in call.notebook.turns), Used())
        rest = used - told
    assert used.requests == 3
    assert rest.requests + told.requests == 3
    assert rest.stream_s > 0
    assert rest.stream_s + told.stream_s == pytest.approx(6.6, abs=0.05)


@in_virtual_time
@pytest.mark.parametrize(("fault", "counted"), [("refuse", 1), ("rate_limit", 1), ("cut", 0)])
async def test_a_refusal_is_known_to_have_used_nothing(fault: str, counted: int) -> None:
    async with Call(llm={"fault": fault}) as call:
        await call.speak(0.5)
        await call.quiet(2)
        used = call.talk.used()
    assert (used.requests, used.counted, used.tokens) == (1, counted, Usage(0, 0))


class Counting:
    """A model that tells each time what it used."""

    def __init__(self) -> None:
        self._replies: list[list[ModelEvent]] = [[TextDelta("One moment.")], [TextDelta("Done.")]]

    async def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        for event in self._replies.pop(0):
            yield event
        yield Usage(100, 10, cached_tokens=60, audio_completion_tokens=4)

    async def aclose(self) -> None:
        pass


@in_virtual_time
async def test_everything_that_the_model_tells_is_kept() -> None:
    async with Call(mind=Counting()) as call:
        await call.speak(0.5)
        await call.quiet(3)
        await call.speak(0.5)
        await call.quiet(3)
        used: Any = call.talk.used()
    _, said = sides(call)
    assert [turn.used.requests for turn in said] == [1, 1]
    assert [turn.used.tokens.prompt_tokens for turn in said] == [100, 100]
    assert used.tokens == Usage(200, 20, cached_tokens=120, audio_completion_tokens=8)
