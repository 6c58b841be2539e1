"""What differs between two JSON values, by path: for histories and for the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final


class Absent:
    """Stands for a member that is not there, which null is not."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class Change:
    """One member that differs. before and after: JSON, or ABSENT."""

    path: str
    before: Any
    after: Any


def changes(before: Any, after: Any, path: str = "") -> Iterator[Change]:
    """Yield what differs, in order of the paths.

    Objects are walked; a list counts as one value, because positions in it name nothing.
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            inner = f"{path}.{name}" if path else str(name)
            yield from changes(before.get(name, ABSENT), after.get(name, ABSENT), inner)
    elif isinstance(after, Mapping) and after and before is ABSENT:
        yield from changes({}, after, path)
    elif isinstance(before, Mapping) and before and after is ABSENT:
        yield from changes(before, {}, path)
    elif before != after or type(before) is not type(after):
        yield Change(path, before, after)
