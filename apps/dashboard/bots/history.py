"""What differs between two versions, as people read it: texts by their lines and words."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from apps.bots.models import TwilioConfigVersion
from apps.bots.presentation import version_changes
from apps.dashboard.wording import sendable

# Of more text in one place, lines are compared, not words.
WORDS_UP_TO = 4_000
LINES_UP_TO = 2_000
# Lines around a change that stay to be seen.
CONTEXT = 2

_WORD = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text. how: ``same``, ``old`` or ``new``."""

    how: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a diff. how: ``same``, ``old``, ``new``, or ``gap`` for lines left out."""

    how: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """A member that differs. lines: where both are texts of several lines or words; else before and
    after are written out, empty where there was nothing. secret: neither is shown."""

    path: str
    before: str = ""
    after: str = ""
    lines: tuple[Line, ...] = ()
    secret: bool = False


def changes_between(
    before: TwilioConfigVersion | None, after: TwilioConfigVersion
) -> list[Changed]:
    """Return what the later version changed. before: None for a bot's first."""
    return [_changed(change) for change in version_changes(before, after)]


def _changed(change: dict[str, Any]) -> Changed:
    path, old, new = change["path"], change["before"], change["after"]
    if path.startswith(("api_keys", "tool_headers")):
        return Changed(path, secret=True)
    texts = _written(old), _written(new)
    if all(texts) and any("\n" in text or len(text) > 60 for text in texts):
        return Changed(path, lines=tuple(lines_of(*texts)))
    return Changed(path, *texts)


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return sendable(value)
    indent = 2 if isinstance(value, list | dict) else None
    return sendable(json.dumps(value, ensure_ascii=False, indent=indent))


def lines_of(before: str, after: str) -> Iterator[Line]:
    """Yield the diff of two texts, line by line."""
    old, new = before.split("\n"), after.split("\n")
    # Very long texts are compared by lines that are rare: quicker, and good enough.
    few = max(len(old), len(new)) <= LINES_UP_TO
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=not few)
    for group in matcher.get_grouped_opcodes(CONTEXT):
        if group[0][1] or group[0][3]:
            yield Line("gap", ())
        for how, a, b, c, d in group:
            if how == "equal":
                yield from (Line("same", (Piece("same", line),)) for line in old[a:b])
            else:
                yield from _replaced(old[a:b], new[c:d])


def _replaced(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    before, after = _words("\n".join(old), "\n".join(new))
    for how, lines, pieces in (("old", old, before), ("new", new, after)):
        if lines:
            yield from (Line(how, tuple(line)) for line in _by_lines(pieces))


def _by_lines(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    line: list[Piece] = []
    for piece in pieces:
        first, *rest = piece.text.split("\n")
        line.append(Piece(piece.how, first))
        for text in rest:
            yield line
            line = [Piece(piece.how, text)]
    yield line


def _words(old: str, new: str) -> tuple[list[Piece], list[Piece]]:
    """Return both texts in pieces, what differs marked."""
    if max(len(old), len(new)) > WORDS_UP_TO:
        return [Piece("same", old)], [Piece("same", new)]
    a, b = _WORD.findall(old), _WORD.findall(new)
    before, after = [], []
    for how, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        mark = ("same", "same") if how == "equal" else ("old", "new")
        if i < j:
            before.append(Piece(mark[0], "".join(a[i:j])))
        if k < m:
            after.append(Piece(mark[1], "".join(b[k:m])))
    return before, after
