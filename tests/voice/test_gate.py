"""From windows to the edges of speech."""

from __future__ import annotations

import pytest

from apps.voice.gate import Edge, SpeechGate
from apps.voice.ports import Window
from apps.voice.settings import TurnSettings


class Windows:
    """Feeds a gate and remembers the edges and where they came."""

    def __init__(self, **settings: float) -> None:
        self.gate = SpeechGate(TurnSettings(**settings))  # type: ignore[arg-type]
        self.at_ms = 0.0
        self.edges: list[tuple[Edge, float]] = []

    def feed(self, count: int, *, probability: float = 1.0, level_db: float = -20.0) -> None:
        for _ in range(count):
            self.at_ms += 32
            edge = self.gate.window(Window(probability, level_db, self.at_ms))
            if edge:
                self.edges.append((edge, self.at_ms))


def test_speech_starts_after_start_secs() -> None:
    windows = Windows(start_secs=0.12)
    windows.feed(10)
    assert windows.edges == [(Edge.STARTED, 128.0)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_click_starts_nothing(count: int) -> None:
    windows = Windows(start_secs=0.12)
    for _ in range(10):
        windows.feed(count)
        windows.feed(4, probability=0.0)
    assert windows.edges == []


def test_a_short_dip_does_not_restart_the_onset() -> None:
    windows = Windows(start_secs=0.12)
    windows.feed(2)
    windows.feed(1, probability=0.0)
    windows.feed(2)
    assert [edge for edge, _ in windows.edges] == [Edge.STARTED]


def test_quiet_sound_is_not_speech() -> None:
    windows = Windows(min_volume=0.5)
    windows.feed(20, level_db=-60.0)
    assert windows.edges == []


def test_speech_pauses_and_then_ends() -> None:
    windows = Windows(stop_secs=0.3)
    windows.feed(10)
    windows.feed(12, probability=0.0)
    assert [edge for edge, _ in windows.edges] == [Edge.STARTED, Edge.PAUSED, Edge.ENDED]
    # The last speech window ends at 320 and its middle counts: 304 + 300 lies in the 608 window.
    assert windows.edges[-1][1] == 608


def test_a_pause_inside_a_sentence_is_resumed() -> None:
    windows = Windows(stop_secs=0.3)
    windows.feed(10)
    windows.feed(6, probability=0.0)
    windows.feed(3)
    assert [edge for edge, _ in windows.edges] == [Edge.STARTED, Edge.PAUSED, Edge.RESUMED]


def test_a_weaker_window_keeps_speech_going() -> None:
    windows = Windows(confidence=0.5)
    windows.feed(10)
    windows.feed(20, probability=0.4)
    assert [edge for edge, _ in windows.edges] == [Edge.STARTED]


def test_a_frame_ends_speech_before_the_next_window_does() -> None:
    windows = Windows(stop_secs=0.3)
    windows.feed(10)
    windows.feed(8, probability=0.0)
    assert windows.gate.reached(603.9) is None
    assert windows.gate.reached(604.0) is Edge.ENDED
    assert windows.gate.reached(620.0) is None


def test_a_detector_that_is_behind_is_waited_for() -> None:
    windows = Windows(stop_secs=0.3)
    windows.feed(10)
    windows.feed(3, probability=0.0)
    assert windows.gate.reached(1_000.0) is None


def test_echo_of_the_bot_is_below_the_floor() -> None:
    windows = Windows()
    windows.gate.floor_db = -36.0
    windows.feed(20, level_db=-40.0)
    assert windows.edges == []
    windows.feed(5, level_db=-25.0)
    assert [edge for edge, _ in windows.edges] == [Edge.STARTED]
