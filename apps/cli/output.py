"""Prints answers: tables and text for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Wider than any row: what goes to a file or a pipe is not cut.
_UNCUT = 100_000
GAP = 2
NARROW = 10
# A transcript is a stranger's words; on a terminal they must not become commands to it.
_CONTROLS = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)), "�")
_IN_JSON = {code: f"\\u{code:04x}" for code in range(127, 160)}


def plain(value: Any) -> str:
    """Return a value as a cell: nothing for null, no control characters."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = value if isinstance(value, str) else _compact(value)
    return text.translate(_CONTROLS)


def _compact(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)


def fit(natural: Sequence[int], room: int) -> list[int]:
    """Return the columns' widths so that a row fits into ``room``.

    The widest is narrowed first, but none below NARROW and the first not at all; where that does
    not do, the last columns are left out.
    """
    widths = list(natural)
    while len(widths) > 1 and sum(widths) + GAP * (len(widths) - 1) > room:
        widest = max(range(1, len(widths)), key=widths.__getitem__)
        if widths[widest] > NARROW:
            widths[widest] -= 1
        else:
            widths = list(natural[: len(widths) - 1])
    return widths


class Output:
    """Standard output and standard error of one command."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        terminal = sys.stdout.isatty()
        self._out = Console(
            highlight=False, markup=False, emoji=False, width=None if terminal else _UNCUT
        )

    def json(self, answer: Any) -> None:
        """Print JSON; ASCII alone where the terminal has no more."""
        utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        text = json.dumps(answer, indent=2, ensure_ascii=not utf8)
        sys.stdout.write(text.translate(_IN_JSON) + "\n")

    def line(self, text: str = "", style: str = "") -> None:
        """Print text as it is, however long."""
        self._out.print(Text(text.translate(_CONTROLS), style), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Print rows under headings, fit to the terminal's width; the first column stays whole."""
        cells = [[plain(value).replace("\n", " ") for value in row] for row in rows]
        natural = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
        widths = fit(natural, self._out.width)
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        for column, width in zip(columns, widths, strict=False):
            table.add_column(column, no_wrap=True, overflow="ellipsis", width=width)
        for row in cells:
            table.add_row(*map(Text, row[: len(widths)]))
        self._out.width = max(self._out.width, widths[0])  # or rich would cut the first column
        self._out.print(table)

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Print names and values, one a line; empty ones are left out."""
        shown = {name: plain(value) for name, value in facts.items()}
        width = max((len(name) for name, text in shown.items() if text), default=0)
        for name, text in shown.items():
            if text:
                self.line(f"{name:{width}}  {text}")

    def note(self, text: str) -> None:
        """Tell the person, not the pipe."""
        sys.stderr.write(text.translate(_CONTROLS) + "\n")

    def trace(self, text: str) -> None:
        """Tell what happens on the wire, if asked to."""
        if self._verbose:
            self.note(text)
