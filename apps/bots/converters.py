"""How a version's number stands in a path."""

from __future__ import annotations


class VersionConverter:
    """1, 2, 3 …, as far as the column goes."""

    regex = "[1-9][0-9]{0,8}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)
