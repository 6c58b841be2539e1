"""One field of the editor: what stands in its control, and the JSON that this means.

A field is named by its path in the API's body, such as ``config.tts.voice``, so that what the API
says of a path is shown at the field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rest_framework.exceptions import ValidationError

from apps.core.changes import ABSENT
from apps.core.errors import NotJson, fields_flatten
from apps.core.parsers import json_read
from apps.dashboard.wording import sendable

Widget = Literal["text", "textarea", "number", "flag", "choice", "lines", "json"]
Pairs = tuple[tuple[str, str], ...]

YES, NO = "true", "false"
# Whole numbers beyond are doubles, as in every body that is read.
_LEAST, _MOST = -(2**63), 2**64 - 1


class Unreadable(ValueError):
    """What was entered is no JSON; the message says where."""


@dataclass(frozen=True, slots=True)
class Field:
    """A control. choices: of a choice, values and labels. known: names to pick from, where others
    may be entered as well. minimum and maximum: of a number. placeholder: what counts if it is
    empty."""

    path: str
    label: str
    help: str = ""
    widget: Widget = "text"
    choices: Pairs = ()
    known: Pairs = ()
    minimum: float | None = None
    maximum: float | None = None
    placeholder: str = ""
    rows: int = 2

    @property
    def id(self) -> str:
        return "f-" + self.path.replace(".", "-")


@dataclass(frozen=True, slots=True)
class Shown:
    """A field with what stands in it and what is wrong with that."""

    field: Field
    text: str
    errors: tuple[str, ...] = ()

    @property
    def is_on(self) -> bool:
        return self.text == YES

    @property
    def is_a_choice(self) -> bool:
        return any(value == self.text for value, _ in self.field.choices)

    @property
    def many_lines(self) -> bool:
        # A control of one line would drop the others.
        return self.field.widget in ("textarea", "lines", "json") or "\n" in self.text


def text_of(widget: Widget, value: Any) -> str:
    """Write a JSON value, or ABSENT, as it stands in a control."""
    if value is ABSENT or value is None:
        return ""
    return sendable(_WRITERS.get(widget, _plain)(value))


def value_of(widget: Widget, text: str) -> Any:
    """Read a control's text. ABSENT for an empty one; what cannot be meant is left as it is, for
    the API to refuse. Raises Unreadable."""
    if widget == "flag":
        return text == YES
    if widget == "textarea" or text.strip():
        return _READERS.get(widget, _itself)(text) if text else ABSENT
    return ABSENT


def entered(text: str) -> str:
    """Return a text as it was typed: browsers send line ends as networks do."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def chosen(names: Iterable[str]) -> Pairs:
    return tuple((name, name) for name in names)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return YES if value else NO
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _lines(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, str) and one.strip() for one in value):
        return "\n".join(value)
    return _json(value)


def _number(text: str) -> Any:
    try:
        whole = int(text)
    except ValueError:
        whole = None
    if whole is not None and _LEAST <= whole <= _MOST:
        return whole
    try:
        found = float(text)
    except ValueError:
        return text
    return found if math.isfinite(found) else text


def _choice(text: str) -> Any:
    return {YES: True, NO: False}.get(text, text)


def _read_json(text: str) -> Any:
    try:
        return json_read(text)
    except json.JSONDecodeError as exc:
        raise Unreadable(f"No JSON: {exc.msg}, line {exc.lineno}, column {exc.colno}.") from None
    except (NotJson, ValidationError) as exc:
        told = " ".join(text for texts in fields_flatten(exc.detail).values() for text in texts)
        raise Unreadable(told) from None


def null_refuse(value: Any) -> None:
    """Raise Unreadable for what a merge patch cannot say."""
    if holds_null(value):
        raise Unreadable("null cannot be kept: leave the member out.")


def holds_null(value: Any) -> bool:
    """Whether an object says null of a member, which a merge patch takes for leaving it out."""
    if not isinstance(value, Mapping):
        return False
    return any(inner is None or holds_null(inner) for inner in value.values())


def _itself(text: str) -> Any:
    return text


def _read_lines(text: str) -> Any:
    if text.lstrip().startswith("["):
        return _read_json(text)
    return [line.strip() for line in text.split("\n") if line.strip()]


_WRITERS: Mapping[Widget, Callable[[Any], str]] = {"json": _json, "lines": _lines}
_READERS: Mapping[Widget, Callable[[str], Any]] = {
    "number": _number,
    "choice": _choice,
    "lines": _read_lines,
    "json": _read_json,
}


@dataclass(slots=True)
class Complaints:
    """What is wrong, by the name of the control; what has no control stands in ``homeless``."""

    at: dict[str, list[str]] = field(default_factory=dict)
    homeless: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, texts: Iterable[str]) -> None:
        self.at.setdefault(name, []).extend(texts)

    def of(self, name: str) -> tuple[str, ...]:
        return tuple(self.at.get(name, ()))

    def __bool__(self) -> bool:
        return bool(self.at or self.homeless)
