"""How long things take: a clock that may run fast, and the habits of the network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from apps.voice.ports import Clock, Timer

Stop = Literal["sent", "lost", "reset"]
_TEXT_S = 0.06  # Twilio's voice says some 16 characters a second


class FastClock:
    """Implements ``ports.Clock``: another clock, ``speed`` times as fast."""

    def __init__(self, clock: Clock, speed: float) -> None:
        self._clock = clock
        self._speed = speed
        self._start = clock.now()

    def now(self) -> float:
        return self._start + (self._clock.now() - self._start) * self._speed

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        return self._clock.call_at(self._start + (when - self._start) / self._speed, callback)


@dataclass(slots=True)
class Habits:
    """What the network takes its time for, in seconds of its clock.

    detect_s: until machine detection has decided (6.9 s were measured on the real one). act_on:
    whether a <Connect> whose stream never began asks its ``action`` (Twilio does not say). stop:
    what a stream's server gets when the call ends: ``stop`` and a close frame, the close frame
    alone, or a reset.
    """

    detect_s: float = 4.0
    setup_s: float = 0.5
    fetch_error_text: str = "We are sorry, an application error has occurred. Goodbye."
    action_after_refusal: bool = True
    time_limit_s: float = 14_400.0
    stop: Stop = "sent"


async def sleep(clock: Clock, seconds: float) -> None:
    """Wait by that clock."""
    if seconds <= 0:
        await asyncio.sleep(0)
        return
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ring() -> None:
        if not done.done():
            done.set_result(None)

    timer = clock.call_at(clock.now() + seconds, ring)
    try:
        await done
    finally:
        timer.cancel()


def wall(clock: Clock) -> Callable[[], datetime]:
    """Return a wall clock that runs as fast as the other."""
    began, at = datetime.now(UTC), clock.now()
    return lambda: began + timedelta(seconds=clock.now() - at)


def speaking_s(text: str) -> float:
    return len(text) * _TEXT_S
