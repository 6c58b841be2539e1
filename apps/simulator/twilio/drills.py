"""What goes wrong, and when: set before a request, spent by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["late", "early", "mute", "status", "refused", "reset", "stale"]


@dataclass(slots=True)
class Drill:
    """One thing that goes wrong with the next ``times`` requests of an operation.

    kind: the answer comes ``seconds`` late; a callback of the call comes before it (early); it
    never comes (mute); it is an HTTP error without Twilio's body (status); one of Twilio's own,
    nothing having been done (refused, with ``code``); the connection is reset; or it shows calls in
    the status before their present one (stale). done: whether Twilio does what it was asked for
    before that.
    """

    operation: str
    kind: Kind
    done: bool = True
    seconds: float = 0.0
    status: int = 503
    code: int = 20429
    times: int = 1


class Drills:
    """Whatever is set and not yet spent. Operations are named ``calls.create``, ``numbers.list``.

    Each method applies to creates of calls unless ``operation`` says otherwise; ``*`` is all.
    """

    def __init__(self) -> None:
        self.waiting: list[Drill] = []

    def add(self, drill: Drill) -> Drill:
        self.waiting.append(drill)
        return drill

    def late(self, seconds: float, operation: str = "calls.create", times: int = 1) -> None:
        """Do it, and answer that much later."""
        self.add(Drill(operation, "late", seconds=seconds, times=times))

    def early(self, operation: str = "calls.create", times: int = 1) -> None:
        """Do it, and answer when a callback was delivered. For calls that live by themselves."""
        self.add(Drill(operation, "early", times=times))

    def mute(self, *, done: bool = True, operation: str = "calls.create", times: int = 1) -> None:
        """Do it, or not, and never answer."""
        self.add(Drill(operation, "mute", done=done, times=times))

    def fails(
        self,
        status: int = 503,
        *,
        done: bool = True,
        operation: str = "calls.create",
        times: int = 1,
    ) -> None:
        """Do it, or not, and answer with a bare HTTP error."""
        self.add(Drill(operation, "status", done=done, status=status, times=times))

    def refuses(self, code: int = 20429, operation: str = "calls.create", times: int = 1) -> None:
        """Do nothing and answer with one of Twilio's errors."""
        self.add(Drill(operation, "refused", done=False, code=code, times=times))

    def resets(self, *, done: bool = True, operation: str = "calls.create", times: int = 1) -> None:
        """Do it, or not, and reset the connection."""
        self.add(Drill(operation, "reset", done=done, times=times))

    def stale(self, operation: str = "calls.get", times: int = 1) -> None:
        """Show calls as they were: Twilio's reads may lag behind its callbacks."""
        self.add(Drill(operation, "stale", times=times))

    def take(self, operation: str) -> Drill | None:
        """Spend what is set for this request."""
        for drill in self.waiting:
            if drill.operation in ("*", operation):
                drill.times -= 1
                if drill.times <= 0:
                    self.waiting.remove(drill)
                return drill
        return None

    def clear(self) -> None:
        self.waiting.clear()
