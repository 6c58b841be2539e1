"""PlayHT is no more: its name is explained, and what Daily Bots' bodies carry for it is kept."""

from __future__ import annotations

import pytest

from apps.providers.base import OptionError
from apps.providers.registry import PROVIDERS

PLAYHT = PROVIDERS["tts", "playht"]


def test_it_says_that_it_is_shut_and_what_is_nearest() -> None:
    said = PLAYHT.missing()
    assert "has shut its service" in said
    for name in ("cartesia", "elevenlabs", "rime"):
        assert name in said
        assert ("tts", name) in PROVIDERS


def test_the_options_of_daily_bots_bodies_stay() -> None:
    names = {option.name for option in PLAYHT.options}
    assert {"speed", "user_id", "text_filter"} <= names
    speed = PLAYHT.option("speed")
    assert speed is not None
    assert speed.clean("5") == 5
    with pytest.raises(OptionError):
        speed.clean(0)
