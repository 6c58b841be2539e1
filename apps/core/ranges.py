"""Parts of a thing: the one range that a request may ask for. Source: RFC 9110, section 14."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", re.IGNORECASE)


class NotSatisfiable(Exception):
    """The range lies outside of the thing."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a thing: ``size`` of them from ``first`` on."""

    first: int
    size: int

    def content_range(self, whole: int) -> str:
        """Return what ``Content-Range`` says, of a thing of so many bytes."""
        return f"bytes {self.first}-{self.first + self.size - 1}/{whole}"


def span_asked(header: str, whole: int) -> Span | None:
    """Read a ``Range`` header. None: answer the whole.

    That is so for what is no range in bytes, and for several at once, which nobody who plays sound
    asks for. Raises NotSatisfiable.
    """
    found = _ONE_RANGE.fullmatch(header.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:  # so many from the end
        first, last = max(0, whole - int(found[2])), whole - 1
        if not int(found[2]):
            raise NotSatisfiable
    else:
        first = int(found[1])
        last = min(int(found[2]), whole - 1) if found[2] else whole - 1
        if found[2] and int(found[2]) < first:
            return None
    if first >= whole:
        raise NotSatisfiable
    return Span(first, last - first + 1)
