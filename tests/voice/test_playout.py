"""Sending ahead, marks, and knowing what was heard."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from apps.voice.playout import BUFFER_BYTES, Playout
from tests.support.virtual_time import VirtualClock, in_virtual_time
from tests.voice.far_end import Ear

TEXT = "one two three four five six seven eight nine ten"


class LateClock(VirtualClock):
    """A clock of a busy machine: every timer of it is late, by up to 150 ms."""

    def __init__(self) -> None:
        super().__init__()
        self._late = random.Random(7)

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return super().call_at(when + self._late.uniform(0, 0.15), callback)


class Desk:
    """A playout with an ear at its other end. clock: the playout's."""

    def __init__(self, clock: VirtualClock | None = None) -> None:
        self.clock = clock or VirtualClock()
        self.ear = Ear(VirtualClock())
        self.started: list[float] = []
        self.played: list[float] = []
        self.gaps: list[float] = []
        self.playout = Playout(
            self.ear, self.clock, on_started=lambda: self.started.append(self.clock.now())
        )
        self.playout.on_played = lambda: self.played.append(self.clock.now())
        self.playout.on_underrun = self.gaps.append
        self.ear.echo = self.playout.echoed

    def speak(self, text: str, seconds: float) -> None:
        self.playout.open("model")
        self.playout.passage(text)
        self.playout.write(b"\x20" * int(seconds * 8_000))
        self.playout.end_passage()


@in_virtual_time
async def test_the_first_audio_goes_out_at_once() -> None:
    desk = Desk()
    desk.speak(TEXT, 2)
    assert desk.ear.pieces == [(desk.clock.now(), 2_400)]
    assert desk.started == [desk.clock.now()]


@in_virtual_time
async def test_it_stays_a_short_lead_ahead() -> None:
    desk = Desk()
    began = desk.clock.now()
    desk.speak(TEXT, 5)
    desk.playout.finish()
    await asyncio.sleep(6)
    sent = 0
    for at, size in desk.ear.pieces:
        assert sent / 8_000 >= at - began - 0.001
        sent += size
        assert sent / 8_000 <= at - began + 0.301
    assert sent == 40_000
    assert desk.gaps == []


@in_virtual_time
async def test_timers_that_are_late_neither_stretch_the_speech_nor_let_it_run_dry() -> None:
    desk = Desk(LateClock())
    began = desk.clock.now()
    desk.speak(TEXT, 15)
    desk.playout.finish()
    await asyncio.sleep(16)
    sent = 0
    for at, size in desk.ear.pieces:
        assert sent / 8_000 >= at - began - 0.001, "the ear had nothing to play"
        sent += size
    assert sent == 15 * 8_000
    assert desk.gaps == []
    assert desk.played == [pytest.approx(began + 15)]


@in_virtual_time
async def test_it_tells_when_everything_was_heard() -> None:
    desk = Desk()
    began = desk.clock.now()
    desk.speak(TEXT, 2)
    desk.playout.finish()
    await asyncio.sleep(3)
    assert desk.played == [pytest.approx(began + 2)]
    assert desk.playout.talk.heard(desk.clock.now()) == TEXT


@in_virtual_time
async def test_ragged_audio_goes_out_in_whole_frames() -> None:
    desk = Desk()
    desk.playout.open("model")
    desk.playout.passage("odd")
    for _ in range(99):
        desk.playout.write(b"\x20" * 7)
    desk.playout.finish()
    await asyncio.sleep(1)
    assert all(size % 160 == 0 for _, size in desk.ear.pieces)
    assert len(desk.ear.heard) == 800  # 693 bytes, filled up with silence


@in_virtual_time
@pytest.mark.parametrize("after", [0.1, 0.35, 0.9, 1.7])
async def test_a_cut_keeps_the_words_that_were_heard(after: float) -> None:
    desk = Desk()
    desk.speak(TEXT, 2)
    desk.playout.finish()
    await asyncio.sleep(after)
    desk.playout.cut()
    heard = desk.playout.talk.heard(desk.clock.now())
    assert TEXT.startswith(heard)
    assert len(heard) / len(TEXT) == pytest.approx(after / 2, abs=0.13)
    assert f"{heard} {desk.playout.talk.unheard(desk.clock.now())}".strip() == TEXT


@in_virtual_time
async def test_marks_flushed_by_a_cut_are_ignored() -> None:
    desk = Desk()
    desk.speak(TEXT, 2)
    desk.playout.finish()
    await asyncio.sleep(0.5)
    desk.playout.cut()
    before = desk.playout.talk.played_ms
    await asyncio.sleep(3)
    assert desk.playout.talk.played_ms == before
    assert desk.played == []


@in_virtual_time
async def test_a_late_mark_of_an_old_talk_does_not_end_the_new_one() -> None:
    desk = Desk()
    desk.speak("old", 1)
    desk.playout.finish()
    stale = next(iter(desk.playout.talk.marks))
    desk.playout.cut()
    desk.speak("new", 1)
    desk.playout.finish()
    desk.playout.echoed(stale)
    assert desk.played == []


@in_virtual_time
async def test_after_a_cut_no_timer_sends_anything() -> None:
    desk = Desk()
    desk.speak(TEXT, 5)
    await asyncio.sleep(0.5)
    desk.playout.cut()
    pieces = len(desk.ear.pieces)
    await asyncio.sleep(3)
    assert len(desk.ear.pieces) == pieces


@in_virtual_time
async def test_a_voice_that_is_too_slow_is_noticed() -> None:
    desk = Desk()
    desk.speak("one", 0.5)
    await asyncio.sleep(1)
    desk.speak("two", 0.5)
    assert desk.gaps == [pytest.approx(0.5)]


@in_virtual_time
async def test_a_broken_sentence_claims_only_what_its_audio_holds() -> None:
    desk = Desk()
    desk.playout.open("model")
    desk.playout.passage(TEXT)
    desk.playout.write(b"\x20" * 8_000)  # a second: 15 letters at 65 ms
    desk.playout.finish()
    await asyncio.sleep(2)
    assert desk.playout.talk.heard(desk.clock.now()) == "one two three"


@in_virtual_time
async def test_a_voice_far_ahead_of_the_ear_waits() -> None:
    desk = Desk()
    desk.speak(TEXT, BUFFER_BYTES / 8_000 + 1)
    assert not desk.playout.room.is_set()
    await asyncio.sleep(11.5)
    assert desk.playout.room.is_set()
    desk.playout.close()


@in_virtual_time
async def test_a_slow_peer_holds_audio_back_here() -> None:
    desk = Desk()
    desk.ear.backlog = lambda: 20  # type: ignore[method-assign]
    desk.speak(TEXT, 2)
    await asyncio.sleep(1)
    assert desk.ear.pieces == []
    desk.playout.close()


@in_virtual_time
async def test_silence_before_a_cut_needs_no_clear() -> None:
    desk = Desk()
    desk.playout.open("model")
    desk.playout.cut()
    assert desk.ear.cleared_at == []


@in_virtual_time
async def test_silence_before_the_first_sound_is_a_stage_of_its_own() -> None:
    desk = Desk()
    desk.playout.open("model")
    desk.playout.passage(TEXT)
    for audio in (b"\xff" * 800, b"\x7f\xfe" * 200, b"\x20" * 8_000, b"\xff" * 800):
        desk.playout.write(audio)
    desk.playout.finish()
    await asyncio.sleep(2)
    assert desk.playout.talk.last_stages() == {"lead_in": pytest.approx(150, abs=1)}


@in_virtual_time
async def test_the_way_to_the_ear_is_that_of_the_quickest_mark() -> None:
    desk = Desk()
    echoes: list[float] = []

    def back(name: str) -> None:
        late = (0.25, 0.12, 0.4)[min(len(echoes), 2)]
        echoes.append(late)
        desk.clock.call_at(desk.clock.now() + late, lambda: desk.playout.echoed(name))

    desk.ear.echo = back
    desk.speak(TEXT, 2)
    desk.playout.finish()
    await asyncio.sleep(3)
    assert len(echoes) > 3
    assert desk.playout.talk.last_stages() == {"network": pytest.approx(120, abs=1)}


@in_virtual_time
async def test_where_no_mark_came_back_the_way_is_not_known() -> None:
    desk = Desk()
    desk.speak(TEXT, 2)
    await asyncio.sleep(0.05)
    desk.playout.cut()
    await asyncio.sleep(1)
    assert desk.playout.talk.last_stages() == {}
