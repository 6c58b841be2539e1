"""Where the sounds of a recorded stream lie in time. Positions are samples of its recording.

Both channels are brought to one moment, that at which news of a sound reaches us. The caller's
sound has that by itself. What the bot said has it by its marks: an echo comes back when the sound
before it has been played, over the same way as the caller's voice, so that a sound of the caller
that answers one of the bot lies behind it by just as much as it did at the phone.

Travelling takes its time, and never the same: what counts is the quickest of the neighbours. The
sender's clock runs a little faster or slower than ours, so the track is kept at its place by a
sample left out or said twice, where that cannot be heard.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

RATE = 8_000

# Stamps are whole ms and may be uneven by so much, without a frame being lost between them.
UNEVEN = 8 * RATE // 1_000
# A track that is off by less is left alone; one that lags by more has missed something.
SLACK = 3 * RATE // 1_000
CALLER_MISSED, BOT_MISSED = 60 * RATE // 1_000, 20 * RATE // 1_000
# The most that a piece is stretched or shortened by, in samples.
MOST = 4
# Neighbours by whom the quickest way is known.
NEAR_S = 5.0
BUCKET_S = 0.2
# Echoes are five a second, and only while the bot speaks.
ECHOES_NEAR_S = 15.0
ECHOES = 10
FEW = 3
LATE_S = 0.06

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sound:
    """Audio in the log. at_s: when it came or, for the bot, when it is played if it travels in no
    time. stamp_ms: the sender's; negative without one. size: samples, at ``offset`` of the log."""

    at_s: float
    stamp_ms: int
    size: int
    offset: int


@dataclass(slots=True)
class Echo:
    """A mark that came back: when it was due if nothing takes time, and when it was back.

    sounds: how many of the caller's had come before it.
    """

    due_s: float
    back_s: float
    sounds: int = 0

    @property
    def delay_s(self) -> float:
        return self.back_s - self.due_s


@dataclass(slots=True)
class Cut:
    """Of the first ``sounds`` of the bot, what was not played when this arrived never was.

    at_s: when it was sent. echo: of the last mark that was still out then, once it is back.
    """

    sounds: int
    at_s: float
    echo: Echo | None = None


@dataclass(slots=True)
class Placed:
    """A sound in its place. size: samples of the log; change: how many more or fewer it becomes;
    kept: how many of those are heard. begins, ends: beside it lies silence that is not its own."""

    position: int
    size: int
    offset: int
    change: int = 0
    kept: int = -1
    begins: bool = False
    ends: bool = False

    def __post_init__(self) -> None:
        if self.kept < 0:
            self.kept = self.size + self.change

    @property
    def end(self) -> int:
        return self.position + self.kept


def caller_placed(sounds: Sequence[Sound]) -> list[Placed]:
    """Place the caller's frames. What came twice is left out, what came late is put in order."""
    if not sounds:
        return []
    stamped = _stamps_count(sounds)
    if stamped:
        sounds = _in_order(sounds)
    sent, gaps = _sent(sounds, stamped)
    arrived = np.array([sound.at_s * RATE - sound.size for sound in sounds])
    at_s = np.array([sound.at_s for sound in sounds])
    wanted = sent + _quickest(at_s, arrived - sent, steps=not stamped)
    return _lay(sounds, wanted, gaps, CALLER_MISSED)


def bot_placed(
    sounds: Sequence[Sound], echoes: Sequence[Echo], cuts: Sequence[Cut]
) -> list[Placed]:
    """Place what the bot said, as far as it was heard."""
    delays = _Delays(echoes)
    gaps = _talks_begin(sounds, cuts)
    wanted = np.zeros(len(sounds))
    starts = [number for number, begins in enumerate(gaps) if begins]
    for first, after in pairwise([*starts, len(sounds)]):
        talk = sounds[first:after]
        wanted[first:after] = [
            (sound.at_s + delay) * RATE
            for sound, delay in zip(talk, delays.of_talk(talk), strict=True)
        ]
    placed = _lay(sounds, wanted, gaps, BOT_MISSED)
    before = 0
    for cut in cuts:
        position = round(_cut_s(cut, delays) * RATE)
        _cut(placed[before : cut.sounds], position)
        before = cut.sounds
    return [one for one in placed if one.kept > 0]


def echoes_settle(
    echoes: Sequence[Echo], sounds: Sequence[Sound], placed: Sequence[Placed]
) -> None:
    """Take from echoes what they lost on their way to us.

    What comes over one connection stays in order: an echo set out before the caller's next frame
    did, and of that it is known when. sounds: the caller's, as they came; placed: the same.
    """
    ends = {one.offset: one.end for one in placed}
    for echo in echoes:
        if echo.sounds < len(sounds):
            end = ends.get(sounds[echo.sounds].offset)
            if end is not None:
                echo.back_s = min(echo.back_s, end / RATE)


def cut_at(placed: Sequence[Placed], position: int) -> list[Placed]:
    """Drop what lies at or after ``position``: the recording ends there."""
    _cut(placed, position)
    return [one for one in placed if one.kept > 0]


# --- the caller's clock ---------------------------------------------------------------------------


def _stamps_count(sounds: Sequence[Sound]) -> bool:
    """Whether the stamps are a clock: all there, and getting on with the audio."""
    stamps = [sound.stamp_ms for sound in sounds]
    if min(stamps) < 0:
        return False
    audio_ms = sum(sound.size for sound in sounds) * 1_000 / RATE
    return max(stamps) - min(stamps) >= 0.25 * (audio_ms - sounds[-1].size * 1_000 / RATE)


def _in_order(sounds: Sequence[Sound]) -> list[Sound]:
    """Sort by stamp; of frames with one stamp the first counts."""
    found: dict[int, Sound] = {}
    for sound in sounds:
        found.setdefault(sound.stamp_ms, sound)
    return [found[stamp] for stamp in sorted(found)]


def _sent(sounds: Sequence[Sound], stamped: bool) -> tuple[Floats, list[bool]]:
    """Return where each frame begins on the sender's clock, and before which frames some lack."""
    sent = np.empty(len(sounds))
    gaps = [True] * len(sounds)
    end = 0.0
    for number, sound in enumerate(sounds):
        sent[number] = sound.stamp_ms * RATE / 1_000 if stamped else end
        gaps[number] = number == 0 or sent[number] - end > UNEVEN
        end = sent[number] + sound.size
    return sent, gaps


def _quickest(at_s: Floats, delays: Floats, *, steps: bool) -> Floats:
    """Return the way's length around each frame, in samples: the least of five seconds each way.

    steps: it may really have become longer, for good: without stamps that is a frame that is lost.
    Then what is least on both sides counts, which keeps the step where it was.
    """
    buckets = ((at_s - at_s.min()) / BUCKET_S).astype(np.int64)
    least = np.full(int(buckets.max()) + 1, np.inf)
    np.minimum.at(least, buckets, delays)
    near = int(NEAR_S / BUCKET_S)
    before = _least(np.concatenate([np.full(near, np.inf), least]), near + 1)
    after = _least(np.concatenate([least, np.full(near, np.inf)]), near + 1)
    found = np.minimum(before, after)
    if steps:
        both = np.maximum(before, after)
        edge = min(near, len(found) // 2)
        found[edge : len(found) - edge] = both[edge : len(found) - edge]
    result: Floats = found[buckets]
    return result


def _least(values: Floats, width: int) -> Floats:
    found: Floats = np.lib.stride_tricks.sliding_window_view(values, width).min(axis=1)
    return found


# --- the bot's marks ------------------------------------------------------------------------------


class _Delays:
    """How much later than sent things are heard of, by the echoes of a stream."""

    def __init__(self, echoes: Sequence[Echo]) -> None:
        self._echoes = sorted(echoes, key=lambda echo: echo.due_s)
        self._dues = [echo.due_s for echo in self._echoes]

    def around(self, at_s: float) -> float:
        """Return the shortest delay of the neighbourhood; 0 where no mark ever came back."""
        first = bisect.bisect_left(self._dues, at_s - ECHOES_NEAR_S)
        after = bisect.bisect_right(self._dues, at_s + ECHOES_NEAR_S)
        if first < after:
            return min(echo.delay_s for echo in self._echoes[first:after])
        if not self._echoes:
            return 0.0
        nearest = min(max(first - 1, 0), len(self._echoes) - 1)
        return self._echoes[nearest].delay_s

    def of_talk(self, talk: Sequence[Sound]) -> list[float]:
        """Return each sound's delay. talk: sounds that were sent to be played without a break.

        A far end that ran out of audio in between plays the rest later, and all its later marks
        say so.
        """
        first = bisect.bisect_left(self._dues, talk[0].at_s - 1 / RATE)
        after = bisect.bisect_right(self._dues, _end_s(talk[-1]) + 1 / RATE)
        dues, delays = self._dues[first:after], self._settled(self._echoes[first:after])
        if not delays:
            return [self.around(talk[0].at_s)] * len(talk)
        places = (bisect.bisect_left(dues, _end_s(sound) - 1 / RATE) for sound in talk)
        return [delays[min(place, len(delays) - 1)] for place in places]

    def _settled(self, echoes: Sequence[Echo]) -> list[float]:
        """Return the delay at each mark of one talk: the way of its first sound, and what the far
        end waited for in between. Echoes may be slow on their own, so the quickest count."""
        if len(echoes) == 1:
            # Nobody can say on which of its two ways it was slow.
            usual = self.around(echoes[0].due_s)
            return [usual + min(LATE_S / 3, (echoes[0].delay_s - usual) / 2)]
        found = []
        for number in range(len(echoes)):
            before = _shortest(echoes[max(0, number - ECHOES + 1) : number + 1])
            behind = _shortest(echoes[number : number + ECHOES])
            if number < FEW:
                found.append(behind)
            elif number >= len(echoes) - FEW:
                found.append(behind if behind - before > LATE_S else before)
            else:
                found.append(max(before, behind))
        if len(found) > 1 and found[-1] - found[-2] > LATE_S:
            found[-1] = found[-2]  # one echo alone proves nothing
        return found


def _shortest(echoes: Sequence[Echo]) -> float:
    return min(echo.delay_s for echo in echoes)


def _end_s(sound: Sound) -> float:
    return sound.at_s + sound.size / RATE


def _talks_begin(sounds: Sequence[Sound], cuts: Sequence[Cut]) -> list[bool]:
    """Say which sounds come after silence, or after a cut."""
    after_cuts = {cut.sounds for cut in cuts}
    found, end_s = [], float("-inf")
    for number, sound in enumerate(sounds):
        found.append(number in after_cuts or sound.at_s - end_s > 1 / RATE)
        end_s = _end_s(sound)
    return found


def _cut_s(cut: Cut, delays: _Delays) -> float:
    """Return when a clear is heard of. It sends home all marks that are still out, and the last of
    them, if it was not due yet, tells the moment."""
    echo = cut.echo
    if echo is not None and echo.back_s < echo.due_s + delays.around(cut.at_s) - 0.005:
        return max(echo.back_s, cut.at_s)
    return cut.at_s + delays.around(cut.at_s)


# --- laying out -----------------------------------------------------------------------------------


def _lay(
    sounds: Sequence[Sound], wanted: Floats, gaps: Sequence[bool], missed: int
) -> list[Placed]:
    """Lay sounds one behind the other, each as near to where it is wanted as can be.

    gaps: before which there may be silence. Elsewhere the track is brought to its place a few
    samples at a time, unless it is more than ``missed`` behind.
    """
    placed: list[Placed] = []
    cursor, steer = round(float(wanted[0])) if sounds else 0, 0
    for sound, want, gap in zip(sounds, wanted.tolist(), gaps, strict=True):
        behind = want - cursor
        jumps = behind > missed or (gap and behind > 0)
        if jumps or gap:
            position, steer = (round(want) if jumps else cursor), 0
            behind = want - position
        else:
            position = cursor
        steer = _steered(steer, behind)
        change = steer * min(MOST, 1 + int(abs(behind)) // 160) if sound.size > 8 * MOST else 0
        begins = not placed or position > cursor
        if begins and placed:
            placed[-1].ends = True
        placed.append(Placed(position, sound.size, sound.offset, change, begins=begins))
        cursor = placed[-1].end
    if placed:
        placed[-1].ends = True
    return placed


def _steered(steer: int, behind: float) -> int:
    """Return 1 to say samples twice, -1 to leave some out, 0 to leave the track alone."""
    if abs(behind) >= SLACK:
        return 1 if behind > 0 else -1
    return steer if steer * behind > 0 else 0


# A sound that is cut sooner than this after its beginning is left out.
_SHORTEST = 16


def _cut(placed: Sequence[Placed], position: int) -> None:
    heard: Placed | None = None
    cut = False
    for one in placed:
        room = position - one.position
        if room < one.kept:
            one.kept, cut = (room if room >= _SHORTEST else 0), True
        if one.kept > 0:
            heard = one
    if heard is not None and cut:
        heard.ends = True
