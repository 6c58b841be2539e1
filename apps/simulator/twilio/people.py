"""Who is at the other end of a number, and what they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from apps.simulator.script import Act, HangUp, Scene, Script, Step

Temper = Literal["answers", "machine", "fax", "busy", "silent", "rejects", "unreachable", "fails"]

# How the callee's side refuses: the call's status, and the SIP code.
REFUSALS: dict[str, tuple[str, int]] = {
    "busy": ("busy", 486),
    "rejects": ("busy", 603),
    "unreachable": ("failed", 404),
    "fails": ("failed", 503),
}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a phone.

    temper: ``silent`` lets it ring; a machine and a fax answer. after_s: rings before they answer
    or refuse. script: what they do in a stream (``simulator.script``). hang_up_after_s: from the
    answer. greeting_s: a machine's, and whether it ends with a beep. answered_by: what machine
    detection makes of them, if it errs.
    """

    temper: Temper = "answers"
    after_s: float = 2.0
    script: Sequence[Step] = ()
    hang_up_after_s: float = float("inf")
    greeting_s: float = 3.0
    beep: bool = True
    answered_by: str = ""

    def detected(self, *, to_the_end: bool) -> str:
        """Say what machine detection says, at once or at the greeting's end."""
        if self.answered_by or self.temper == "fax":
            return self.answered_by or "fax"
        if self.temper != "machine":
            return "human"
        if not to_the_end:
            return "machine_start"
        return "machine_end_beep" if self.beep else "machine_end_silence"


class LiveScript(Script):
    """A person's script, which lasts longer than a stream and takes orders while it runs."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__(steps)
        self._orders: list[Act] = []

    def order(self, act: Act) -> None:
        """Have it done with the next frame."""
        self._orders.append(act)

    def rejoin(self) -> None:
        """Begin the present step anew: another stream has another time."""
        self._entered = None
        self._orders.clear()

    def advance(self, now: Scene) -> list[Act]:
        orders, self._orders = self._orders, []
        if any(isinstance(one, HangUp) for one in orders):
            return orders
        return [*orders, *super().advance(now)]


@dataclass(slots=True)
class Heard:
    """Something that the line carried. at_s: since the call began.

    kind: say, play, digits, pause, stream, bridge, ring. what: the text, the URL, the digits.
    """

    at_s: float
    kind: str
    what: str = field(default="")
