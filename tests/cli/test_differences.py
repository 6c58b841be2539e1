"""What counts as a difference between a file and an account."""

from __future__ import annotations

from typing import Any

import pytest

from apps.cli.differences import ABSENT, Difference, differences, removals

TOOL = {"name": "t", "description": "", "parameters": {"type": "object", "properties": {}}}


def _found(wanted: Any, found: Any) -> list[Difference]:
    return list(differences(wanted, found))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"a": 1}, {"a": 1.0, "b": 2}),
        ({"a": {}}, {"a": {"b": 1}}),
        ({"a": {}}, {}),
        ({"a": "0.7"}, {"a": 0.7}),
        ({"a": "true"}, {"a": True}),
        ({"a": None}, {}),
        ({"a": None}, {"a": ""}),
        ({"a": []}, {}),
        ({"tools": [{"name": "t"}]}, {"tools": [TOOL]}),
    ],
)
def test_what_the_api_makes_of_a_file_is_no_difference(wanted: Any, found: Any) -> None:
    assert _found(wanted, found) == []


@pytest.mark.parametrize(
    ("wanted", "found", "difference"),
    [
        ({"a": 1}, {"a": 2}, Difference("a", 2, 1)),
        ({"a": {"b": 1}}, {}, Difference("a.b", ABSENT, 1)),
        ({"a": None}, {"a": 1}, Difference("a", 1, ABSENT)),
        ({"a": None}, {"a": 0}, Difference("a", 0, ABSENT)),
        ({"a": 1}, {"a": True}, Difference("a", True, 1)),
        ({"a": "1"}, {"a": True}, Difference("a", True, "1")),
        ({"a": "x"}, {"a": 1}, Difference("a", 1, "x")),
        ({"a": 1}, {"a": "1"}, Difference("a", "1", 1)),
        ({"a": ""}, {"a": "x"}, Difference("a", "x", "")),
        ({"a": [1]}, {"a": [1, 2]}, Difference("a", [1, 2], [1])),
        ({"a": []}, {"a": [1]}, Difference("a", [1], [])),
        ({"a": {"b": 1}}, {"a": 1}, Difference("a", 1, {"b": 1})),
        (
            {"t": [{"name": "t"}]},
            {"t": [{**TOOL, "description": "x"}]},
            Difference("t", [{**TOOL, "description": "x"}], [{"name": "t"}]),
        ),
    ],
)
def test_what_differs_is_named(wanted: Any, found: Any, difference: Difference) -> None:
    assert _found(wanted, found) == [difference]


def test_of_named_things_those_left_out_are_to_go() -> None:
    url = {"url": "https://x"}
    wanted = {"webhook_tools": {"a": url}, "config": {"variables": {}}}
    found = {"webhook_tools": {"a": url, "b": url}, "config": {"variables": {"v": 1}}}
    gone = [Difference("webhook_tools.b", url, ABSENT), Difference("config.variables.v", 1, ABSENT)]
    assert _found(wanted, found) == gone
    assert removals(wanted, found) == {
        "webhook_tools": {"a": url, "b": None},
        "config": {"variables": {"v": None}},
    }


def test_named_things_that_the_file_does_not_speak_of_stay() -> None:
    assert _found({"name": "x"}, {"name": "x", "webhook_tools": {"a": {}}}) == []


def test_of_a_long_text_the_lines_that_differ_are_shown() -> None:
    change = Difference("p", "one\ntwo\nthree\n", "one\n2\nthree\n")
    assert list(change.as_lines()) == ["p:", "  @@ -2 +2 @@", "  -two", "  +2"]


def test_a_long_value_is_cut() -> None:
    (line,) = Difference("p", "a" * 500, ABSENT).as_lines()
    assert len(line) < 100
    assert line.endswith("… → (none)")
