"""Rows of the editor: things of which a bot has any number, each with a name.

A row's controls are named ``tools-3-url``. Its number only tells rows apart; their order on the
page counts. ``was`` is the name under which the row is stored, so that a new name moves it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.bots.variables import TYPES
from apps.core.changes import ABSENT
from apps.dashboard.bots.fields import (
    Complaints,
    Field,
    Shown,
    Unreadable,
    Widget,
    chosen,
    entered,
    text_of,
    value_of,
)

WAS, NAME = "was", "name"
# Beyond this nobody fills in a form; what the API allows is less.
MOST = 500

_KEY = re.compile(r"([a-z]+)-(\d{1,6})-([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of rows. path: of the object that holds them by name. columns: by path in a row.

    also: what complaints may name besides, and has a control of its own making.
    """

    prefix: str
    path: str
    columns: tuple[Field, ...]
    also: tuple[str, ...] = ()

    def place_of(self, inner: str) -> str:
        """Return the column where a complaint about ``inner``, a path in a row, is shown."""
        name = inner.partition(".")[0]
        return name if self.column(name) or name in self.also else NAME

    def column(self, name: str) -> Field | None:
        return next((column for column in self.columns if column.path == name), None)


@dataclass(slots=True)
class Row:
    """One row as it stands in the form. stored: the JSON it was written from, if it was."""

    sort: Sort
    number: str
    texts: dict[str, str]
    stored: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.texts.get(NAME, "").strip()

    @property
    def was(self) -> str:
        return self.texts.get(WAS, "")

    @property
    def is_empty(self) -> bool:
        """Whether nobody has filled in anything; a choice without an empty one always is."""
        kept = [
            column.path
            for column in self.sort.columns
            if column.widget != "choice" or "" in dict(column.choices)
        ]
        return not self.was and not any(self.texts.get(name, "").strip() for name in kept)

    @property
    def header_base(self) -> str:
        """What the names of its headers' controls begin with."""
        return self.control("header")

    def control(self, column: str) -> str:
        return f"{self.sort.prefix}-{self.number}-{column}"

    def shown(self, complaints: Complaints) -> Iterator[Shown]:
        """Its controls, by the names that they have in the page."""
        for column in self.sort.columns:
            name = self.control(column.path)
            yield Shown(named(column, name), self.texts.get(column.path, ""), complaints.of(name))

    def value(self, complaints: Complaints) -> dict[str, Any]:
        """Return what the row says, without its name. What was not touched stays as stored."""
        found = dict(self.stored)
        for column in self.sort.columns:
            text = self.texts.get(column.path, "")
            if column.path == NAME or text == text_of_column(column, self.stored):
                continue
            try:
                value = value_of(self._widget(column), text)
            except Unreadable as exc:
                complaints.add(self.control(column.path), [str(exc)])
                continue
            found.pop(column.path, None)
            if value is not ABSENT:
                found[column.path] = value
        return found

    def _widget(self, column: Field) -> Widget:
        """How a column is read: a default is of the type that is chosen beside it."""
        of_type = _DEFAULTS if column.path == "default" else {}
        return of_type.get(self.texts.get("type", ""), column.widget)


_DEFAULTS: Mapping[str, Widget] = {"number": "number", "boolean": "choice"}


def named(column: Field, name: str) -> Field:
    """Return the column under the name that one row's control has."""
    return Field(name, *(getattr(column, member) for member in _MEMBERS))


_MEMBERS = [name for name in Field.__slots__ if name != "path"]


def text_of_column(column: Field, stored: Mapping[str, Any]) -> str:
    """Write what is stored of a column as it stands in a control."""
    value = stored.get(column.path, ABSENT)
    if column.widget == "choice" and value is ABSENT:
        return next(iter(column.choices))[0]
    return entered(text_of(column.widget, value))


def rows_stored(sort: Sort, stored: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """Return rows as they are stored."""
    found = []
    for number, (name, value) in enumerate(stored.items()):
        texts = {column.path: text_of_column(column, value) for column in sort.columns}
        found.append(Row(sort, str(number), {**texts, WAS: name, NAME: name}, value))
    return found


def rows_entered(
    sort: Sort, data: Mapping[str, str], stored: Mapping[str, Mapping[str, Any]]
) -> list[Row]:
    """Return rows as they were entered, those that nobody filled in left out."""
    columns = {WAS, *(column.path for column in sort.columns)}
    texts: dict[str, dict[str, str]] = {}
    for key, text in data.items():
        form = _KEY.fullmatch(key)
        if form and form[1] == sort.prefix and form[3] in columns and len(texts) <= MOST:
            texts.setdefault(form[2], {})[form[3]] = entered(text)
    rows = [
        Row(sort, number, found, stored.get(found.get(WAS, ""), {}))
        for number, found in texts.items()
    ]
    return [row for row in rows if not row.is_empty]


def names_check(rows: Iterable[Row], complaints: Complaints) -> None:
    """Complain about names that are missing or stand twice: an object cannot hold such rows."""
    seen: set[str] = set()
    for row in rows:
        if not row.name:
            complaints.add(row.control(NAME), ["Give it a name."])
        elif row.name in seen:
            complaints.add(row.control(NAME), ["Another one has this name."])
        seen.add(row.name)


def by_name(rows: Iterable[Row], complaints: Complaints) -> dict[str, Any]:
    """Return what the rows say, by their names."""
    return {row.name: row.value(complaints) for row in rows if row.name}


def place_in(rows: Iterable[Row], rest: str, texts: Iterable[str], complaints: Complaints) -> bool:
    """Show a complaint at the row that it names. rest: its path below the rows'.

    Returns whether there is one.
    """
    for row in sorted(rows, key=lambda row: -len(row.name)):
        if row.name and (rest == row.name or rest.startswith(f"{row.name}.")):
            column = row.sort.place_of(rest[len(row.name) + 1 :])
            complaints.add(row.control(column), texts)
            return True
    return False


_NAME = Field(NAME, "Name")

VARIABLES = Sort(
    "variables",
    "config.variables",
    (
        _NAME,
        Field("type", "Type", widget="choice", choices=chosen(TYPES)),
        Field("default", "Default"),
        Field("description", "What it is"),
    ),
)
TRANSFERS = Sort(
    "transfers",
    "config.transfers",
    (
        _NAME,
        Field("to", "Number or SIP address", placeholder="+4930123456"),
        Field("description", "When to choose it"),
        Field(
            "mode",
            "How",
            widget="choice",
            choices=(
                ("cold", "Put through at once"),
                ("warm", "They hear first what it is about"),
            ),
        ),
    ),
)
