"""A request as an operation sees it, and whom it tells of calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from apps.simulator.twilio.form import Form
from apps.simulator.twilio.state import Account, Call, World


class Network(Protocol):
    """Where calls live. Called on the event loop, after the call's row was written."""

    def placed(self, call: Call) -> None:
        """A call was asked for; it is queued."""

    def redirected(self, call: Call, form: Form) -> None:
        """A live call gets another document: ``Twiml``, or ``Url`` with its fallback."""

    def ended(self, call: Call, status: str) -> None:
        """REST ends a call: completed or canceled."""


class ByHand:
    """A network in which nothing happens by itself: tests move the calls."""

    def __init__(self, world: World) -> None:
        self._world = world

    def placed(self, call: Call) -> None:
        pass

    def redirected(self, call: Call, form: Form) -> None:
        call.facts["redirected"] = form.asdict()

    def ended(self, call: Call, status: str) -> None:
        self._world.call_move(call, status)


@dataclass(frozen=True, slots=True)
class Ask:
    """account: the one in the path. form: the body; query: of the URL. sid: of the resource."""

    world: World
    network: Network
    account: Account
    operation: str
    path: str
    sid: str
    form: Form = field(repr=False)
    query: Form = field(repr=False)

    def finding(self, what: str) -> None:
        self.world.finding(self.operation, what)


Answer = tuple[int, dict[str, Any] | None]
