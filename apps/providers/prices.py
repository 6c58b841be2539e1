"""What vendors charge, from a dated table, and what a use of them costs.

The table is ``prices.toml``; every line of it names the page it was read on. What stands neither
there nor among the operator's own prices is unknown, and unknown is never taken for nothing.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from apps.providers import registry
from apps.providers.base import KINDS, Kind
from apps.voice.ports import Used

TABLE = Path(__file__).with_name("prices.toml")
# A line for every model of a provider that has none of its own.
ANY = "*"

# What a price may be of: USD per million tokens or characters, or per minute.
UNITS: Mapping[Kind, tuple[str, ...]] = {
    "llm": (
        *("prompt", "cached_prompt", "cache_write", "completion"),
        *("audio_prompt", "cached_audio_prompt", "audio_completion"),
    ),
    "tts": ("characters", "audio_minute"),
    "stt": ("stream_minute", "speech_minute"),
}
_MILLION = Decimal(1_000_000)
_MINUTE = Decimal(60)
# A vendor's own snapshot of a model: gpt-5-mini-2025-08-07, claude-haiku-4-5-20251001.
_SNAPSHOT = re.compile(r"-20\d\d(-\d\d-\d\d|\d{4})$")

# An operator's prices: "kind/provider/model" -> unit -> USD.
Overrides = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Price:
    """One line: what a model costs, by unit.

    free: it costs nothing, whatever is used. source: the page; empty if the operator said so. read:
    when it was read. note: on what assumption (a plan, a region).
    """

    kind: Kind
    provider: str
    model: str
    usd: Mapping[str, Decimal] = field(default_factory=dict)
    free: bool = False
    source: str = ""
    read: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """What something cost: ``usd`` at the least, and exactly that if nothing of it is unknown."""

    usd: Decimal = Decimal(0)
    is_complete: bool = True

    @property
    def exact(self) -> Decimal | None:
        """The cost, or None if a part of it is unknown."""
        return self.usd if self.is_complete else None

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.usd + other.usd, self.is_complete and other.is_complete)


NOTHING = Cost()
UNKNOWN = Cost(is_complete=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a slot of a config has chosen, as far as it makes a price."""

    kind: Kind
    provider: str
    model: str
    voice: str = ""
    language: str = ""

    def lines(self, known: Iterable[str]) -> Iterator[str]:
        """Yield which of the ``known`` lines are this choice's, the closest first."""
        family = _SNAPSHOT.sub("", self.model)
        yield from (f"{family}:{self.language}", self.model, family)
        patterns = [name for name in known if ANY in name and name != ANY]
        fitting = [name for name in patterns if fnmatchcase(self.voice, name)]
        yield from sorted(fitting, key=len, reverse=True)
        yield ANY


def find(choice: Choice, overrides: Overrides) -> Price | None:
    """Return what is charged for a choice, or None if nobody knows.

    The operator's prices come before the table's. A model's own line comes before its family's (the
    name without the date of a snapshot); then comes, where a voice makes the price, the longest
    pattern of voices that fits (``aura-2-*``), and last the line for any model. Where a language
    makes the price, there is a line ``model:language``.
    """
    start = f"{choice.kind}/{choice.provider}/"
    own = {key.removeprefix(start): usd for key, usd in overrides.items() if key.startswith(start)}
    for name in choice.lines(own):
        if name in own:
            return _own(choice.kind, choice.provider, name, own[name])
    lines = table().get((choice.kind, choice.provider), {})
    return next((lines[name] for name in choice.lines(lines) if name in lines), None)


def listed(kind: Kind, provider: str, overrides: Overrides) -> list[Price]:
    """List all that is known of a provider's prices, the operator's instead of the table's."""
    start = f"{kind}/{provider}/"
    own = {key.removeprefix(start): usd for key, usd in overrides.items() if key.startswith(start)}
    lines = table().get((kind, provider), {})
    return [
        *(_own(kind, provider, model, usd) for model, usd in own.items()),
        *(line for model, line in lines.items() if ANY not in own and model not in own),
    ]


def cost(kind: Kind, price: Price | None, used: Used) -> Cost:
    """Return what a slot's part of ``used`` costs. What was not used costs nothing."""
    if price is not None and price.free:
        return NOTHING
    if kind == "llm":
        return _of_model(price, used)
    return _of_voice(price, used) if kind == "tts" else _of_ears(price, used)


def _of_model(price: Price | None, used: Used) -> Cost:
    if not used.requests:
        return NOTHING
    parts = tokens_by_unit(used)
    found = sum((_tokens(price, unit, count) for unit, count in parts.items()), NOTHING)
    return found if used.counted >= used.requests else found + UNKNOWN


def tokens_by_unit(used: Used) -> Mapping[str, int]:
    """Part the tokens by what they are billed as; each stands in one part alone."""
    told = used.tokens
    cached_text = told.cached_tokens - told.cached_audio_tokens
    audio = told.audio_prompt_tokens - told.cached_audio_tokens
    text = told.prompt_tokens - told.audio_prompt_tokens - cached_text - told.cache_write_tokens
    return {
        "prompt": max(0, text),
        "cached_prompt": max(0, cached_text),
        "cache_write": told.cache_write_tokens,
        "completion": max(0, told.completion_tokens - told.audio_completion_tokens),
        "audio_prompt": max(0, audio),
        "cached_audio_prompt": told.cached_audio_tokens,
        "audio_completion": told.audio_completion_tokens,
    }


# A list that names no price for what concerns the cache charges it as what it is.
_INSTEAD = {
    "cached_prompt": "prompt",
    "cache_write": "prompt",
    "cached_audio_prompt": "audio_prompt",
}


def _tokens(price: Price | None, unit: str, count: int) -> Cost:
    if price is not None and unit not in price.usd:
        unit = _INSTEAD.get(unit, unit)
    return _product(price, unit, count, _MILLION)


def _of_voice(price: Price | None, used: Used) -> Cost:
    if price is not None and "audio_minute" in price.usd:
        return _product(price, "audio_minute", used.voiced_s, _MINUTE)
    return _product(price, "characters", used.characters, _MILLION)


def _of_ears(price: Price | None, used: Used) -> Cost:
    if price is not None and "speech_minute" in price.usd:
        return _product(price, "speech_minute", used.speech_s, _MINUTE)
    return _product(price, "stream_minute", used.stream_s, _MINUTE)


def _product(price: Price | None, unit: str, count: float, per: Decimal) -> Cost:
    if not count:
        return NOTHING
    usd = None if price is None else price.usd.get(unit)
    return UNKNOWN if usd is None else Cost(usd * Decimal(str(count)) / per)


# --- where prices come from -----------------------------------------------------------------------


@functools.cache
def table() -> Mapping[tuple[Kind, str], Mapping[str, Price]]:
    """Return the table's lines by slot and model, read once."""
    found: dict[tuple[Kind, str], dict[str, Price]] = {}
    for line in _lines(tomllib.loads(TABLE.read_text(), parse_float=Decimal)["sheet"]):
        found.setdefault((line.kind, line.provider), {})[line.model] = line
    return found


def _lines(sheets: list[dict[str, Any]]) -> Iterator[Price]:
    for sheet in sheets:
        kind: Kind = sheet["kind"]
        for model, said in sheet["models"].items():
            yield Price(
                kind,
                sheet["provider"],
                model,
                usd={unit: Decimal(said[unit]) for unit in UNITS[kind] if unit in said},
                free=said.get("free", False),
                source=said.get("source", sheet.get("source", "")),
                read=sheet.get("read"),
                note=said.get("note", sheet.get("note", "")),
            )


def _own(kind: Kind, provider: str, model: str, usd: Mapping[str, Any]) -> Price:
    prices = {unit: Decimal(str(value)) for unit, value in usd.items()}
    return Price(kind, provider, model, prices, note="Set on this server.")


def slots() -> Iterator[tuple[Kind, str]]:
    """Yield what may have a price: every provider, and the ears of one that also hears."""
    for slot, found in registry.PROVIDERS.items():
        yield slot
        if found.speaks:
            yield "stt", found.name


# More than anybody asks for a million of anything; a slip of the decimal point is seen.
_TOO_MUCH = 100_000


def complaints(overrides: Overrides) -> Iterator[str]:
    """Say what is wrong with an operator's prices, a sentence each."""
    kinds = {f"{kind}/{name}": kind for kind, name in slots()}
    for key, usd in overrides.items():
        slot, model = "/".join(key.split("/", 2)[:2]), "".join(key.split("/", 2)[2:])
        if slot not in kinds or not model:
            yield f"{key} is not kind/provider/model of a provider. Kinds: {', '.join(KINDS)}."
            continue
        units = UNITS[kinds[slot]]
        for unit, value in usd.items():
            if unit not in units:
                yield f"{key}: {unit} is no unit. Valid: {', '.join(units)}."
            elif not _is_price(value):
                yield f"{key}: {unit} is no price in USD."


def _is_price(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value < _TOO_MUCH
