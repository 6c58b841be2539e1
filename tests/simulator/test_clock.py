"""Virtual time."""

from __future__ import annotations

from apps.simulator.clock import VirtualClock


def test_callbacks_run_at_their_time_and_in_order() -> None:
    clock = VirtualClock()
    ran: list[tuple[str, float]] = []
    for name, when in (("late", 2.0), ("early", 1.0), ("second", 1.0)):
        clock.call_at(when, lambda name=name: ran.append((name, clock.now())))  # type: ignore[misc]
    clock.advance(1.5)
    assert ran == [("early", 1.0), ("second", 1.0)]
    clock.advance(1.0)
    assert ran[-1] == ("late", 2.0)
    assert clock.now() == 2.5


def test_a_cancelled_callback_does_not_run() -> None:
    clock = VirtualClock()
    ran: list[int] = []
    clock.call_at(1.0, lambda: ran.append(1)).cancel()
    clock.advance(2.0)
    assert ran == []


def test_a_callback_may_set_another() -> None:
    clock = VirtualClock()
    ran: list[float] = []

    def again() -> None:
        clock.call_at(1.5, lambda: ran.append(clock.now()))

    clock.call_at(1.0, again)
    clock.advance(2.0)
    assert ran == [1.5]
