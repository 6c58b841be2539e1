"""What differs between two JSON values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.changes import ABSENT, Change, changes

LEAF = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
NAME = st.text("abc", min_size=1, max_size=2)
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner), max_leaves=8
)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [Change("a", 1, 2)]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}}, [Change("a.b", 1, 3)]),
        ({}, {"a": {"b": 1}}, [Change("a.b", ABSENT, 1)]),
        ({"a": {"b": 1}}, {}, [Change("a.b", 1, ABSENT)]),
        ({"a": None}, {}, [Change("a", None, ABSENT)]),
        ({"a": 1}, {"a": True}, [Change("a", 1, True)]),
        ({"a": [1, 2]}, {"a": [2, 1]}, [Change("a", [1, 2], [2, 1])]),
        ({"a": {}}, {}, [Change("a", {}, ABSENT)]),
    ],
)
def test_it_names_the_path_and_both_values(before: Any, after: Any, found: list[Change]) -> None:
    assert list(changes(before, after)) == found


@given(st.dictionaries(NAME, VALUE))
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert not list(changes(value, value))
