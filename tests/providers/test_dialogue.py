"""What a history looks like to a model, whatever it looked like before."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.dialogue import (
    NO_RESULT,
    OPENING,
    SILENCE,
    ToolNames,
    alternating,
    parameters,
    repaired,
)
from apps.voice.ports import ChatMessage, Tool, ToolCall

PROMPT = ChatMessage("system", "You are the front desk.")
HI = ChatMessage("user", "Hi.")
CALL = ToolCall("c1", "book", {})
BOOKED = ChatMessage("tool", "booked", tool_call_id="c1")
ASKS = ChatMessage("assistant", "One moment.", tool_calls=(CALL,))


def roles(messages: list[ChatMessage]) -> str:
    return " ".join(message.role for message in messages)


def test_neighbours_of_a_role_become_one() -> None:
    found = repaired([PROMPT, HI, ChatMessage("user", "A table."), ChatMessage("assistant", "")])
    assert found == [PROMPT, ChatMessage("user", "Hi.\nA table.")]


def test_words_before_a_call_join_it() -> None:
    found = repaired([HI, ChatMessage("assistant", "Sure."), ASKS, BOOKED])
    assert found[1] == ChatMessage("assistant", "Sure.\nOne moment.", tool_calls=(CALL,))


def test_every_call_is_answered_and_every_answer_called_for() -> None:
    stray = ChatMessage("tool", "x", tool_call_id="gone")
    assert repaired([stray, HI, ASKS, HI])[2] == ChatMessage("tool", NO_RESULT, tool_call_id="c1")
    assert repaired([stray, HI, ASKS, HI, BOOKED])[1:3] == [ASKS, BOOKED]


def test_a_bot_that_speaks_first_is_rung_up() -> None:
    assert alternating([PROMPT]) == [PROMPT, ChatMessage("user", OPENING)]
    greeted = alternating([PROMPT, ChatMessage("assistant", "Hello."), HI])
    assert roles(greeted) == "system user assistant user"


def test_a_caller_who_says_nothing_is_said_to() -> None:
    found = alternating([PROMPT, HI, ChatMessage("assistant", "Hello?")])
    assert found[-1] == ChatMessage("user", SILENCE)


def test_a_late_instruction_is_the_users() -> None:
    found = alternating([PROMPT, HI, ChatMessage("system", "Be brief.")])
    assert found == [PROMPT, ChatMessage("user", "Hi.\nBe brief.")]


MESSAGES = st.one_of(
    st.builds(
        ChatMessage, st.sampled_from(["system", "user", "assistant"]), st.sampled_from("ab ")
    ),
    st.builds(
        lambda i: ChatMessage("assistant", "", tool_calls=(ToolCall(i, "book", {}),)),
        st.sampled_from(["1", "2"]),
    ),
    st.builds(lambda i: ChatMessage("tool", "ok", tool_call_id=i), st.sampled_from(["1", "2"])),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(MESSAGES, max_size=9))
def test_turns_are_taken_whatever_came(messages: list[ChatMessage]) -> None:
    found = alternating(messages)
    spoken = [message for message in found if message.role != "system"]
    assert roles(found).count("system") <= 1
    assert spoken[0].role == "user" and spoken[-1].role in ("user", "tool")
    for before, after in zip(spoken, spoken[1:], strict=False):
        assert after.role != before.role or after.role == "tool" or before.tool_calls
        assert (after.role == "tool") == bool(before.tool_calls)
    assert alternating(found) == found


def test_a_name_is_made_safe_and_found_again() -> None:
    tools = [Tool(name, "") for name in ("a b", "a/b", "a_b", "9 lives", "x" * 80, "x" * 81, "é")]
    names = ToolNames(tools)
    safe = [names.safe(tool.name) for tool in tools]
    assert len(set(safe)) == len(tools)
    assert [names.own(name) for name in safe] == [tool.name for tool in tools]
    assert all(len(name) <= 64 and name.isascii() and not name[0].isdigit() for name in safe)


def test_a_good_name_stays() -> None:
    assert ToolNames([Tool("book_table", "")]).safe("book_table") == "book_table"
    assert ToolNames([]).own("made up") == "made up"


def test_parameters_are_an_object() -> None:
    given: dict[str, Any] = {"properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert parameters(Tool("t", "")) == {"type": "object", "properties": {}}
    assert parameters(Tool("t", "", given)) == {"type": "object", **given}
