"""How values are spread: counts in buckets, out of which percentiles are read. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

# A bucket is as wide as a sixteenth of the power of two below it; up to 32 each value has its own.
_BITS = 5


def bucket(ms: int) -> int:
    """Return the middle of a value's bucket: within 3.2 % of every value in it. ms: not negative.

    A bucket's middle lies in the same bucket.
    """
    shift = max(0, ms.bit_length() - _BITS)
    return ms if not shift else (ms >> shift << shift) + (1 << shift >> 1)


@dataclass(frozen=True, slots=True)
class Spread:
    """Counts by the middle of their bucket, in ms. Two add up to the spread of both."""

    counts: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, counted: Iterable[tuple[int, int]]) -> Spread:
        """counted: values in ms, and how often each was seen."""
        found: Counter[int] = Counter()
        for ms, count in counted:
            found[bucket(ms)] += count
        return cls(found)

    def __add__(self, other: Spread) -> Spread:
        return Spread(Counter(self.counts) + Counter(other.counts))

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def quantile(self, share: float) -> int | None:
        """Return the value by nearest rank, within 3.2 %; None if there is none. share: above 0."""
        rank = math.ceil(share * self.count)
        for middle in sorted(self.counts):
            rank -= self.counts[middle]
            if rank <= 0:
                return middle
        return None

    @property
    def p50(self) -> int | None:
        return self.quantile(0.5)

    @property
    def p95(self) -> int | None:
        return self.quantile(0.95)
