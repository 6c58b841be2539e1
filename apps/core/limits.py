"""How many of something in how long: a sliding window, counted in Django's cache.

Two fixed windows, the earlier one weighted by how much of it still lies within the sliding one: a
burst at the seam of two windows is not let through twice. Counting is atomic, so processes that
share a cache (REDIS_URL) share their counts.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from django.core.cache import cache
from redis import RedisError

logger = logging.getLogger(__name__)

# How long a cache that failed is left alone: asking a dead one costs its time-out every time.
REST_S = 5.0

_FORM = re.compile(r"(\d{1,9})/(second|minute|hour|day)")
_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}


@dataclass(frozen=True, slots=True)
class Limit:
    """So many in any window of so many seconds."""

    quota: int
    window_s: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What a limit says. remaining: how many more. reset_s: whole seconds, at least 1; until the
    next one is allowed, or, where one still is, until the present window ends."""

    allowed: bool
    remaining: int
    reset_s: int


@lru_cache(maxsize=16)
def limit_read(text: str) -> Limit | None:
    """Read ``600/minute``; an empty text or 0 is no limit at all. Raises ValueError."""
    if text in ("", "0"):
        return None
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError(f"{text!r} is no limit; 600/minute would be one.")
    return Limit(int(form[1]), _SECONDS[form[2]]) if int(form[1]) else None


def standing(limit: Limit, *, before: int, current: int, elapsed_s: float) -> Standing:
    """Say whether one more is allowed.

    before, current: how many the last and the present fixed window have had. elapsed_s: how long
    the present one has been open.
    """
    left_s = limit.window_s - elapsed_s
    free = limit.quota - before * left_s / limit.window_s - current
    if free >= 1:
        return Standing(True, math.floor(free) - 1, _whole(left_s))
    room = limit.quota - 1 - current
    if room >= 0:
        # It is the last window's share that must shrink.
        return Standing(False, 0, _whole(left_s - limit.window_s * room / before))
    # The present window alone is full; it must become the last one, and shrink.
    room = max(0, limit.quota - 1)
    return Standing(False, 0, _whole(left_s + limit.window_s * (1 - room / current)))


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))


class Meter:
    """Counts in the cache. Where that is down, nothing is counted and nothing refused.

    clock: seconds since the epoch; all processes that share a cache must agree about it.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._down = False
        self._rests_until = 0.0

    def take(self, limit: Limit, who: str) -> Standing | None:
        """Count one of ``who``, if it is allowed. None: the cache is down."""
        return self._asked(self._take, limit, who)

    def peek(self, limit: Limit, who: str) -> Standing | None:
        """Say how things stand, and count nothing. None: the cache is down."""
        return self._asked(self._peek, limit, who)

    def _take(self, limit: Limit, who: str) -> Standing:
        elapsed_s, last, present = self._windows(limit, who)
        before = int(cache.get(last, 0))
        # First counted, then judged: of many at once, no two may see the same last free place.
        counted = _increment(present, timeout_s=2 * limit.window_s)
        found = standing(limit, before=before, current=counted - 1, elapsed_s=elapsed_s)
        if not found.allowed:
            with suppress(ValueError):  # the window has gone meanwhile
                cache.decr(present)
        return found

    def _peek(self, limit: Limit, who: str) -> Standing:
        elapsed_s, last, present = self._windows(limit, who)
        known = cache.get_many([last, present])
        return standing(
            limit,
            before=int(known.get(last, 0)),
            current=int(known.get(present, 0)),
            elapsed_s=elapsed_s,
        )

    def _windows(self, limit: Limit, who: str) -> tuple[float, str, str]:
        number, elapsed_s = divmod(self.clock(), limit.window_s)
        name = f"limit:{who}:{limit.window_s}"
        return elapsed_s, f"{name}:{int(number) - 1}", f"{name}:{int(number)}"

    def _asked(
        self, ask: Callable[[Limit, str], Standing], limit: Limit, who: str
    ) -> Standing | None:
        if self.clock() < self._rests_until:
            return None
        try:
            found = ask(limit, who)
        except (RedisError, OSError) as exc:
            self._rests_until = self.clock() + REST_S
            if not self._down:
                logger.warning("The cache is down: requests are not limited", exc_info=exc)
            self._down = True
            return None
        self._down = False
        return found


def _increment(name: str, *, timeout_s: int) -> int:
    cache.add(name, 0, timeout_s)
    try:
        return cache.incr(name)
    except ValueError:
        # Thrown out between the two by a cache that is full: then counting begins anew.
        return 1


meter = Meter()
