"""The buffer at the far end, in virtual time."""

from __future__ import annotations

import pytest

from apps.simulator.clock import VirtualClock
from apps.simulator.playout import Arrival, Playout
from tests.simulator.conftest import tone


class Far:
    """A playout and the marks that it echoed, each with its time."""

    def __init__(self) -> None:
        self.clock = VirtualClock(100.0)
        self.echoes: list[tuple[str, float]] = []
        self.playout = Playout(self.clock, echo=self._echo)

    def _echo(self, name: str) -> None:
        self.echoes.append((name, round(self.clock.now() - 100.0, 6)))


@pytest.fixture
def far() -> Far:
    return Far()


def test_a_mark_echoes_when_what_came_before_it_was_played(far: Far) -> None:
    far.playout.media(tone(300))
    far.playout.mark("a")
    far.playout.media(tone(200))
    far.playout.mark("b")
    far.clock.advance(0.299)
    assert far.echoes == []
    far.clock.advance(1)
    assert far.echoes == [("a", 0.3), ("b", 0.5)]


def test_a_mark_echoes_at_once_when_nothing_is_buffered(far: Far) -> None:
    far.playout.mark("a")
    assert far.echoes == [("a", 0.0)]


def test_a_clear_echoes_every_mark_at_once_and_in_order(far: Far) -> None:
    for name in "abc":
        far.playout.media(tone(500))
        far.playout.mark(name)
    far.clock.advance(0.7)
    assert far.playout.clear() == pytest.approx(0.8)
    assert far.echoes == [("a", 0.5), ("b", 0.7), ("c", 0.7)]
    far.clock.advance(5)
    assert len(far.echoes) == 3


def test_what_comes_after_a_clear_is_played_at_once(far: Far) -> None:
    far.playout.media(tone(5_000))
    far.clock.advance(1)
    far.playout.clear()
    assert far.playout.media(tone(100)) is Arrival.STARTED
    far.playout.mark("b")
    far.clock.advance(1)
    assert far.echoes == [("b", 1.1)]
    first, second = far.playout.timeline.spurts
    assert (first.end_s, first.cut, second.start_s) == (101.0, True, 101.0)


def test_a_mark_after_a_clear_does_not_wait_for_the_time_of_one_before_it(far: Far) -> None:
    far.playout.media(tone(5_000))
    far.playout.mark("flushed")
    far.playout.clear()
    far.playout.media(tone(100))
    far.playout.mark("next")
    far.clock.advance(10)
    assert far.echoes == [("flushed", 0.0), ("next", 0.1)]


def test_more_than_ten_minutes_is_discarded(far: Far) -> None:
    minute = b"\x00" * 480_000
    arrivals = [far.playout.media(minute) for _ in range(11)]
    assert arrivals[9:] == [Arrival.CONTINUED, Arrival.DISCARDED]
    assert far.playout.discarded_s == 60.0
    far.clock.advance(30)
    far.playout.media(minute)
    assert far.playout.buffered_s() == 600.0
    assert far.playout.discarded_s == 90.0


def test_a_buffer_that_runs_dry_and_is_filled_again_soon_is_an_underrun(far: Far) -> None:
    far.playout.media(tone(200))
    far.clock.advance(0.35)
    assert far.playout.media(tone(200)) is Arrival.RESUMED
    (hole,) = far.playout.timeline.underruns
    assert (hole.start_s, hole.length_s) == pytest.approx((100.2, 0.15))
    assert len(far.playout.timeline.spurts) == 1


def test_audio_behind_audio_is_no_underrun(far: Far) -> None:
    arrivals = []
    for _ in range(50):
        arrivals.append(far.playout.media(tone(20)))
        far.clock.advance(0.02)
    assert set(arrivals[1:]) == {Arrival.CONTINUED}
    assert far.playout.timeline.underruns == []


def test_audio_after_a_long_silence_is_a_new_talk_spurt(far: Far) -> None:
    far.playout.media(tone(200))
    far.clock.advance(0.601)
    assert far.playout.media(tone(200)) is Arrival.STARTED
    assert far.playout.timeline.underruns == []
    assert [spurt.underruns for spurt in far.playout.timeline.spurts] == [0, 0]


def test_audio_soon_after_a_clear_is_no_underrun(far: Far) -> None:
    far.playout.media(tone(200))
    far.playout.clear()
    far.clock.advance(0.1)
    far.playout.media(tone(200))
    assert far.playout.timeline.underruns == []


def test_the_recording_holds_what_was_heard_when_it_was_heard(far: Far) -> None:
    audio = tone(1_000)
    far.clock.advance(0.5)
    far.playout.media(audio)
    far.clock.advance(0.25)
    far.playout.clear()
    heard = far.playout.timeline.heard(100.0, 101.0)
    assert heard == b"\xff" * 4_000 + audio[:2_000] + b"\xff" * 2_000


def test_a_closed_stream_plays_and_echoes_nothing(far: Far) -> None:
    far.playout.media(tone(1_000))
    far.playout.mark("a")
    far.clock.advance(0.4)
    far.playout.close()
    far.playout.mark("b")
    assert far.playout.media(tone(20)) is Arrival.DISCARDED
    far.clock.advance(5)
    assert far.echoes == []
    assert far.playout.timeline.spurts[0].end_s == pytest.approx(100.4)


def test_it_can_do_without_keeping_the_audio() -> None:
    clock = VirtualClock()
    playout = Playout(clock, echo=lambda _name: None, keep_audio=False)
    playout.media(tone(1_000))
    clock.advance(0.5)
    assert playout.clear() == pytest.approx(0.5)
    assert playout.timeline.spurts[0].end_s == pytest.approx(0.5)
