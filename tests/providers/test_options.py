"""What fits an option of a provider: its JSON Schema and what is taken agree."""

from __future__ import annotations

from typing import Any

import pytest

from apps.providers.base import Option, OptionError


@pytest.mark.parametrize("value", [0, 1.5, True, None, ["a"], {}])
def test_a_text_is_a_text(value: Any) -> None:
    with pytest.raises(OptionError):
        Option("region", "string", "Where.").clean(value)


def test_a_numeric_text_may_be_a_number() -> None:
    pace = Option("speed", "string", "Pace.", numeric=True)
    assert [pace.clean(value) for value in ("slow", 0.8)] == ["slow", "0.8"]
    assert pace.schema()["type"] == ["string", "number"]
    with pytest.raises(OptionError):
        pace.clean(True)


def test_a_list_is_of_texts() -> None:
    emotions = Option("emotion", "array", "Emotions.")
    assert emotions.clean(["joy:high"]) == ["joy:high"]
    assert emotions.schema()["items"] == {"type": "string"}
    for value in ("joy", [1], [None]):
        with pytest.raises(OptionError):
            emotions.clean(value)
