"""A recording has every sound where it was heard: measured on the audio, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from apps.simulator.clock import VirtualClock
from apps.voice import g711
from apps.voice.playout import Playout
from apps.voice.ports import Clock, Timer
from apps.voice.recording import RecordedLine, Recorder
from apps.voice.stereo import pcm_write, tracks_of

RATE = 8_000
FRAME = 160
Track = npt.NDArray[np.float64]


class Tape:
    """Takes a recorder's pieces, or refuses them."""

    def __init__(self) -> None:
        self.log = bytearray()
        self.pieces = 0
        self.largest = 0
        self.full = False

    def take(self, piece: bytes) -> bool:
        if self.full:
            return False
        self.log += piece
        self.pieces += 1
        self.largest = max(self.largest, len(piece))
        return True

    def sound(self) -> tuple[Track, Track]:
        """Return the caller's and the bot's channel."""
        log = bytes(self.log)
        out = bytearray()
        pcm_write(log, tracks_of(log), out.extend)
        both = np.frombuffer(bytes(out), "<i2").reshape(-1, 2).astype(np.float64)
        return both[:, 0], both[:, 1]


def tone(seconds: float, hz: float = 440.0, level: float = 0.5) -> bytes:
    """Return a tone that begins and ends at a crossing of zero, as mu-law."""
    at = np.arange(int(seconds * RATE)) / RATE
    return g711.encode_float(level * np.sin(2 * np.pi * hz * at))


def hiss(seconds: float, seed: int) -> bytes:
    """Return noise that is like itself at one offset only."""
    noise = np.random.default_rng(seed).normal(0.0, 0.1, int(seconds * RATE))
    return g711.encode_float(noise)


def onset(track: Track, after_s: float = 0.0) -> float:
    """Return when it gets loud, in seconds."""
    loud = np.flatnonzero(np.abs(track[int(after_s * RATE) :]) > 1_000)
    return after_s + float(loud[0]) / RATE


def quiet_from(track: Track, after_s: float) -> float:
    """Return when it falls silent for 50 ms, in seconds."""
    loud = np.abs(track[int(after_s * RATE) :]) > 1_000
    edges = np.flatnonzero(loud)
    ends = np.flatnonzero(np.diff(edges) > 0.05 * RATE)
    last = edges[ends[0]] if len(ends) else edges[-1]
    return after_s + float(last + 1) / RATE


class Deaf:
    """A line that nobody hears."""

    def play(self, audio: bytes) -> None: ...
    def mark(self, name: str) -> None: ...
    def clear(self) -> None: ...
    def hang_up(self, reason: str) -> None: ...
    def backlog(self) -> int:
        return 0


def recorded(clock: Clock) -> tuple[Recorder, Tape]:
    tape = Tape()
    return Recorder(clock, tape.take), tape


# --- the caller -----------------------------------------------------------------------------------


@dataclass
class Caller:
    """Sends frames of a track at their times, stamped, and as the network lets them through."""

    clock: VirtualClock
    recorder: Recorder
    stamped: bool = True

    def speak(
        self,
        audio: bytes,
        *,
        frame: int = FRAME,
        late: Callable[[int], float] = lambda number: 0.0,
        lose: Sequence[int] = (),
    ) -> None:
        begun, arrived = self.clock.now(), 0.0
        for number, at in enumerate(range(0, len(audio), frame)):
            piece = audio[at : at + frame]
            spoken = begun + (at + len(piece)) / RATE
            arrived = max(arrived, spoken + late(number))
            if number not in lose:
                stamp = round(at * 1_000 / RATE) if self.stamped else None
                self.clock.call_at(arrived, lambda p=piece, s=stamp: self.recorder.caller(p, s))  # type: ignore[misc]
        self.clock.advance(arrived - begun)


@pytest.mark.parametrize("stamped", [True, False])
def test_the_caller_lies_where_they_spoke_though_frames_come_unevenly(stamped: bool) -> None:
    clock = VirtualClock(50.0)
    recorder, tape = recorded(clock)
    clock.advance(1.0)
    luck = random.Random(1)
    audio = g711.SILENCE * RATE + tone(0.5) + g711.SILENCE * RATE * 2
    Caller(clock, recorder, stamped).speak(audio, late=lambda n: luck.expovariate(1 / 0.03))
    recorder.close()
    left, right = tape.sound()
    assert onset(left) == pytest.approx(2.0, abs=0.005)
    assert quiet_from(left, 1.5) == pytest.approx(2.5, abs=0.005)
    assert not right.any()


def test_what_goes_in_comes_out_to_the_bit_but_for_its_very_ends() -> None:
    clock = VirtualClock()
    recorder, tape = recorded(clock)
    audio = hiss(5.0, seed=1)
    Caller(clock, recorder).speak(audio)
    recorder.close()
    left, _ = tape.sound()
    expected = np.frombuffer(g711.decode(audio), "<i2")
    assert np.array_equal(left[16:-16], expected[16 : len(left) - 16])


@pytest.mark.parametrize("stamped", [True, False])
def test_lost_frames_are_silence_and_move_nothing(stamped: bool) -> None:
    clock = VirtualClock()
    recorder, tape = recorded(clock)
    audio = tone(2.0) + g711.SILENCE * RATE * 8 + tone(1.0) + g711.SILENCE * RATE * 8
    Caller(clock, recorder, stamped).speak(audio, lose=range(20, 30))
    recorder.close()
    left, _ = tape.sound()
    assert onset(left, 3.0) == pytest.approx(10.0, abs=0.003)
    # Without stamps nothing tells where in the gap's neighbourhood they were lost.
    near = slice(int(0.42 * RATE), int(0.58 * RATE)) if stamped else slice(0, 2 * RATE)
    hole = np.abs(left[near]).reshape(-1, FRAME).max(axis=1) < 100
    assert hole.sum() >= 8


def test_a_gap_does_not_click() -> None:
    clock = VirtualClock()
    recorder, tape = recorded(clock)
    Caller(clock, recorder).speak(tone(1.0), lose=range(20, 22))
    recorder.close()
    left, _ = tape.sound()
    steepest = np.abs(np.diff(np.frombuffer(g711.decode(tone(1.0)), "<i2").astype(float))).max()
    assert np.abs(np.diff(left)).max() <= steepest * 1.05


def test_what_comes_twice_or_in_the_wrong_order_is_put_right() -> None:
    clock = VirtualClock()
    recorder, tape = recorded(clock)
    audio = hiss(2.0, seed=2)
    frames = [(at, audio[at : at + FRAME]) for at in range(0, len(audio), FRAME)]
    frames[40], frames[41] = frames[41], frames[40]
    frames.insert(60, frames[59])
    for number, (at, piece) in enumerate(frames):
        clock.advance(at / RATE + 0.02 + 0.02 * (number in (40, 41)) - clock.now())
        recorder.caller(piece, round(at / 8))
    recorder.close()
    left, _ = tape.sound()
    expected = np.frombuffer(g711.decode(audio), "<i2")
    assert np.array_equal(left[16 : len(expected) - 160], expected[16 : len(expected) - 160])


def test_a_burst_after_a_stall_goes_back_to_where_it_was_spoken() -> None:
    clock = VirtualClock()
    recorder, tape = recorded(clock)
    audio = g711.SILENCE * RATE * 3 + tone(0.4) + g711.SILENCE * RATE * 6
    # Nothing comes for two seconds, then all of it at once.
    stalled = lambda n: max(0.0, 5.0 - (n + 1) * 0.02) if 150 <= n < 250 else 0.0  # noqa: E731
    Caller(clock, recorder).speak(audio, late=stalled)
    recorder.close()
    left, _ = tape.sound()
    assert onset(left) == pytest.approx(3.0, abs=0.003)


@pytest.mark.parametrize("ppm", [100.0, -100.0])
def test_a_clock_that_is_not_ours_neither_moves_the_caller_nor_tears_their_voice(
    ppm: float,
) -> None:
    clock = VirtualClock()
    recorder, tape = recorded(clock)
    hum, loud = hiss(1.0, seed=3), tone(0.02, level=0.9)
    for number in range(600 * 50):
        spoken = (number + 1) * 0.02 / (1 + ppm * 1e-6)
        clock.advance(spoken - clock.now())
        # A beep at the end of each minute, on a hum that never pauses.
        frame = loud if number % 3_000 == 2_999 else hum[number % 50 * FRAME :][:FRAME]
        recorder.caller(frame, number * 20)
    recorder.close()
    left, _ = tape.sound()
    for minute in range(1, 11):
        expected = (minute * 60 - 0.02) / (1 + ppm * 1e-6)
        near = slice(int((expected - 0.1) * RATE), int((expected + 0.1) * RATE))
        beeps = np.flatnonzero(np.abs(left[near]) > 25_000)
        assert near.start / RATE + beeps[0] / RATE == pytest.approx(expected, abs=0.006)
    quiet = np.convolve(np.abs(left[800:-800]), np.ones(40), "valid")
    assert quiet.min() > 0


# --- the bot --------------------------------------------------------------------------------------


def test_the_bot_lies_where_it_was_played_and_ends_where_it_was_cut() -> None:
    clock = VirtualClock()
    recorder, tape = recorded(clock)
    playout = Playout(RecordedLine(Deaf(), recorder), clock, on_started=lambda: None)
    clock.advance(1.0)
    _say(playout, tone(3.0))
    clock.advance(1.25)
    playout.cut()
    clock.advance(2.0)
    _say(playout, tone(0.5))
    clock.advance(2.0)
    recorder.close()
    _, right = tape.sound()
    assert onset(right) == pytest.approx(1.0, abs=0.003)
    assert quiet_from(right, 1.0) == pytest.approx(2.25, abs=0.003)
    assert onset(right, 2.5) == pytest.approx(4.25, abs=0.003)
    assert len(right) == pytest.approx(6.25 * RATE, abs=2)
    assert np.abs(np.diff(right)).max() < 6_000
    assert np.abs(right).max() == np.abs(np.frombuffer(g711.decode(tone(1.0)), "<i2")).max()


def test_a_word_that_was_still_on_its_way_at_the_end_was_not_heard() -> None:
    clock = VirtualClock()
    recorder, tape = recorded(clock)
    RecordedLine(Deaf(), recorder).play(tone(0.3))
    clock.advance(0.1)
    recorder.close()
    _, right = tape.sound()
    assert len(right) == 800


def _say(playout: Playout, audio: bytes) -> None:
    playout.open("model")
    playout.passage("Words.")
    playout.write(audio)
    playout.end_passage()
    playout.finish()


# --- both, for ten minutes ------------------------------------------------------------------------


class Drifting:
    """A clock that runs faster than ``clock`` by so many parts in a million."""

    def __init__(self, clock: VirtualClock, ppm: float) -> None:
        self._clock, self._rate = clock, 1 + ppm * 1e-6

    def now(self) -> float:
        return self._clock.now() * self._rate

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        return self._clock.call_at(when / self._rate, callback)


class Phone:
    """The far end: plays what arrives by its own clock, and its microphone hears just that.

    So a recording is right if both of its channels are the same. The network delivers in order,
    each message late by its own luck (5 ms on average); now and then it stalls.
    """

    def __init__(self, clock: VirtualClock, ppm: float, sizes: Sequence[int], seed: int) -> None:
        self.clock = clock
        self.far = Drifting(clock, ppm)
        self.recorder: Recorder
        self.echo: Callable[[str], None] = lambda name: None
        self._luck = random.Random(seed)
        self._sizes = sizes
        self._until = 0.0
        self._sounds: list[tuple[float, bytes]] = []
        self._marks: list[tuple[str, Timer]] = []
        self._arrivals = {"up": (0.0, 0.0), "down": (0.0, 0.0)}
        self._spoken = 0
        self.frames_lost = 0

    def start(self) -> None:
        self._begun = self.far.now()
        self._listen()

    # The line's four words.

    def play(self, audio: bytes) -> None:
        self._travel("down", lambda: self._queue(audio))

    def mark(self, name: str) -> None:
        self._travel("down", lambda: self._mark(name))

    def clear(self) -> None:
        self._travel("down", self._clear)

    def hang_up(self, reason: str) -> None: ...

    def backlog(self) -> int:
        return 0

    def _travel(self, way: str, arrive: Callable[[], None]) -> None:
        sent, at = self._arrivals[way]
        now = self.clock.now()
        if now > sent:  # what is sent together travels together
            late = 0.04 + self._luck.expovariate(1 / 0.005)
            if self._luck.random() < 0.001:
                late += 0.2
            at = max(at, now + late)
            self._arrivals[way] = (now, at)
        self.clock.call_at(at, arrive)

    def _queue(self, audio: bytes) -> None:
        start = max(self.far.now(), self._until)
        self._until = start + len(audio) / RATE
        self._sounds = [*self._sounds[-20:], (start, audio)]

    def _mark(self, name: str) -> None:
        timer = self.far.call_at(max(self.far.now(), self._until), lambda: self._passed(name))
        self._marks.append((name, timer))

    def _passed(self, name: str) -> None:
        self._marks = [one for one in self._marks if one[0] != name]
        self._travel("up", lambda: self._echoed(name))

    def _echoed(self, name: str) -> None:
        self.recorder.echoed(name)
        self.echo(name)

    def _clear(self) -> None:
        now = self.far.now()
        self._sounds = [
            (start, audio[: max(0, round((now - start) * RATE))]) for start, audio in self._sounds
        ]
        self._until = now
        marks, self._marks = self._marks, []
        for name, timer in marks:
            timer.cancel()
            self._travel("up", lambda name=name: self._echoed(name))  # type: ignore[misc]

    def _listen(self) -> None:
        size = self._luck.choice(self._sizes)
        self.far.call_at(self._begun + (self._spoken + size) / RATE, lambda: self._send(size))

    def _send(self, size: int) -> None:
        first = self._spoken
        self._spoken += size
        frame = bytearray(g711.SILENCE * size)
        for start, audio in self._sounds:
            at = round((start - self._begun) * RATE) - first
            part = audio[max(0, -at) : max(0, size - at)]
            frame[max(0, at) : max(0, at) + len(part)] = part
        stamp = round(first * 1_000 / RATE)
        if self._luck.random() < 0.01:
            self.frames_lost += 1
        else:
            audio = bytes(frame)
            self._travel("up", lambda: self.recorder.caller(audio, stamp))
        self._listen()


def ten_minutes(ppm: float, sizes: Sequence[int], seed: int) -> tuple[Tape, Phone]:
    """Hold a call full of answers, half of them interrupted."""
    clock, luck = VirtualClock(100.0), random.Random(seed)
    phone = Phone(clock, ppm, sizes, seed)
    recorder, tape = recorded(clock)
    phone.recorder = recorder
    playout = Playout(RecordedLine(phone, recorder), clock, on_started=lambda: None)
    phone.echo = playout.echoed
    phone.start()
    number = 0
    while clock.now() < 700.0:
        number += 1
        _say(playout, hiss(luck.uniform(0.5, 6.0), seed=number))
        clock.advance(luck.uniform(0.2, 5.0))
        playout.cut()
        clock.advance(luck.uniform(0.3, 1.0))
    recorder.close()
    return tape, phone


def lag_ms(left: Track, right: Track) -> float | None:
    """Return by how much the left lies behind, or None where one of them is silent."""
    reach = int(0.1 * RATE)
    middle = right[reach:-reach]
    if np.mean(middle**2) < 500**2 or np.mean(left**2) < 500**2:
        return None
    found = np.correlate(left, middle, "valid")
    at = int(np.argmax(found))
    likeness = found[at] / np.sqrt(np.sum(middle**2) * np.sum(left[at : at + len(middle)] ** 2))
    return (at - reach) * 1_000 / RATE if likeness > 0.5 else None


@pytest.mark.parametrize(
    ("ppm", "sizes"),
    [(100.0, [160]), (-100.0, [160]), (0.0, [160]), (-100.0, [80, 160, 200, 1_000])],
)
def test_after_ten_minutes_the_channels_are_still_together(ppm: float, sizes: list[int]) -> None:
    tape, phone = ten_minutes(ppm, sizes, seed=7)
    left, right = tape.sound()
    assert len(left) == pytest.approx(600 * RATE, rel=0.02)
    assert phone.frames_lost > 50
    windows = [slice(at, at + RATE // 2) for at in range(0, len(left) - RATE, RATE // 2)]
    lags = [lag for one in windows if (lag := lag_ms(left[one], right[one])) is not None]
    assert len(lags) > 400
    assert max(map(abs, lags)) <= 20.0
    assert np.percentile(np.abs(lags), 95) <= 10.0
    # A second's piece at a time left the recorder's memory.
    assert tape.pieces > 500
    assert tape.largest < 40_000
