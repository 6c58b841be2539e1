"""The far end's buffer: what the bot sends is queued, played in real time, and marks answer it.

Source: Twilio's "Media Streams - WebSocket Messages" (media, mark, clear) and its error 31931.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum

from apps.simulator.timeline import Timeline
from apps.voice import g711
from apps.voice.ports import Clock, Timer

BUFFER_S = 600.0
_BYTES_PER_S = g711.BYTES_PER_MS * 1_000
# Timers of the event loop may fire up to a millisecond early.
_EARLY_S = 0.001


class Arrival(Enum):
    """What a piece of bot audio was to the listener."""

    STARTED = "started"  # first of a talk spurt
    CONTINUED = "continued"  # behind audio still being played
    RESUMED = "resumed"  # after an underrun: the listener heard a hole
    DISCARDED = "discarded"  # none of it fitted into the buffer


class Playout:
    """One stream's outbound audio, exact to the sample.

    Nothing ticks: audio is played without a break from the moment it arrives, or behind what is
    queued, so that the time at which each byte and each mark is due is known at once. ``echo`` is
    called with a mark's name when what was queued before it has been played, at once if nothing
    is queued, or when ``clear`` flushes it; always in order.
    """

    def __init__(
        self, clock: Clock, *, echo: Callable[[str], None], keep_audio: bool = True
    ) -> None:
        self.timeline = Timeline(keep_audio=keep_audio)
        self.discarded_s = 0.0
        self._clock = clock
        self._echo = echo
        self._marks: deque[tuple[float, str]] = deque()
        self._timer: Timer | None = None
        self._closed = False

    def buffered_s(self) -> float:
        """Seconds of audio not yet played."""
        return max(0.0, self.timeline.dry_at - self._clock.now())

    def media(self, audio: bytes) -> Arrival:
        """Queue audio (mu-law, any length). What goes past ten minutes of buffer is lost."""
        now = self._clock.now()
        room = int(max(0.0, BUFFER_S - self.buffered_s()) * _BYTES_PER_S + 0.5)
        if len(audio) > room:
            self.discarded_s += (len(audio) - room) / _BYTES_PER_S
            audio = audio[:room]
        if not audio or self._closed:
            return Arrival.DISCARDED
        return _ARRIVALS[self.timeline.add(now, audio)]

    def mark(self, name: str) -> None:
        """Take a mark behind what is queued."""
        if self._closed:
            return
        self._marks.append((self.timeline.dry_at, name))
        self._flush()

    def clear(self) -> float:
        """Drop what is queued, echo every mark. Returns the seconds of audio that were dropped."""
        dropped = self.timeline.cut(self._clock.now())
        while self._marks:
            self._echo(self._marks.popleft()[1])
        self._disarm()
        return dropped

    def close(self) -> None:
        """End the call: nothing more is played and no mark answers."""
        self._closed = True
        self._marks.clear()
        self._disarm()
        self.timeline.cut(self._clock.now())

    def _flush(self) -> None:
        now = self._clock.now()
        while self._marks and self._marks[0][0] <= now + _EARLY_S:
            self._echo(self._marks.popleft()[1])
        if self._marks and self._timer is None:
            self._timer = self._clock.call_at(self._marks[0][0], self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._flush()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_ARRIVALS = {
    Timeline.FIRST: Arrival.STARTED,
    Timeline.NEXT: Arrival.CONTINUED,
    Timeline.LATE: Arrival.RESUMED,
}
