"""Hearing a voice before anything of it is saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rest_framework.exceptions import Throttled, ValidationError

from apps.accounts.models import Account
from apps.bots import samples
from apps.bots.samples import Unspoken, sample_speak
from apps.voice.g711 import decode


def _native(**config: Any) -> dict[str, Any]:
    voice = {"llm": {"provider": "scripted"}, "tts": {"provider": "scripted"}}
    return {"config": {**voice, **config}}


def _sample(account: Account, native: dict[str, Any], who: str = "tests") -> bytes:
    return sample_speak(account=account, native=native, secrets={}, who=who)


def _loudest(audio: bytes) -> int:
    return int(np.abs(np.frombuffer(decode(audio), np.int16).astype(int)).max())


def test_a_voice_is_heard(account: Account) -> None:
    audio = _sample(account, _native())
    assert len(audio) > 8_000
    assert _loudest(audio) > 1_000


def test_the_greeting_is_what_is_spoken_with_its_variables(account: Account) -> None:
    greeting = {"mode": "none", "text": "Hi {{name}}"}
    options = {"tts": {"provider": "scripted", "character_ms": 100}, "greeting": greeting}
    short = _sample(account, _native(**options))
    long = _sample(account, _native(**options, variables={"name": {"default": "Maximilian"}}))
    assert len(long) > len(short)


def test_no_more_than_a_few_sentences_are_spoken(account: Account) -> None:
    tts = {"provider": "scripted", "character_ms": 10}
    greeting = {"mode": "text", "text": "long " * 200}
    audio = _sample(account, _native(tts=tts, greeting=greeting))
    assert len(audio) <= samples.CHARACTERS * 80


def test_wrong_options_are_named(account: Account) -> None:
    with pytest.raises(ValidationError) as refused:
        _sample(account, _native(tts={"provider": "scripted", "character_ms": "slow"}))
    assert "character_ms" in str(refused.value.detail)


def test_a_missing_key_is_said_in_words(account: Account) -> None:
    with pytest.raises(Unspoken, match="elevenlabs no key is stored for it"):
        _sample(account, _native(tts={"provider": "elevenlabs"}))


def test_a_provider_that_fails_is_named(account: Account) -> None:
    with pytest.raises(Unspoken, match="scripted"):
        _sample(account, _native(tts={"provider": "scripted", "fault": "refuse"}))


def test_a_provider_that_hangs_is_given_up(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "PATIENCE_S", 0.05)
    with pytest.raises(Unspoken, match="did not speak within"):
        _sample(account, _native(tts={"provider": "scripted", "fault": "mute"}))


def test_who_listens_too_often_waits(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "LIMIT", "1/minute")
    _sample(account, _native(), who="eve")
    with pytest.raises(Throttled):
        _sample(account, _native(), who="eve")
    _sample(account, _native(), who="ada")
