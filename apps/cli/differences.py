"""What an account must change to be as a file says.

A file names what it cares about; the account has a value for everything. So only named members
are compared, with what the API would make of them: a file's null wants the member gone.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

# Collections of named things: a name that the file leaves out is to go.
WHOLE = frozenset({"webhook_tools", "config.variables"})

_NO_PARAMETERS: Final = {"type": "object", "properties": {}}
_LINE_CHARACTERS = 60


class Absent:
    """Stands for a member that is not there."""

    def __repr__(self) -> str:
        return "(none)"


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class Difference:
    """One member that is to change. before and after: JSON, or ABSENT."""

    path: str
    before: Any
    after: Any

    def as_json(self) -> dict[str, Any]:
        """Return it as a program reads it; null stands for what is not there."""
        before, after = (None if side is ABSENT else side for side in (self.before, self.after))
        return {"path": self.path, "before": before, "after": after}

    def as_lines(self) -> Iterator[str]:
        """Yield it as a person reads it; of texts with many lines, the lines that differ."""
        before, after = self.before, self.after
        if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
            yield f"{self.path}:"
            lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
            yield from (f"  {line}" for line in list(lines)[2:])
        else:
            yield f"{self.path}: {_short(before)} → {_short(after)}"


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[Difference]:
    """Yield what differs, in the order of ``wanted``; a list counts as one value."""
    if wanted is None:
        if not _is_empty(found):
            yield Difference(path, found, ABSENT)
    elif isinstance(wanted, Mapping) and (isinstance(found, Mapping) or found is ABSENT):
        there = found if isinstance(found, Mapping) else {}
        for name, value in wanted.items():
            yield from differences(value, there.get(name, ABSENT), _join(path, name))
        if path in WHOLE:
            for name in sorted(there.keys() - wanted.keys()):
                yield Difference(_join(path, name), there[name], ABSENT)
    elif not _same(wanted, found):
        yield Difference(path, found, wanted)


def removals(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``wanted`` as a merge patch: names that are to go become null."""
    return _removals(wanted, found, "")


def _removals(wanted: Mapping[str, Any], found: Any, path: str) -> dict[str, Any]:
    there = found if isinstance(found, Mapping) else {}
    patch = {
        name: _removals(value, there.get(name), _join(path, name))
        if isinstance(value, Mapping)
        else value
        for name, value in wanted.items()
    }
    if path in WHOLE:
        patch |= dict.fromkeys(there.keys() - wanted.keys())
    return patch


def _same(wanted: Any, found: Any) -> bool:
    """Compare as inside a list, where nothing merges: what is left out must be empty."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        shared = all(_same(value, found.get(name, ABSENT)) for name, value in wanted.items())
        return shared and all(_is_empty(found[name]) for name in found.keys() - wanted.keys())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(_same, wanted, found))
    if _is_empty(wanted):
        return _is_empty(found)
    if isinstance(wanted, str) and isinstance(found, bool | int | float):
        # The API takes numbers and truth values as texts, and answers what they mean.
        return _parsed(wanted) == found and isinstance(found, bool) == (wanted in _FLAGS)
    return bool(wanted == found) and isinstance(wanted, bool) == isinstance(found, bool)


_FLAGS = {"true": True, "false": False}


def _parsed(text: str) -> float | bool | None:
    try:
        return _FLAGS[text] if text in _FLAGS else float(text)
    except ValueError:
        return None


def _is_empty(value: Any) -> bool:
    """Tell whether a member says no more than one that was left out."""
    return value is ABSENT or value is None or value in ("", [], {}, _NO_PARAMETERS)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _short(value: Any) -> str:
    text = repr(value) if value is ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LINE_CHARACTERS else text[: _LINE_CHARACTERS - 1] + "…"
