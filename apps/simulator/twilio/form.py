"""The parameters of a request, in order and repeated as they came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True)
class Form:
    """Form fields, or the fields of a query. Empty ones count as given."""

    pairs: Sequence[tuple[str, str]] = ()

    @classmethod
    def parse(cls, encoded: str | bytes) -> Form:
        text = encoded.decode() if isinstance(encoded, bytes) else encoded
        return cls(tuple(parse_qsl(text, keep_blank_values=True)))

    def __contains__(self, name: object) -> bool:
        return any(known == name for known, _ in self.pairs)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.pairs))

    def get(self, name: str, default: str = "") -> str:
        """Return the last value of that name."""
        return next((value for known, value in reversed(self.pairs) if known == name), default)

    def every(self, name: str) -> list[str]:
        return [value for known, value in self.pairs if known == name]

    def asdict(self) -> dict[str, str | list[str]]:
        """Return the fields; those that came more than once as a list."""
        values = {name: self.every(name) for name in self}
        return {name: many if len(many) > 1 else many[0] for name, many in values.items()}
