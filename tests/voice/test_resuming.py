"""A call whose line broke and is there again, in virtual time."""

from __future__ import annotations

from apps.voice.ports import ChatMessage
from apps.voice.settings import ConversationSettings, Lines
from tests.support.virtual_time import in_virtual_time
from tests.voice.far_end import Call

SYSTEM = (ChatMessage("system", "Be brief."),)
ASKED = ChatMessage("user", "When do you open?")
TOLD = ChatMessage("assistant", "At nine.")


def broken(*past: ChatMessage, quiet: bool = False) -> ConversationSettings:
    return ConversationSettings(
        SYSTEM,
        past=past,
        opening="quiet" if quiet else "again",
        lines=Lines(greeting="Welcome."),
    )


def said_by_the_bot(call: Call) -> list[tuple[str, str]]:
    return [(turn.source, turn.said) for turn in call.notebook.turns if turn.role == "bot"]


@in_virtual_time
async def test_it_says_so_and_answers_what_was_asked_before() -> None:
    async with Call(settings=broken(ASKED), llm={"replies": ["At nine."]}) as call:
        assert call.ear.pieces[0][0] == call.began
        await call.quiet(4)
    assert said_by_the_bot(call) == [("resume", "Where were we?"), ("model", "At nine.")]
    assert call.talk.history.messages() == [*SYSTEM, ASKED, TOLD]


@in_virtual_time
async def test_it_says_so_and_listens_if_nothing_was_left_to_answer() -> None:
    async with Call(settings=broken(ASKED, TOLD)) as call:
        await call.quiet(4)
    assert said_by_the_bot(call) == [("resume", "Where were we?")]
    assert call.talk.history.messages()[-1] == ChatMessage("assistant", "Where were we?")


@in_virtual_time
async def test_a_caller_who_speaks_over_it_adds_to_what_they_asked() -> None:
    stt = {"lines": ["On Sunday."]}
    async with Call(settings=broken(ASKED), stt=stt, llm={"replies": ["At ten."]}) as call:
        await call.quiet(0.3)
        await call.speak(1)
        await call.quiet(3)
    assert call.talk.history.messages()[1:] == [
        ChatMessage("user", "When do you open? On Sunday."),
        ChatMessage("assistant", "At ten."),
    ]


@in_virtual_time
async def test_a_cough_over_it_does_not_keep_the_answer_back() -> None:
    stt = {"lines": [""]}
    async with Call(settings=broken(ASKED), stt=stt, llm={"replies": ["At nine."]}) as call:
        await call.quiet(0.3)
        await call.speak(0.3)
        await call.quiet(5)
    assert said_by_the_bot(call)[-1] == ("model", "At nine.")


@in_virtual_time
async def test_a_quiet_return_says_nothing_of_it() -> None:
    async with Call(settings=broken(ASKED, TOLD, quiet=True)) as call:
        await call.quiet(2)
    assert call.notebook.turns == []


@in_virtual_time
async def test_a_quiet_return_answers_what_was_asked_before() -> None:
    async with Call(settings=broken(ASKED, quiet=True), llm={"replies": ["At nine."]}) as call:
        await call.quiet(2)
    assert said_by_the_bot(call) == [("model", "At nine.")]
