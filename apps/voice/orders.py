"""What somebody outside the conversation wants the bot to do: an operator, or the platform."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

# Sentences that may wait for their turn; nobody who wants more is listening to the call.
WAITING: Final = 8
# Why an order is not taken.
ENDING, FULL = "ending", "full"


@dataclass(frozen=True, slots=True)
class Order:
    """Say something, and perhaps leave after that.

    interrupt: do not wait for the bot to finish; the caller is never interrupted. source: what the
    turn is written down as. then: what comes when the text has been heard; nothing stops that.
    target: whom a transfer is to, by a name that the transferrer knows. The text of a transfer may
    be empty.
    """

    text: str
    interrupt: bool = False
    source: str = "operator"
    then: Literal["stay", "leave", "transfer"] = "stay"
    target: str = ""


class Orders:
    """Those that wait for their turn, in order; who interrupts goes first."""

    def __init__(self) -> None:
        self._waiting: deque[Order] = deque()
        self.current = Order("")

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, order: Order) -> bool:
        """Queue one. False: too many wait."""
        if len(self._waiting) >= WAITING:
            return False
        if order.interrupt:
            ahead = sum(waiting.interrupt for waiting in self._waiting)
            self._waiting.insert(ahead, order)
        else:
            self._waiting.append(order)
        return True

    @property
    def interrupts(self) -> bool:
        """Whether the next one does not wait for the bot."""
        return bool(self._waiting) and self._waiting[0].interrupt

    def take(self) -> None:
        """Make the next one the current one."""
        self.current = self._waiting.popleft()

    def clear(self) -> int:
        """Forget those that wait; returns how many they were."""
        count = len(self._waiting)
        self._waiting.clear()
        return count
