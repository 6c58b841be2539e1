"""What counts as silence."""

from __future__ import annotations

import numpy as np
import pytest

from apps.voice import g711
from apps.voice.audible import is_silent


@pytest.mark.parametrize("mulaw", [b"", b"\xff" * 160, b"\x7f\xff" * 80, b"\xfe\x7e\xfb\x7b"])
def test_nothing_and_almost_nothing_are_silent(mulaw: bytes) -> None:
    assert is_silent(mulaw)


@pytest.mark.parametrize(("level_db", "silent"), [(-20, False), (-50, False), (-70, True)])
def test_a_tone_is_heard_by_its_level(level_db: int, silent: bool) -> None:
    wave = np.sin(np.arange(800) / 5) * 10 ** (level_db / 20)
    assert is_silent(g711.encode_float(wave)) is silent


def test_one_loud_sample_is_enough() -> None:
    assert not is_silent(b"\xff" * 1_000 + b"\x00")
