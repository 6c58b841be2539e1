"""Where the gap before an answer went, stage by stage; the parts add up to the whole."""

from __future__ import annotations

from collections.abc import Mapping

# In order. Each stage ends when its stamp is set; it began when the one before it ended.
STAGES = ("endpointing", "transcription", "tools", "model", "sentence", "voice", "line")
# What lies between the first audio sent and the first sound heard; measured by the playout.
LAST_STAGES = ("lead_in", "network")


class Stopwatch:
    """Stamps of one answer, in seconds of the clock. The first stamp of a stage counts.

    One that a later stage has overtaken does not: tools that run after the model's first words are
    no part of the gap before them.
    """

    def __init__(self, began: float) -> None:
        self._began = began
        self._stamps: dict[str, float] = {}

    def stamp(self, stage: str, now: float) -> None:
        if self._stamps.keys().isdisjoint(STAGES[STAGES.index(stage) :]):
            self._stamps[stage] = now

    def stages_ms(self) -> Mapping[str, float]:
        """Return the length of every stage that was reached, in ms, in order."""
        found = {}
        before = self._began
        for stage in STAGES:
            at = self._stamps.get(stage)
            if at is not None:
                found[stage] = round((at - before) * 1_000, 1)
                before = max(before, at)
        return found
