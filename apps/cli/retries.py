"""When a request is sent again, and after how long."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Protocol

ATTEMPTS = 5
FIRST_WAIT_S = 0.5
# Of one wait. A server that asks for more is taken at its word: the command ends and says so.
LONGEST_WAIT_S = 60.0

_CONFLICT = 409
_UNDONE = frozenset({429})
_PASSING = frozenset({429, 502, 503, 504})
_IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})


class Clock(Protocol):
    """Time as the retries see it."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""


class WallClock:
    """The real one."""

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def is_repeatable(method: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request whose outcome is unknown may be sent again.

    Not with If-Match: had the first been carried out, the second would be refused as stale, and
    one's own write would look like someone else's.
    """
    if "If-Match" in headers:
        return False
    return method in _IDEMPOTENT or "Idempotency-Key" in headers


def is_passing(status: int, method: str, headers: Mapping[str, str], attempt: int) -> bool:
    """Tell whether an answer to attempt 1, 2, … is worth another."""
    if status == _CONFLICT:
        # Of a repeated create: the first is still under way, and its answer is what we want.
        return attempt > 1 and "Idempotency-Key" in headers
    return status in (_PASSING if is_repeatable(method, headers) else _UNDONE)


def wait_s(attempt: int, retry_after: str | None, now_s: float) -> float | None:
    """Return how long to wait after attempt 1, 2, …; None to give up.

    retry_after: the header, in seconds or as a date; without one the wait doubles, with a random
    part so that many clients do not return at once.
    """
    if attempt >= ATTEMPTS:
        return None
    asked_s = _retry_after_s(retry_after, now_s)
    if asked_s is None:
        asked_s = FIRST_WAIT_S * 2 ** (attempt - 1) * random.uniform(0.5, 1)
    return asked_s if asked_s <= LONGEST_WAIT_S else None


def _retry_after_s(header: str | None, now_s: float) -> float | None:
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now_s)
    except (ValueError, OverflowError):
        return None
