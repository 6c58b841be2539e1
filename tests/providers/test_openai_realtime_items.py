"""How a conversation that a vendor keeps differs from the engine's history."""

from __future__ import annotations

import pytest

from apps.providers.openai_realtime_items import Item, Items
from apps.voice.ports import ChatMessage, ToolCall

PROMPT = ChatMessage("system", "Be brief.")


def user(text: str) -> ChatMessage:
    return ChatMessage("user", text)


def bot(text: str, *calls: str) -> ChatMessage:
    return ChatMessage("assistant", text, tuple(ToolCall(call, "look", {}) for call in calls))


def result(call: str) -> ChatMessage:
    return ChatMessage("tool", f"result {call}", tool_call_id=call)


def kept(*items: Item) -> Items:
    found = Items()
    for item in items:
        found.add(item)
    return found


def said(number: int, text: str | None) -> Item:
    return Item(f"u{number}", "user", text)


def spoke(number: int, text: str) -> Item:
    return Item(f"a{number}", "assistant", text, spoken=True)


def called(call: str) -> list[Item]:
    return [
        Item(f"c{call}", "call", call_id=call),
        Item(f"o{call}", "output", f"result {call}", call_id=call),
    ]


def changes(items: Items, *messages: ChatMessage) -> tuple[list[tuple[str, str]], list[str]]:
    """Return (text, behind which item) of what is new, and what goes."""
    found = items.compare([PROMPT, *messages])
    items.make(found)
    return [(part.text, behind) for _, part, behind in found.created], found.deleted


def test_what_agrees_is_left_alone() -> None:
    items = kept(said(1, "A table, please."), spoke(1, "For how many?"))
    assert changes(items, user("A table, please."), bot("For how many?")) == ([], [])


def test_a_line_of_the_platforms_is_put_where_it_was_said() -> None:
    items = kept(said(1, "Pasta."))
    assert changes(items, bot("Pizza or pasta?"), user("Pasta.")) == (
        [("Pizza or pasta?", "root")],
        [],
    )
    assert [item.text for item in items] == ["Pizza or pasta?", "Pasta."]
    assert changes(items, bot("Pizza or pasta?"), user("Pasta.")) == ([], [])


def test_a_caller_who_went_on_has_said_one_thing() -> None:
    items = kept(said(1, "A table"), said(2, "for two."))
    assert changes(items, user("A table for two.")) == ([], [])


@pytest.mark.parametrize("heard", ["We", "We have a table", "We have a table by the window."])
def test_of_what_the_model_said_its_beginning_counts(heard: str) -> None:
    items = kept(said(1, "A table"), spoke(1, "We have a table by the window."))
    assert changes(items, user("A table"), bot(heard)) == ([], [])


def test_what_the_model_did_not_say_replaces_what_it_did() -> None:
    items = kept(said(1, "A table"), spoke(1, "We have one."))
    assert changes(items, user("A table"), bot("Sorry.")) == ([("Sorry.", "u1")], ["a1"])


def test_the_rest_after_a_cough_follows_what_was_heard() -> None:
    items = kept(said(1, "A table"), spoke(1, "We have a table by the window."))
    history = user("A table"), bot("We have a"), bot("table by the window.")
    assert changes(items, *history) == ([("table by the window.", "a1")], [])


@pytest.mark.parametrize("before", ["Let me see.", ""])
def test_a_turn_with_tools_in_it_is_told_once(before: str) -> None:
    items = kept(said(1, "Hi"), spoke(1, "Let me see."), *called("1"), spoke(2, "We have one."))
    history = user("Hi"), bot(before, "1"), result("1"), bot("Let me see. We have one.")
    assert changes(items, *history) == ([], [])


def test_results_follow_their_calls() -> None:
    calls = [item for call in "12" for item in called(call)[:1]]
    items = kept(said(1, "Hi"), *calls)
    history = user("Hi"), bot("", "1", "2"), result("1"), result("2")
    assert changes(items, *history) == ([("result 1", "c2"), ("result 2", "ours_1")], [])
    assert items.unanswered_calls() == []


def test_a_call_without_a_result_is_known() -> None:
    assert kept(*called("1"), called("2")[0]).unanswered_calls() == ["c2"]


def test_words_that_are_still_being_read_are_left_alone() -> None:
    assert changes(kept(said(1, "Hi"), said(2, None)), user("Hi")) == ([], [])


def test_a_backchannel_that_the_history_leaves_out_goes() -> None:
    items = kept(said(1, "Hi"), spoke(1, "Hello."), said(2, "Uh huh."), said(3, "Bye."))
    assert changes(items, user("Hi"), bot("Hello."), user("Bye.")) == ([], ["u2"])


def test_what_is_kept_apart_does_not_go() -> None:
    items = kept(said(1, "Hi"), spoke(1, "Hello."))
    assert items.compare([user("Hi")], keep={"a1"}).deleted == []


def test_a_history_that_was_cut_at_its_beginning_takes_the_items_with_it() -> None:
    pairs = [(said(n, f"question {n}"), spoke(n, f"answer {n}")) for n in range(1, 4)]
    items = kept(*(item for pair in pairs for item in pair))
    assert changes(items, user("question 3"), bot("answer 3")) == ([], ["u1", "a1", "u2", "a2"])


def test_what_the_caller_said_last_is_found_behind_a_guess() -> None:
    items = kept(said(1, "Hi"), spoke(1, "Hello."), said(2, "Two"), spoke(2, "For"))
    assert items.last_words(before={"a2"}) == {"u2"}
    assert items.last_words(before=()) == set()
