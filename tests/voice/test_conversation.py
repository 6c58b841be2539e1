"""The conversation over scripted providers, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from apps.voice.ports import ChatMessage
from apps.voice.settings import ConversationSettings, Lines, TurnSettings
from apps.voice.turns import Phase
from tests.support.virtual_time import in_virtual_time
from tests.voice.far_end import DEFAULT_CLIPS, Call, clip

SYSTEM = (ChatMessage("system", "Be brief."),)
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen."


def call_with(slot: str, options: dict[str, Any]) -> Call:
    """A call whose provider in one slot is scripted so."""
    if slot == "stt":
        return Call(stt=options)
    return Call(llm=options) if slot == "llm" else Call(tts=options)


def seconds_of(call: Call) -> float:
    return len(call.ear.heard) / 8_000


@in_virtual_time
async def test_it_answers_what_was_said() -> None:
    async with Call(stt={"lines": ["Hello there."]}, llm={"replies": ["Good day."]}) as call:
        await call.speak(1)
        await call.quiet(2)
    assert [(turn.role, turn.said) for turn in call.notebook.turns] == [
        ("caller", "Hello there."),
        ("bot", "Good day."),
    ]
    assert call.talk.history.messages()[1:] == [
        ChatMessage("user", "Hello there."),
        ChatMessage("assistant", "Good day."),
    ]


@in_virtual_time
async def test_it_answers_within_a_frame_of_the_endpointing_pause() -> None:
    async with Call(stt={"lines": ["Hello."]}) as call:
        await call.speak(1)
        ended = call.clock.now()
        await call.quiet(1)
    assert call.ear.pieces[0][0] - ended == pytest.approx(0.3, abs=0.035)


@in_virtual_time
async def test_the_stages_of_an_answer_add_up_to_the_gap() -> None:
    async with Call(
        stt={"delay_ms": 100}, llm={"delay_ms": 200, "token_ms": 50}, tts={"delay_ms": 150}
    ) as call:
        await call.speak(1)
        ended = call.clock.now()
        await call.quiet(4)
    stages = call.notebook.turns[-1].stages_ms
    gap_ms = (call.ear.pieces[0][0] - ended) * 1_000
    assert list(stages) == ["endpointing", "transcription", "model", "sentence", "voice", "line"]
    assert sum(stages.values()) == pytest.approx(gap_ms, abs=33)
    assert stages["transcription"] == pytest.approx(100, abs=1)
    assert stages["model"] == pytest.approx(200, abs=1)
    assert stages["voice"] == pytest.approx(150, abs=1)


@in_virtual_time
async def test_the_greeting_comes_first_and_at_once() -> None:
    settings = ConversationSettings(SYSTEM, lines=Lines(greeting="Welcome."))
    async with Call(settings=settings, clips={"greeting": clip("Welcome.")}) as call:
        assert call.ear.pieces[0][0] == call.began
        await call.quiet(2)
    assert [turn.source for turn in call.notebook.turns] == ["greeting"]
    assert seconds_of(call) == pytest.approx(1.0)


@in_virtual_time
async def test_a_greeting_without_a_clip_is_spoken_by_the_voice() -> None:
    settings = ConversationSettings(SYSTEM, lines=Lines(greeting="Welcome."))
    async with Call(settings=settings) as call:
        await call.quiet(2)
    assert call.notebook.turns[0].heard == "Welcome."


@in_virtual_time
async def test_a_barge_in_silences_the_bot_and_keeps_only_what_was_heard() -> None:
    async with Call(llm={"replies": [LONG, "Fine."]}, tts={"character_ms": 60}) as call:
        await call.speak(0.5)
        await call.quiet(2)
        began = call.clock.now()
        await call.speak(1)
        await call.quiet(2)
    assert 0 < call.ear.cleared_at[0] - began < 0.25
    cut = call.notebook.turns[1]
    assert cut.interrupted
    assert cut.said == LONG
    assert LONG.startswith(cut.heard)
    assert 3 <= len(cut.heard.split()) <= 6  # 1.7 s of 60 ms a letter
    assert ChatMessage("assistant", cut.heard) in call.talk.history.messages()


@in_virtual_time
async def test_nothing_is_played_between_a_barge_in_and_the_answer_to_it() -> None:
    async with Call(llm={"replies": [LONG, "Fine."]}) as call:
        await call.speak(0.5)
        await call.quiet(2)
        await call.speak(1)
        await call.quiet(2)
    cleared = call.ear.cleared_at[0]
    after = [at for at, _ in call.ear.pieces if at > cleared]
    assert after[0] - cleared > 1.0


@in_virtual_time
async def test_a_whole_answer_sent_ahead_can_still_be_interrupted() -> None:
    async with Call(llm={"replies": ["Short."]}) as call:
        await call.speak(0.5)
        await call.quiet(0.40)
        heard_before = seconds_of(call)
        await call.speak(0.3)
        assert call.ear.cleared_at
        assert heard_before < 0.5
        await call.quiet(2)


@in_virtual_time
async def test_a_cough_over_the_bot_makes_it_say_the_rest() -> None:
    async with Call(
        stt={"lines": ["Go.", ""]}, llm={"replies": [LONG]}, tts={"character_ms": 60}
    ) as call:
        await call.speak(0.5)
        await call.quiet(2)
        await call.speak(0.25)
        await call.quiet(8)
    bot = [turn for turn in call.notebook.turns if turn.role == "bot"]
    assert f"{bot[0].heard} {bot[1].heard}" == LONG
    assert call.talk.phase is Phase.LISTENING


@in_virtual_time
async def test_a_cough_over_the_last_word_leaves_nothing_to_say() -> None:
    async with Call(
        stt={"lines": ["Go.", ""]},
        llm={"replies": ["All of it is done - - - - - - - - - -"]},
        tts={"character_ms": 60},
    ) as call:
        await call.speak(0.5)
        await call.quiet(1.6)
        await call.speak(0.25)
        await call.quiet(8)
    bot = [turn for turn in call.notebook.turns if turn.role == "bot"]
    assert [turn.source for turn in bot] == ["model"]
    assert bot[0].heard.startswith("All of it is done")
    assert bot[0].heard != bot[0].said
    assert call.talk.phase is Phase.LISTENING


@in_virtual_time
async def test_a_backchannel_does_not_take_the_turn() -> None:
    async with Call(stt={"lines": ["Go.", "Uh-huh."]}, llm={"replies": [LONG, "No!"]}) as call:
        await call.speak(0.5)
        await call.quiet(2)
        await call.speak(0.25)
        await call.quiet(8)
    assert "No!" not in [turn.said for turn in call.notebook.turns]


@in_virtual_time
async def test_a_caller_who_goes_on_before_the_answer_asks_one_question() -> None:
    async with Call(
        stt={"lines": ["I want", "a table."]}, llm={"delay_ms": 500, "replies": ["Yes."]}
    ) as call:
        await call.speak(0.5)
        await call.quiet(0.5)
        await call.speak(0.5)
        await call.quiet(3)
    assert ChatMessage("user", "I want a table.") in call.talk.history.messages()
    assert [turn.said for turn in call.notebook.turns if turn.role == "bot"] == ["Yes."]


@in_virtual_time
async def test_a_cough_while_it_thinks_does_not_lose_the_question() -> None:
    async with Call(
        stt={"lines": ["How much?", ""]}, llm={"delay_ms": 700, "replies": ["Ten.", "Ten."]}
    ) as call:
        await call.speak(0.5)
        await call.quiet(0.5)
        await call.speak(0.2)
        await call.quiet(4)
    assert call.notebook.turns[-1].said == "Ten."


@in_virtual_time
async def test_a_bot_that_must_not_be_interrupted_hears_the_caller_afterwards() -> None:
    settings = ConversationSettings(SYSTEM, turns=TurnSettings(interruptible=False))
    async with Call(settings=settings, llm={"replies": ["One two three.", "Four."]}) as call:
        await call.speak(0.5)
        await call.quiet(0.6)
        await call.speak(2)
        await call.quiet(2)
    assert not call.ear.cleared_at
    assert [turn.heard for turn in call.notebook.turns if turn.role == "bot"] == [
        "One two three.",
        "Four.",
    ]


@in_virtual_time
async def test_it_ends_at_its_limit_with_a_goodbye_that_is_heard() -> None:
    settings = ConversationSettings(SYSTEM, max_duration_s=20)
    async with Call(settings=settings, llm={"replies": [LONG * 9]}) as call:
        await call.speak(0.5)
        await call.quiet(25)
    assert call.notebook.turns[-1].source == "time_up"
    assert call.notebook.turns[-1].heard == "Time is up."
    assert not call.notebook.turns[-1].interrupted
    assert call.ear.ended
    assert call.notebook.turns[-1].ended_s <= 20


@in_virtual_time
async def test_an_idle_caller_is_asked_once_and_then_bid_goodbye() -> None:
    settings = ConversationSettings(SYSTEM, turns=TurnSettings(idle_secs=5))
    async with Call(settings=settings) as call:
        await call.quiet(20)
    assert [turn.source for turn in call.notebook.turns] == ["idle", "goodbye"]
    assert call.ear.ended
    assert seconds_of(call) == pytest.approx(2.0)


@in_virtual_time
async def test_a_caller_who_answers_the_goodbye_is_kept() -> None:
    settings = ConversationSettings(SYSTEM, turns=TurnSettings(idle_secs=5))
    async with Call(settings=settings, stt={"lines": ["Wait!"]}) as call:
        await call.quiet(11.5)
        await call.speak(0.6)
        await call.quiet(3)
    assert not call.ear.ended
    assert call.notebook.turns[-1].said == "You said: Wait!"


@in_virtual_time
async def test_a_lost_mark_does_not_hold_up_the_call() -> None:
    async with Call(llm={"replies": ["Yes."]}) as call:
        call.ear.lose_marks = True
        await call.speak(0.5)
        await call.quiet(4)
    assert "mark.lost" in call.notebook.events
    assert call.talk.phase is Phase.LISTENING


@in_virtual_time
@pytest.mark.parametrize("slot", ["stt", "llm", "tts"])
@pytest.mark.parametrize("fault", ["mute", "hang", "refuse", "rate_limit", "dribble"])
async def test_a_provider_that_fails_is_answered_within_three_seconds(
    slot: str, fault: str
) -> None:
    async with call_with(slot, {"fault": fault, "fault_at": 1}) as call:
        await call.speak(0.5)
        ended = call.clock.now()
        await call.quiet(6)
        apologies = [turn for turn in call.notebook.turns if turn.source == "apology"]
        assert len(apologies) == 1
        assert apologies[0].heard.endswith("Sorry.")
        assert apologies[0].ended_s - 1.0 - (ended - call.began) < 3.3 + 0.1
        await call.speak(0.5)
        await call.quiet(40)
    assert "You said" in " ".join(turn.said for turn in call.notebook.turns)


@in_virtual_time
@pytest.mark.parametrize("slot", ["stt", "llm", "tts"])
async def test_a_provider_that_never_works_ends_the_call_with_a_word(slot: str) -> None:
    async with call_with(slot, {"fault": "refuse"}) as call:
        for _ in range(4):
            await call.speak(0.5)
            await call.quiet(4)
    sources = [turn.source for turn in call.notebook.turns if turn.role == "bot"]
    assert sources == ["apology", "apology", "failure"]
    assert call.ear.ended


@in_virtual_time
async def test_a_voice_that_breaks_in_the_middle_claims_only_what_was_heard() -> None:
    async with Call(llm={"replies": [LONG]}, tts={"fault": "cut"}) as call:
        await call.speak(0.5)
        await call.quiet(8)
    bot = call.notebook.turns[1]
    assert "fourteen" not in bot.heard
    assert bot.heard.startswith("one two three")
    assert bot.heard.endswith("Sorry.")


@in_virtual_time
async def test_garbage_from_every_provider_ends_in_words_not_noise() -> None:
    async with Call(
        stt={"fault": "garbage"}, llm={"fault": "garbage"}, tts={"fault": "garbage"}
    ) as call:
        await call.speak(0.5)
        await call.quiet(5)
    assert all(size % 160 == 0 for _, size in call.ear.pieces)


@in_virtual_time
@pytest.mark.parametrize("moment", [0.0, 0.3, 0.75, 0.85, 0.95, 1.5, 3.0])
async def test_hanging_up_at_any_moment_leaves_nothing_running(moment: float) -> None:
    call = Call(llm={"delay_ms": 50, "token_ms": 20, "replies": [LONG]}, tts={"delay_ms": 60})
    async with call:
        await call.speak(min(moment, 0.5))
        await call.quiet(max(0.0, moment - 0.5))
    # in_virtual_time fails on a task that is left.


@in_virtual_time
async def test_speech_is_sent_a_short_lead_ahead_and_never_runs_dry() -> None:
    async with Call(llm={"replies": [LONG]}) as call:
        await call.speak(0.5)
        await call.quiet(8)
    first = call.ear.pieces[0][0]
    sent = 0
    for at, size in call.ear.pieces:
        assert at - first <= sent / 8_000 + 0.001  # the ear still had audio
        sent += size
        assert sent / 8_000 - (at - first) <= 0.301
    assert "playout.underrun" not in call.notebook.events


async def _asks(call: Call) -> None:
    await call.speak(0.5)
    await call.quiet(5)


async def _pieces(*neighbours: Call) -> list[float]:
    """Hold a call beside others that ask at the same time; return when its pieces went out."""
    async with contextlib.AsyncExitStack() as calls:
        call = await calls.enter_async_context(Call(llm={"replies": [LONG]}))
        for neighbour in neighbours:
            await calls.enter_async_context(neighbour)
        await asyncio.gather(*(_asks(found) for found in (call, *neighbours)))
        await asyncio.sleep(40)  # one that hangs does so for 30 s, and leaves then
        return [at - call.began for at, _ in call.ear.pieces]


@in_virtual_time
@pytest.mark.parametrize("slot", ["stt", "llm", "tts"])
@pytest.mark.parametrize("fault", ["mute", "hang", "dribble", "garbage"])
async def test_a_neighbours_blocked_provider_delays_no_frame_by_five_ms(
    slot: str, fault: str
) -> None:
    alone = await _pieces()
    beside = await _pieces(call_with(slot, {"fault": fault}))
    assert len(alone) == len(beside) > 20
    assert max(abs(a - b) for a, b in zip(alone, beside, strict=True)) < 0.005


@in_virtual_time
async def test_marks_are_few() -> None:
    async with Call(llm={"replies": [LONG]}) as call:
        names: list[str] = []
        mark = call.ear.mark

        def count(name: str) -> None:
            names.append(name)
            mark(name)

        call.ear.mark = count  # type: ignore[method-assign]
        await call.speak(0.5)
        await call.quiet(8)
    spoken = len(call.ear.heard) / 8_000
    assert spoken * 3 < len(names) < spoken * 5 + 2


def test_the_clips_of_these_tests_last_a_second() -> None:
    assert {found.seconds for found in DEFAULT_CLIPS.values()} == {1.0}
