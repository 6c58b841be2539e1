"""YAML in and out: nothing changes its meaning on the way."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from apps.cli.documents import documents_parse, yaml_write
from apps.cli.errors import CliError


def _read(text: str, name: str = "a.yaml") -> Any:
    (found,) = documents_parse(text, name)
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("12:30", "12:30"),
        ("2026-01-02", "2026-01-02"),
        ("0123", "0123"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        ("-1.5", -1.5),
        ("7", 7),
        (".inf", ".inf"),
        ("~", None),
        ("", None),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_a_scalar_is_what_it_looks_like(text: str, value: Any) -> None:
    found = _read(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
@example("1e3")
@example("no")
@example("0x1f")
@example("12:30")
@example(" a\n b \n\n")
@example("\n")
@example("a\x85b\n")
@example("\u2028 \r\ufeff")
@example(1e22)
@example({"<<": {"a": "="}})
def test_what_is_written_is_read_as_it_was(value: Any) -> None:
    body = {"value": value}
    assert _read(yaml_write(body)) == body


@given(st.sampled_from(["no", "Yes", "12:30", "2026-01-02", "0o7", "010", "1e3", "~", "", "="]))
def test_what_is_written_reads_the_same_elsewhere(text: str) -> None:
    assert yaml.safe_load(yaml_write({"a": text})) == {"a": text}


def test_a_prompt_is_written_as_a_block() -> None:
    assert yaml_write({"prompt": "One.\nTwo.\n"}) == "prompt: |\n  One.\n  Two.\n"


def test_members_keep_their_order() -> None:
    assert yaml_write({"b": 1, "a": 2}) == "b: 1\na: 2\n"


def test_a_file_may_hold_several_documents() -> None:
    assert documents_parse("a: 1\n---\nb: 2\n---\n", "a.yaml") == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "a.yaml, line 3: not YAML: a is named twice."),
        ("1: x\n", "a.yaml, line 1: not YAML: a member's name must be a text; quote it."),
        ("a: !!python/name:os.system\n", "a.yaml, line 1: not YAML"),
        ("a: [1\n", "a.yaml, line 2: not YAML"),
        ("a: \x00", "a.yaml: not YAML"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_place(text: str, said: str) -> None:
    with pytest.raises(CliError) as caught:
        documents_parse(text, "a.yaml")
    assert str(caught.value).startswith(said)


def test_a_complaint_does_not_quote_the_line() -> None:
    with pytest.raises(CliError) as caught:
        documents_parse("api_keys: {openai: sk-secret", "a.yaml")
    assert "sk-secret" not in str(caught.value)


def test_json_is_read_as_json() -> None:
    assert _read('{"a": "\\ud83d\\ude00"}', "a.json") == {"a": "😀"}
    with pytest.raises(CliError, match=r"a\.json, line 1: not JSON"):
        documents_parse("a: 1", "a.json")
