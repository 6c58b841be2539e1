"""Checks a tool's arguments against its parameters.

Of JSON Schema what tools use: types, required members, choices, bounds, no strangers. A schema is a
user's text, so nothing in it may send us anywhere (``$ref``) or keep us busy (``pattern``, and what
combines schemas): such keywords are left to the model's vendor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and float(value).is_integer(),
    "number": lambda value: _is_number(value),
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
}


def arguments_check(
    schema: Mapping[str, Any], arguments: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Complain about arguments by their path; nothing where they fit."""
    found: dict[str, list[str]] = {}
    for path, complaint in _complaints(schema, arguments, "arguments"):
        found.setdefault(path, []).append(complaint)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _complaints(schema: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(schema, Mapping):
        return
    if (types := _types(schema)) and not any(_TYPES[name](value) for name in types):
        yield path, f"Not valid: {' or '.join(types)}."
        return
    choices = schema.get("enum")
    if isinstance(choices, list) and value not in choices:
        yield path, f"Not valid: one of {', '.join(map(str, choices[:20]))}."
    if _is_number(value):
        yield from ((path, complaint) for complaint in _bounds(schema, value))
    elif isinstance(value, Mapping):
        yield from _members(schema, value, path)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _complaints(schema.get("items"), item, f"{path}.{number}")


def _types(schema: Mapping[str, Any]) -> Sequence[str]:
    given = schema.get("type")
    named = given if isinstance(given, list) else [given]
    return [name for name in named if isinstance(name, str) and name in _TYPES]


def _bounds(schema: Mapping[str, Any], value: float) -> Iterator[str]:
    least, most = schema.get("minimum"), schema.get("maximum")
    if isinstance(least, int | float) and value < least:
        yield f"Too small: at least {least}."
    if isinstance(most, int | float) and value > most:
        yield f"Too large: at most {most}."


def _members(
    schema: Mapping[str, Any], value: Mapping[str, Any], path: str
) -> Iterator[tuple[str, str]]:
    known = schema.get("properties")
    known = known if isinstance(known, Mapping) else {}
    required = schema.get("required")
    for name in required if isinstance(required, list) else []:
        if isinstance(name, str) and name not in value:
            yield f"{path}.{name}", "This field is required."
    for name, member in value.items():
        if name in known:
            yield from _complaints(known[name], member, f"{path}.{name}")
        elif schema.get("additionalProperties") is False:
            valid = ", ".join(list(known)[:20])
            yield f"{path}.{name}", f"Unknown field. Valid: {valid}."
