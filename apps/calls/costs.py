"""What a call costs: the prices of the moment it began, and what was used of each slot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any

from django.conf import settings

from apps.bots.selectors import model_used
from apps.bots.slots import declaration, kinds_used, slots_of
from apps.providers import prices
from apps.providers.base import Kind
from apps.providers.prices import Choice, Cost, Price
from apps.voice.ports import Usage, Used

# Turns are worth little: a token of a small model costs a hundred-millionth.
_GRAIN = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class Tariff:
    """What one slot of a call is charged by. price: None if nobody knows it."""

    slot: Kind
    provider: str
    model: str
    price: Price | None

    def cost(self, used: Used) -> Cost:
        return prices.cost(self.slot, self.price, used)

    def bill(self, stream_sid: str, used: Used) -> dict[str, Any]:
        """Return the slot's line of a call's costs, as it is stored and shown."""
        cost = self.cost(used)
        return {
            "stream_sid": stream_sid,
            "slot": self.slot,
            "provider": self.provider,
            "model": self.model,
            "units": units(self.slot, used),
            "cost_usd": f"{rounded(cost.usd):f}" if cost.is_complete or cost.usd else None,
            "is_complete": cost.is_complete,
        }


@dataclass(frozen=True, slots=True)
class _Span:
    """From which reading of a call's use a tariff holds."""

    tariff: Tariff
    start: Used = Used()


class Ledger:
    """What one stream is charged by. A slot's tariff changes where another provider takes over.

    Readings are of the whole stream, and count up.
    """

    def __init__(self, tariffs: Sequence[Tariff] = ()) -> None:
        self._spans: dict[Kind, list[_Span]] = {found.slot: [_Span(found)] for found in tariffs}
        self._turned = Used()  # what the turns so far have used

    def change(self, tariff: Tariff, at: Used) -> None:
        """Charge a slot by another tariff from this reading on."""
        if tariff.slot in self._spans:
            self._spans[tariff.slot].append(_Span(tariff, at))

    def turn_cost(self, used: Used) -> Decimal | None:
        """Return what the next turn cost, or None if a part of it is unknown."""
        start, self._turned = self._turned, self._turned + used
        parts = self._parts(start, self._turned)
        exact = sum((tariff.cost(part) for tariff, part in parts), prices.NOTHING).exact
        return None if exact is None else rounded(exact)

    def bills(self, stream_sid: str, used: Used) -> list[dict[str, Any]]:
        """Return the lines of the stream's costs: one for each provider that served in a slot."""
        return [
            tariff.bill(stream_sid, part)
            for tariff, part in self._parts(Used(), used)
            if len(self._spans[tariff.slot]) == 1 or any(units(tariff.slot, part).values())
        ]

    def _parts(self, start: Used, end: Used) -> Iterator[tuple[Tariff, Used]]:
        """Share out what was used between two readings among the tariffs that held then."""
        for spans in self._spans.values():
            for span, after in zip(spans, [*spans[1:], None], strict=True):
                until = end if after is None else _each(min, end, after.start)
                part = _each(max, until - _each(max, start, span.start), _NONE)
                yield span.tariff, part


_NONE = Used()


def _each(choose: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    """Choose between two readings, counter by counter."""
    chosen = {}
    for counter in fields(one):
        left, right = getattr(one, counter.name), getattr(other, counter.name)
        chosen[counter.name] = (_each if isinstance(left, Usage) else _plain)(choose, left, right)
    return type(one)(**chosen)


def _plain(choose: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    return choose(one, other)


def tariffs_of(document: Mapping[str, Any]) -> tuple[Tariff, ...]:
    """Return what a call of a bot's version is charged by, at this moment."""
    kinds = kinds_used(document)
    found = tuple(_tariff(kind, document[kind]) for kind in kinds)
    return found if "stt" in kinds else (_transcript(document["llm"]), *found)


def tariff_of(document: Mapping[str, Any], kind: Kind, place: int) -> Tariff:
    """Return what one of a slot's chain charges by: 0 is the slot's own provider."""
    return _tariff(kind, slots_of(document, kind)[place])


def _tariff(kind: Kind, chosen: Mapping[str, Any]) -> Tariff:
    provider = chosen["provider"]
    named = model_used(provider, chosen["model"])
    voice, language = chosen.get("voice", ""), chosen.get("language", "")
    # Where a config names no model, the voice may say enough; else the adapter takes the first.
    for model in (named,) if named else ("", _first(kind, provider)):
        found = prices.find(Choice(kind, provider, model, voice, language), settings.PRICES)
        if found is not None:
            break
    return Tariff(kind, provider, model, found)


def _first(kind: Kind, provider: str) -> str:
    found = declaration(kind, provider)
    return "" if found is None else found.default_model or next(iter(found.models), "")


def _transcript(chosen: Mapping[str, Any]) -> Tariff:
    """What writes down the caller's words where the model hears them itself."""
    model = chosen["options"].get("transcription_model", "")
    found = prices.find(Choice("stt", chosen["provider"], model), settings.PRICES)
    return Tariff("stt", chosen["provider"], model, found)


def rounded(usd: Decimal) -> Decimal:
    """Round to what is stored."""
    return usd.quantize(_GRAIN)


def turn_usage(used: Used) -> dict[str, Any]:
    """Return the columns of a turn that say what it used. Tokens are null where nobody told."""
    tokens = asdict(used.tokens) if used.counted else dict.fromkeys(asdict(used.tokens))
    return {
        **tokens,
        "llm_requests": used.requests,
        "llm_requests_counted": used.counted,
        "tts_characters": used.characters,
        "tts_audio_s": round(used.voiced_s, 3),
        "stt_stream_s": round(used.stream_s, 3),
        "stt_speech_s": round(used.speech_s, 3),
    }


def units(slot: Kind, used: Used) -> dict[str, float]:
    """Return what was used of one slot, by the names of a turn's columns."""
    of_all = turn_usage(used)
    if slot == "llm":
        tokens = {name: of_all[name] or 0 for name in asdict(used.tokens)}
        return {**{name: of_all[name] for name in _REQUESTS}, **tokens}
    return {name: value for name, value in of_all.items() if name.startswith(f"{slot}_")}


_REQUESTS = ("llm_requests", "llm_requests_counted")
