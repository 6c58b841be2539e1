"""Rows of the editor: who takes over for a slot's provider, one after the other.

They have no names; their order on the page is the chain's. ``was`` is the place under which a row
is stored, so that the options which have no control here stay with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.core.changes import ABSENT
from apps.dashboard.bots.fields import Complaints, Field
from apps.dashboard.bots.merging import put
from apps.dashboard.bots.parts import provider_field
from apps.dashboard.bots.rows import Row, Sort, rows_entered, rows_stored
from apps.providers.base import Kind

PROVIDER = "provider"
_COLUMNS: Mapping[Kind, tuple[Field, ...]] = {
    "llm": (Field("model", "Its model"),),
    "tts": (
        Field("model", "Its model"),
        Field("voice", "Its voice"),
        Field("language", "Its language"),
    ),
    "stt": (Field("model", "Its model"), Field("language", "Its language")),
}


@dataclass(frozen=True, slots=True)
class Chain:
    """A slot's rows."""

    kind: Kind
    sort: Sort
    rows: list[Row]

    def apply(self, wanted: dict[str, Any], complaints: Complaints) -> None:
        """Write into a body what the rows say."""
        found = [_value(row, complaints) for row in self.rows]
        put(wanted, self.sort.path, found or ABSENT)

    def place(
        self,
        path: str,
        texts: Sequence[str],
        complaints: Complaints,
        listed: Sequence[Mapping[str, Any]] | None = None,
    ) -> bool:
        """Show a complaint at its row, or above them. Returns whether it is of this chain.

        listed: the chain that the complaint is about, where it holds rows of somebody else too.
        """
        if path != self.sort.path and not path.startswith(f"{self.sort.path}."):
            return False
        number, _, inner = path[len(self.sort.path) + 1 :].partition(".")
        row = self._at(int(number), listed) if number.isdigit() else None
        if row is not None:
            member = inner.partition(".")[0]
            column = member if self.sort.column(member) else PROVIDER
            complaints.add(row.control(column), texts)
        else:
            complaints.add(self.sort.prefix, texts)
        return True

    def _at(self, number: int, listed: Sequence[Mapping[str, Any]] | None) -> Row | None:
        if listed is None:
            return self.rows[number] if number < len(self.rows) else None
        mine = chain_keys({PROVIDER: row.texts.get(PROVIDER, "")} for row in self.rows)
        theirs = chain_keys(listed)
        found = dict(zip(mine, self.rows, strict=True))
        return found.get(theirs[number]) if number < len(theirs) else None


def chain_keys(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name fallbacks, by their provider and how many of it stand before."""
    seen: Counter[str] = Counter()
    found = []
    for row in rows:
        provider = str(row.get(PROVIDER, ""))
        found.append(f"{provider}.{seen[provider]}")
        seen[provider] += 1
    return found


def chain_of(
    kind: Kind,
    native: Mapping[str, Any],
    catalogue: Iterable[Mapping[str, Any]],
    data: Mapping[str, str] | None,
) -> Chain:
    """Return a slot's chain as it is stored, or, with ``data``, as it was entered."""
    known = provider_field(kind, [one for one in catalogue if not one["speaks"]])
    takes_over = Field(
        PROVIDER, "Takes over", widget="choice", choices=(("", "Choose"), *known.choices)
    )
    sort = Sort(f"{kind}fallbacks", f"config.{kind}.fallbacks", (takes_over, *_COLUMNS[kind]))
    listed = native["config"][kind].get("fallbacks", [])
    stored = {str(place): found for place, found in enumerate(listed)}
    rows = rows_stored(sort, stored) if data is None else rows_entered(sort, data, stored)
    return Chain(kind, sort, rows)


def _value(row: Row, complaints: Complaints) -> dict[str, Any]:
    found = row.value(complaints)
    if row.stored and found.get(PROVIDER) != row.stored.get(PROVIDER):
        # Its options were the old provider's.
        return {name: value for name, value in found.items() if row.sort.column(name)}
    return found
