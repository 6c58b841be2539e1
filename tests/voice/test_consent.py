"""A caller who is to be told something is told it first, and to its end."""

from __future__ import annotations

import pytest

from apps.voice.ports import ChatMessage
from apps.voice.settings import ConversationSettings, Lines
from tests.support.virtual_time import in_virtual_time
from tests.voice.far_end import DEFAULT_CLIPS, Call, clip

SYSTEM = (ChatMessage("system", "Be brief."),)
NOTICE = "This call is recorded."
CLIPS = {**DEFAULT_CLIPS, "consent": clip(NOTICE), "greeting": clip("Welcome.")}


def telling(**more: object) -> ConversationSettings:
    lines = Lines(consent=NOTICE, greeting="Welcome.")
    return ConversationSettings(SYSTEM, **{"lines": lines, **more})  # type: ignore[arg-type]


@in_virtual_time
async def test_the_notice_comes_at_once_and_the_greeting_behind_it() -> None:
    async with Call(settings=telling(), clips=CLIPS) as call:
        assert call.ear.pieces[0][0] == call.began
        owed = [call.talk.owes_consent]
        await call.quiet(3)
        owed.append(call.talk.owes_consent)
    assert owed == [True, False]
    assert [turn.source for turn in call.notebook.turns] == ["consent", "greeting"]
    assert len(call.ear.heard) / 8_000 == pytest.approx(2.0, abs=0.01)
    # It is in the transcript; to the model it is no word of its own.
    said = [message.content for message in call.talk.history.messages()]
    assert said == ["Be brief.", "Welcome."]


@in_virtual_time
async def test_a_caller_who_speaks_over_it_hears_it_to_its_end() -> None:
    async with Call(settings=telling(), clips=CLIPS) as call:
        await call.speak(0.6)
        assert call.ear.cleared_at == []
        await call.quiet(3)
    assert [turn.heard for turn in call.notebook.turns] == [NOTICE, "Welcome."]


@in_virtual_time
async def test_its_greeting_can_be_interrupted_as_ever() -> None:
    async with Call(settings=telling(), clips=CLIPS, stt={"lines": ["Hi."]}) as call:
        await call.quiet(1.3)
        await call.speak(0.5)
        await call.quiet(1)
    assert len(call.ear.cleared_at) == 1


@in_virtual_time
async def test_a_model_that_opens_the_call_does_so_behind_it() -> None:
    settings = telling(lines=Lines(consent=NOTICE), speaks_first=True)
    async with Call(settings=settings, clips=CLIPS, llm={"replies": ["Good day."]}) as call:
        await call.quiet(4)
    assert [turn.source for turn in call.notebook.turns] == ["consent", "model"]


@in_virtual_time
async def test_a_notice_that_could_not_be_given_is_still_owed() -> None:
    async with Call(settings=telling(), tts={"fault": "refuse"}) as call:
        await call.quiet(5)
        assert call.talk.owes_consent


@in_virtual_time
async def test_a_call_that_goes_on_is_not_told_twice() -> None:
    said = (ChatMessage("assistant", "Welcome."),)
    settings = telling(past=said, opening="again")
    async with Call(settings=settings, clips={**CLIPS, "resume": clip("Where were we?")}) as call:
        await call.quiet(3)
        assert not call.talk.owes_consent
    assert "consent" not in [turn.source for turn in call.notebook.turns]
