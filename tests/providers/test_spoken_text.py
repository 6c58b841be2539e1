"""A model's thoughts are not the caller's business, however the text is torn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.spoken_text import SpokenText


def spoken(*pieces: str) -> str:
    text = SpokenText()
    return "".join([*(text.push(piece) for piece in pieces), text.flush()])


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("Hello.", "Hello."),
        ("<think>Hm.</think>\n\nHello.", "Hello."),
        ("<THINK>Hm.</Think>Hello.", "Hello."),
        ("<thinking>a < b</thinking> Yes <reasoning>x</reasoning> or no.", "Yes or no."),
        ("<think>for ever", ""),
        ("</think>Hello.", "Hello."),
        ("Three is <5, and 5>3.", "Three is <5, and 5>3."),
        ("<b>Hello</b> <thin", "<b>Hello</b> <thin"),
        ("A <think>x</think><think>y</think> B", "A B"),
    ],
)
def test_thoughts_are_left_out(text: str, heard: str) -> None:
    assert spoken(text) == heard
    assert spoken(*text) == heard


def test_what_is_no_tag_is_not_held_back() -> None:
    text = SpokenText()
    assert [text.push(p) for p in ("Hi", " <", "b>", " <th", "is>")] == [
        "Hi",
        " ",
        "<b>",
        " ",
        "<this>",
    ]


@given(
    st.lists(
        st.sampled_from(["<think>", "</think>", "<", "thi", ">", "a", " ", "\n"]), max_size=12
    ),
    st.integers(1, 5),
)
def test_where_the_text_is_torn_makes_no_difference(parts: list[str], size: int) -> None:
    text = "".join(parts)
    torn = [text[n : n + size] for n in range(0, len(text), size)]
    assert spoken(*torn) == spoken(text)
