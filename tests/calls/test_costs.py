"""What a call is charged by: which model is priced, and at whose price."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pytest_django import Settings

from apps.calls.costs import Tariff, tariffs_of, turn_usage
from apps.providers.base import Kind
from apps.voice.ports import Usage, Used


def document(**slots: dict[str, Any]) -> dict[str, Any]:
    """A version's document, as far as it makes a price."""
    local = {"provider": "local", "model": "", "options": {}}
    return {kind: {**local, **slots.get(kind, {})} for kind in ("stt", "llm", "tts")}


def tariff(kind: Kind, **slot: Any) -> Tariff:
    (found,) = (found for found in tariffs_of(document(**{kind: slot})) if found.slot == kind)
    return found


def usd(found: Tariff) -> dict[str, Decimal] | None:
    return None if found.price is None else dict(found.price.usd)


def test_the_model_that_is_really_asked_for_is_priced(settings: Settings) -> None:
    settings.MODEL_ALIASES = {"openai": {"gpt-3.5-turbo": "gpt-5-mini"}}
    found = tariff("llm", provider="openai", model="gpt-3.5-turbo")
    assert found.model == "gpt-5-mini"
    assert usd(found) == usd(tariff("llm", provider="openai", model="gpt-5-mini"))


def test_without_a_model_the_first_is_priced() -> None:
    found = tariff("tts", provider="elevenlabs", voice="x")
    assert (found.model, usd(found)) == ("eleven_flash_v2_5", {"characters": Decimal(40)})


def test_without_a_model_the_voice_may_say_enough() -> None:
    found = tariff("tts", provider="google_tts", voice="en-US-Neural2-F")
    assert (found.model, usd(found)) == ("", {"characters": Decimal(16)})


def test_the_language_is_asked_after() -> None:
    nova = {"provider": "deepgram", "model": "nova-3"}
    one, several = (usd(tariff("stt", **nova, language=x)) for x in ("de", "multi"))
    assert one and several
    assert one["stream_minute"] < several["stream_minute"]


def test_a_provider_that_this_release_does_not_know_has_no_price() -> None:
    assert tariff("llm", provider="yesterdays", model="x").price is None


@pytest.mark.parametrize("own", [{}, {"llm/openai/gpt-5": {"prompt": 7}}])
def test_prices_are_those_of_the_moment(settings: Settings, own: dict[str, Any]) -> None:
    settings.PRICES = own
    found = tariff("llm", provider="openai", model="gpt-5")
    settings.PRICES = {"llm/openai/gpt-5": {"prompt": 99}}
    expected = Decimal(7) if own else Decimal("1.25")
    assert found.price is not None
    assert found.price.usd["prompt"] == expected


def test_tokens_are_null_where_the_model_told_none() -> None:
    assert turn_usage(Used(requests=1))["prompt_tokens"] is None
    assert turn_usage(Used(requests=1, counted=1))["prompt_tokens"] == 0
    assert turn_usage(Used(2, 1, Usage(5, 1, cached_tokens=3)))["cached_tokens"] == 3


def test_a_bill_says_what_was_used_of_its_slot_alone() -> None:
    used = Used(1, 1, Usage(5, 1), characters=10, voiced_s=0.6, stream_s=9, speech_s=2)
    bills = {found.slot: set(found.bill("MZ1", used)["units"]) for found in tariffs_of(document())}
    assert bills["stt"] == {"stt_stream_s", "stt_speech_s"}
    assert bills["tts"] == {"tts_characters", "tts_audio_s"}
    assert {"llm_requests", "prompt_tokens", "cached_audio_tokens"} <= bills["llm"]
