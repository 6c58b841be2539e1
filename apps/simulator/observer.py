"""What can be watched while a simulated call runs. Times are seconds of the call's clock."""

from __future__ import annotations

from apps.simulator.caller import Said
from apps.simulator.timeline import Hole


class Observer:
    """Hears of everything and does nothing: override what matters.

    Called on the event loop, in the middle of the call: return at once. ``frame_sent`` comes fifty
    times a second.
    """

    def stream_started(self, at_s: float) -> None:
        """``start`` has been sent; the call's own time counts from here."""

    def frame_sent(self, at_s: float, index: int) -> None:
        """The caller's frame number ``index`` (0, 1, 2 …) goes out."""

    def frame_lost(self, at_s: float, index: int) -> None:
        """The server did not read, so this frame was thrown away (31930)."""

    def caller_started(self, at_s: float, said: Said) -> None:
        """The caller begins to speak with the next frame."""

    def caller_stopped(self, at_s: float, said: Said) -> None:
        """The last frame of that speech has been sent."""

    def bot_started(self, at_s: float) -> None:
        """The first audio of a talk spurt arrived, and is heard at once."""

    def bot_stopped(self, at_s: float) -> None:
        """The talk spurt is over; at_s is when its last audio was heard."""

    def underrun(self, at_s: float, hole: Hole) -> None:
        """The buffer ran dry in the middle of a talk spurt; now it goes on."""

    def cleared(self, at_s: float, dropped_s: float) -> None:
        """A ``clear`` arrived and dropped so much audio."""

    def call_ended(self, at_s: float, by: str) -> None:
        """The call is over. by: script, server, dropped or timeout."""
