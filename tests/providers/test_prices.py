"""What is known of prices, and what a use of them costs: unknown is never nothing."""

from __future__ import annotations

import tomllib
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from apps.providers import prices, registry
from apps.providers.base import Declaration, Kind
from apps.providers.prices import Choice, Price
from apps.voice.ports import Usage, Used

OWN: dict[str, Any] = {}
MINUTES: Any = [("stt", "stream_minute", "stream_s"), ("stt", "speech_minute", "speech_s")]


LINES = [line for lines in prices.table().values() for line in lines.values()]


def find(kind: Kind, provider: str, model: str, own: Any = OWN, **given: Any) -> Price | None:
    return prices.find(Choice(kind, provider, model, **given), own)


def price_of(kind: Kind, provider: str, model: str, **given: Any) -> Price:
    found = find(kind, provider, model, **given)
    assert found is not None
    return found


def priced(kind: Kind, **usd: float) -> Price:
    return Price(kind, "x", "y", {unit: Decimal(str(value)) for unit, value in usd.items()})


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.provider}-{line.model}")
def test_every_line_is_of_a_provider_and_says_where_it_comes_from(line: Price) -> None:
    assert (line.kind, line.provider) in prices.slots()
    if line.free:
        assert not line.usd
    else:
        assert line.source.startswith("https://")
        assert line.read is not None
        assert date(2026, 11, 26) <= line.read <= date.today()  # noqa: DTZ011 - a day, not a moment


def test_no_line_stands_there_twice() -> None:
    sheets = tomllib.loads(prices.TABLE.read_text())["sheet"]
    assert sum(len(sheet["models"]) for sheet in sheets) == len(LINES)


def test_a_unit_that_is_misspelt_is_no_price() -> None:
    known = {"free", "note", "source", *(unit for units in prices.UNITS.values() for unit in units)}
    for sheet in tomllib.loads(prices.TABLE.read_text())["sheet"]:
        assert not {unit for line in sheet["models"].values() for unit in line} - known


def test_what_runs_on_this_server_is_known_to_cost_nothing() -> None:
    for kind, name in (("stt", "local"), ("llm", "local"), ("llm", "local_gguf"), ("tts", "local")):
        assert price_of(kind, name, "any").free  # type: ignore[arg-type]


# What a vendor's bill counts, and what a line of its may be priced by.
UNITS = {
    "tokens": {"llm": set(prices.UNITS["llm"]), "tts": {"audio_minute"}, "stt": {"speech_minute"}},
    "characters": {"tts": {"characters", "audio_minute"}},
    "stream": {"stt": {"stream_minute"}},
    "speech": {"stt": {"speech_minute"}, "tts": {"audio_minute"}},
}


@pytest.mark.parametrize(
    "found",
    [found for found in registry.PROVIDERS.values() if found.billing != "nothing"],
    ids=lambda found: f"{found.kind}-{found.name}",
)
def test_prices_are_of_what_the_declaration_says_is_billed(found: Declaration) -> None:
    for line in prices.listed(found.kind, found.name, OWN):
        assert set(line.usd) <= UNITS[found.billing][found.kind]


# --- which line -----------------------------------------------------------------------------------


def test_an_unknown_model_has_no_price() -> None:
    assert find("llm", "openai", "gpt-99") is None
    assert find("llm", "nobody", "gpt-5-mini") is None
    assert find("llm", "openai", "") is None


@pytest.mark.parametrize(
    ("provider", "snapshot", "family"),
    [
        ("openai", "gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("openai", "gpt-5-2025-08-07", "gpt-5"),
        ("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5"),
    ],
)
def test_a_snapshot_costs_what_its_family_does(provider: str, snapshot: str, family: str) -> None:
    assert price_of("llm", provider, snapshot) == price_of("llm", provider, family)


def test_a_snapshot_with_a_line_of_its_own_costs_that() -> None:
    assert price_of("llm", "openai", "gpt-4o-2024-05-13").usd["prompt"] == 5


@pytest.mark.parametrize("name", ["gpt-5-mini-fast", "gpt-5-mini-2025", "my-gpt-5-mini", "gpt-5-m"])
def test_a_name_that_only_looks_like_another_has_no_price(name: str) -> None:
    assert find("llm", "openai", name) is None


def test_a_line_for_any_model_counts_where_there_is_no_other() -> None:
    assert price_of("tts", "cartesia", "sonic-from-tomorrow").usd["characters"] == 50


def test_a_language_may_cost_more() -> None:
    single, several = (price_of("stt", "deepgram", "nova-3", language=x) for x in ("en", "multi"))
    assert single.usd["stream_minute"] < several.usd["stream_minute"]


@pytest.mark.parametrize(
    ("voice", "model", "usd"),
    [
        ("aura-2-thalia-en", "", 30),
        ("aura-asteria-en", "aura-2", 15),  # the voice is what is asked for
    ],
)
def test_a_voice_may_make_the_price(voice: str, model: str, usd: int) -> None:
    assert price_of("tts", "deepgram_tts", model, voice=voice).usd["characters"] == usd


def test_the_longest_pattern_that_fits_a_voice_counts() -> None:
    voices = ("en-US-AvaNeural", "en-US-Ava:DragonHDLatestNeural", "en-US-Ava:DragonHDFlashNeural")
    found = [price_of("tts", "azure_tts", "", voice=voice).usd for voice in voices]
    assert [usd.get("characters") for usd in found] == [16, 22, None]


def test_a_model_makes_the_price_before_its_voice_does() -> None:
    voice = "en-US-Chirp3-HD-Kore"
    assert price_of("tts", "google_tts", "", voice=voice).usd["characters"] == 30
    assert not price_of("tts", "google_tts", "gemini-2.5-pro-tts", voice=voice).usd


def test_the_operators_price_replaces_the_lists_whole() -> None:
    own = {"llm/openai/gpt-5-mini": {"prompt": 0.2, "completion": 1.5}}
    found = find("llm", "openai", "gpt-5-mini-2025-08-07", own)
    assert found is not None
    assert found.usd == {"prompt": Decimal("0.2"), "completion": Decimal("1.5")}
    assert found.source == ""


def test_the_operators_price_for_any_model_comes_before_the_list() -> None:
    own = {"llm/openai/*": {"prompt": 1}, "llm/openai/gpt-5": {"prompt": 2}}
    found = [find("llm", "openai", name, own) for name in ("gpt-5-mini", "gpt-5")]
    assert [line.usd["prompt"] for line in found if line is not None] == [1, 2]
    assert {line.model for line in prices.listed("llm", "openai", own)} == {"*", "gpt-5"}


def test_an_operators_price_may_be_nothing() -> None:
    own = {"llm/custom_llm/*": {"prompt": 0, "completion": 0}}
    line = find("llm", "custom_llm", "llama", own)
    assert prices.cost("llm", line, Used(1, 1, Usage(100, 10))).exact == 0


def test_an_operator_may_say_that_the_lists_price_is_not_theirs() -> None:
    found = find("llm", "openai", "gpt-5", {"llm/openai/gpt-5": {}})
    assert prices.cost("llm", found, Used(1, 1, Usage(100, 10))).exact is None


@pytest.mark.parametrize(
    ("own", "complaint"),
    [
        ({"llm/openai": {"prompt": 1}}, "not kind/provider/model"),
        ({"llm/nobody/x": {"prompt": 1}}, "not kind/provider/model"),
        ({"tts/openai/gpt-5": {"prompt": 1}}, "not kind/provider/model"),
        ({"llm/openai/x": {"characters": 1}}, "characters is no unit"),
        ({"llm/openai/x": {"prompt": -1}}, "prompt is no price"),
        ({"llm/openai/x": {"prompt": "1"}}, "prompt is no price"),
        ({"llm/openai/x": {"prompt": True}}, "prompt is no price"),
        ({"llm/openai/x": {"prompt": float("nan")}}, "prompt is no price"),
        ({"llm/openai/x": {"prompt": 10**400}}, "prompt is no price"),
    ],
)
def test_a_price_that_is_none_is_named(own: Any, complaint: str) -> None:
    (found,) = prices.complaints(own)
    assert complaint in found


def test_good_prices_are_not_complained_of() -> None:
    own = {
        "llm/together/meta-llama/Llama-4": {"prompt": 0.25, "cached_prompt": 0, "completion": 2},
        "stt/deepgram/*": {"stream_minute": 0.004},
    }
    assert not list(prices.complaints(own))


# --- what it costs --------------------------------------------------------------------------------


def test_tokens_are_charged_by_what_they_are() -> None:
    line = priced("llm", prompt=1, cached_prompt=0.1, cache_write=1.25, completion=5)
    used = Used(1, 1, Usage(1_000_000, 200_000, cached_tokens=600_000, cache_write_tokens=100_000))
    assert prices.cost("llm", line, used).exact == Decimal("0.3") + Decimal("0.06") + Decimal(
        "0.125"
    ) + Decimal(1)


def test_a_token_of_sound_is_not_charged_as_text_too() -> None:
    line = priced(
        "llm",
        **{"prompt": 4, "cached_prompt": 0.4, "completion": 16},
        **{"audio_prompt": 32, "cached_audio_prompt": 0.5, "audio_completion": 64},
    )
    told = Usage(
        prompt_tokens=1_000_000,
        cached_tokens=300_000,
        audio_prompt_tokens=500_000,
        cached_audio_tokens=200_000,
        completion_tokens=100_000,
        audio_completion_tokens=75_000,
    )
    assert prices.tokens_by_unit(Used(1, 1, told)) == {
        "prompt": 400_000,
        "cached_prompt": 100_000,
        "cache_write": 0,
        "completion": 25_000,
        "audio_prompt": 300_000,
        "cached_audio_prompt": 200_000,
        "audio_completion": 75_000,
    }
    expected = 1.6 + 0.04 + 9.6 + 0.1 + 0.4 + 4.8
    assert float(prices.cost("llm", line, Used(1, 1, told)).usd) == pytest.approx(expected)


def test_a_vendor_that_lists_no_price_for_its_cache_gives_no_discount() -> None:
    line = priced("llm", prompt=1, completion=1)
    used = Used(1, 1, Usage(1_000_000, 0, cached_tokens=400_000, cache_write_tokens=300_000))
    assert prices.cost("llm", line, used).exact == 1


def test_sound_without_a_price_is_unknown() -> None:
    line = priced("llm", prompt=1, completion=1)
    used = Used(1, 1, Usage(1_000_000, 1_000_000, audio_completion_tokens=500_000))
    cost = prices.cost("llm", line, used)
    assert cost == prices.Cost(Decimal("1.5"), is_complete=False)


def test_a_reply_whose_tokens_nobody_told_makes_a_lower_bound() -> None:
    line = priced("llm", prompt=1, completion=1)
    cost = prices.cost("llm", line, Used(3, 2, Usage(1_000_000, 1_000_000)))
    assert cost == prices.Cost(Decimal(2), is_complete=False)
    assert cost.exact is None


@pytest.mark.parametrize(
    ("kind", "used"),
    [
        ("llm", Used(1, 1, Usage(10, 1))),
        ("llm", Used(1, 0)),
        ("tts", Used(characters=1)),
        ("stt", Used(stream_s=0.02)),
    ],
)
def test_without_a_price_what_was_used_costs_nobody_knows_what(kind: Kind, used: Used) -> None:
    assert prices.cost(kind, None, used).exact is None


@pytest.mark.parametrize("kind", ["llm", "tts", "stt"])
def test_without_a_price_what_was_not_used_costs_nothing(kind: Kind) -> None:
    assert prices.cost(kind, None, Used()).exact == 0


def test_what_is_free_costs_nothing_even_where_nobody_counted() -> None:
    free = Price("llm", "local", "*", free=True)
    assert prices.cost("llm", free, Used(requests=5)).exact == 0


def test_a_voice_is_charged_by_the_letter_or_by_the_minute() -> None:
    used = Used(characters=1_000, voiced_s=60)
    assert prices.cost("tts", priced("tts", characters=40), used).exact == Decimal("0.04")
    assert prices.cost("tts", priced("tts", audio_minute=0.03), used).exact == Decimal("0.03")


@pytest.mark.parametrize(("kind", "unit", "seconds"), MINUTES)
def test_ears_are_charged_by_what_their_vendor_counts(kind: Kind, unit: str, seconds: str) -> None:
    used = Used(stream_s=120, speech_s=30)
    cost = prices.cost(kind, priced(kind, **{unit: 0.006}), used)
    assert cost.exact == Decimal("0.0001") * Decimal(str(getattr(used, seconds)))


def test_costs_add_up_and_one_unknown_makes_the_sum_a_lower_bound() -> None:
    total = prices.Cost(Decimal(1)) + prices.UNKNOWN + prices.Cost(Decimal(2))
    assert total == prices.Cost(Decimal(3), is_complete=False)
