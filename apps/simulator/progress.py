"""Tells a person what is going on in a simulated call, line by line."""

from __future__ import annotations

from collections.abc import Callable

from apps.simulator.caller import Said
from apps.simulator.observer import Observer
from apps.simulator.timeline import Hole


class Progress(Observer):
    """Writes one line for each thing that a listener would notice. Times count from ``start``."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._start_s = 0.0
        self._bot_s = 0.0

    def stream_started(self, at_s: float) -> None:
        self._start_s = at_s
        self._line(at_s, "the stream has started")

    def caller_started(self, at_s: float, said: Said) -> None:
        length_ms = said.to_ms - said.from_ms
        self._line(at_s, f"caller speaks for {length_ms:.0f} ms: {said.speech.label}")

    def bot_started(self, at_s: float) -> None:
        self._bot_s = at_s
        self._line(at_s, "bot speaks")

    def bot_stopped(self, at_s: float) -> None:
        self._line(at_s, f"bot is silent after {(at_s - self._bot_s) * 1_000:.0f} ms")

    def underrun(self, at_s: float, hole: Hole) -> None:
        self._line(at_s, f"the bot's audio ran dry for {hole.length_s * 1_000:.0f} ms")

    def cleared(self, at_s: float, dropped_s: float) -> None:
        self._line(at_s, f"bot was stopped, {dropped_s * 1_000:.0f} ms unheard")

    def call_ended(self, at_s: float, by: str) -> None:
        self._line(at_s, f"the call has ended ({by})")

    def _line(self, at_s: float, text: str) -> None:
        self._write(f"{at_s - self._start_s:7.2f} s  {text}")
