"""``{{variables}}`` of a bot: declared once, filled for every call.

A value comes from the stream's ``<Parameter>``s, from a dial-out or from the declaration's default.
``from``, ``to`` and ``call_sid`` are there without being declared, where the call brings them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
TYPES = ("string", "number", "boolean")
BUILT_IN = ("from", "to", "call_sid")
# Parameters of the stream that are ours and no variables.
RESERVED = frozenset({"account", "bot", "token"})

_PLACE = re.compile(r"\{\{\s*(" + NAME + r")\s*\}\}")

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Filling:
    """What a call's variables are. sources: given, default or built-in, by name.

    missing: used by the bot, without a value: they are filled with nothing. refused: given, but
    not of their declared type; the default counts instead.
    """

    values: Mapping[str, str]
    sources: Mapping[str, str]
    missing: tuple[str, ...]
    refused: tuple[str, ...]


def used_in(document: Document) -> set[str]:
    """Return the names of the variables that the bot's texts use."""
    return {name for text in _texts(document) for name in _PLACE.findall(text)}


def value_clean(kind: str, value: Any) -> str | None:
    """Return ``value`` as the text that is spoken, or None if it is not of the type."""
    return _CLEANERS[kind](value)


def filling_of(document: Document, given: Mapping[str, Any]) -> Filling:
    """Find a value for every variable that the document declares or uses."""
    declared: Mapping[str, Mapping[str, Any]] = document.get("variables") or {}
    names = {*declared, *used_in(document)}
    values: dict[str, str] = {}
    sources: dict[str, str] = {}
    refused = []
    for name in sorted(names):
        declaration = declared.get(name, {"type": "string"})
        value = value_clean(declaration["type"], given[name]) if name in given else None
        if name in given and value is None:
            refused.append(name)
        source = "built-in" if name in BUILT_IN and name not in declared else "given"
        if value is None and declaration.get("default") is not None:
            value, source = value_clean(declaration["type"], declaration["default"]), "default"
        if value is not None:
            values[name], sources[name] = value, source
    missing = tuple(sorted(used_in(document) - values.keys()))
    return Filling(values, sources, missing, tuple(refused))


def filled(document: Document, values: Mapping[str, str]) -> dict[str, Any]:
    """Return the document with its texts filled in; a variable without a value becomes nothing."""

    def fill(text: str) -> str:
        return _PLACE.sub(lambda found: values.get(found[1], ""), text)

    found = deepcopy(dict(document))
    found["llm"]["prompt"] = fill(found["llm"]["prompt"])
    for message in found["llm"]["messages"]:
        message["content"] = fill(message["content"])
    found["greeting"]["text"] = fill(found["greeting"]["text"])
    if recording := found.get("recording"):
        recording["consent"] = fill(recording["consent"])
    found["lines"] = {name: fill(text) for name, text in found["lines"].items()}
    return found


def _texts(document: Document) -> Iterator[str]:
    yield document["llm"]["prompt"]
    for message in document["llm"]["messages"]:
        yield message["content"]
    yield document["greeting"]["text"]
    yield (document.get("recording") or {}).get("consent", "")
    yield from document["lines"].values()


def _string(value: Any) -> str | None:
    if isinstance(value, bool):
        return _boolean(value)
    return str(value) if isinstance(value, str | int | float) else None


def _number(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    return text if re.fullmatch(r"[+-]?\d{1,30}(\.\d{1,30})?", text) else None


def _boolean(value: Any) -> str | None:
    text = str(value).lower()
    return text if text in ("true", "false") else None


_CLEANERS: Mapping[str, Callable[[Any], str | None]] = {
    "string": _string,
    "number": _number,
    "boolean": _boolean,
}
