"""From a recorder's log to sound: a WAV file, the caller on the left and the bot on the right."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from apps.voice.g711 import EXPAND, SILENCE
from apps.voice.placement import (
    RATE,
    Cut,
    Echo,
    Placed,
    Sound,
    bot_placed,
    caller_placed,
    cut_at,
    echoes_settle,
)
from apps.voice.recording import HEAD, Record

CHANNELS, SAMPLE_BYTES = 2, 2
FRAME_BYTES = CHANNELS * SAMPLE_BYTES
HEADER_BYTES = 44
BLOCK = 10 * RATE
# Where sound meets silence that is not its own: 2 ms, so that it does not click.
RAMP = 16

# A stream waits no longer to be let in than this.
MOST_EARLY = 10 * RATE

Log = bytes | memoryview
Samples = npt.NDArray[np.int16]


def wav_header(samples: int) -> bytes:
    """Return the head of a WAV file of so many samples a channel: 16-bit PCM, stereo, 8 kHz."""
    size = samples * FRAME_BYTES
    rate = RATE * FRAME_BYTES
    form = struct.pack("<IHHIIHH", 16, 1, CHANNELS, RATE, rate, FRAME_BYTES, 8 * SAMPLE_BYTES)
    return (
        b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + form + b"data"
        + struct.pack("<I", size)
    )  # fmt: skip


def silence(samples: int) -> bytes:
    """Return so many samples of both channels saying nothing."""
    return bytes(samples * FRAME_BYTES)


@dataclass(slots=True)
class Tracks:
    """A log, read and laid out. samples: its length. complete: it was closed, and nothing lacks.

    early: samples that lie before the recorder was made.
    """

    caller: list[Placed]
    bot: list[Placed]
    samples: int
    complete: bool
    early: int = 0


@dataclass(slots=True)
class _Found:
    caller: list[Sound] = field(default_factory=list)
    bot: list[Sound] = field(default_factory=list)
    echoes: list[Echo] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    marks: dict[bytes, float] = field(default_factory=dict)  # not back yet: when they are due
    flushed: dict[bytes, tuple[float, Cut]] = field(default_factory=dict)
    end_s: float = 0.0
    complete: bool = False
    lost: bool = False


def tracks_of(log: Log) -> Tracks:
    """Read a log of ``apps.voice.recording`` and lay out its sounds."""
    found = _read(log)
    samples = round(found.end_s * RATE)
    caller = caller_placed(found.caller)
    late = [cut.echo for cut in found.cuts if cut.echo is not None]
    echoes_settle([*found.echoes, *late], found.caller, caller)
    bot = bot_placed(found.bot, found.echoes, found.cuts)
    caller, bot = cut_at(caller, samples), cut_at(bot, samples)
    # What was said while the stream was still being let in came after that, but was said before.
    early = min(MOST_EARLY, max(0, -caller[0].position)) if caller else 0
    for one in (*caller, *bot):
        one.position += early
    return Tracks(caller, bot, samples + early, found.complete, early)


def pcm_write(log: Log, tracks: Tracks, write: Callable[[bytes], object]) -> None:
    """Hand out the recording's samples in blocks: 16-bit little-endian, left and right by turns."""
    blocks = zip(
        _blocks(log, tracks.caller, tracks.samples),
        _blocks(log, tracks.bot, tracks.samples),
        strict=True,
    )
    for left, right in blocks:
        both = np.empty((len(left), CHANNELS), "<i2")
        both[:, 0], both[:, 1] = left, right
        write(both.tobytes())


# --- reading --------------------------------------------------------------------------------------


def _read(log: Log) -> _Found:
    found = _Found()
    offset, size = 0, len(log)
    while offset + HEAD.size <= size:
        kind, at_s, number, length = HEAD.unpack_from(log, offset)
        offset += HEAD.size
        if length < 0 or offset + length > size:
            break
        if kind == Record.CALLER:
            found.caller.append(Sound(at_s, number, length, offset))
            found.end_s = max(found.end_s, at_s)
        elif kind == Record.BOT:
            found.bot.append(Sound(at_s, 0, length, offset))
        else:
            _note(found, kind, at_s, bytes(log[offset : offset + length]))
        offset += length
    return found


def _note(found: _Found, kind: int, at_s: float, name: bytes) -> None:
    if kind == Record.MARK:
        found.marks[name] = at_s
        return
    found.end_s = max(found.end_s, at_s)
    if kind == Record.ECHO:
        _echo(found, at_s, name)
    elif kind == Record.CLEAR:
        # Marks that are not back by now come back whether they were heard or not.
        cut = Cut(len(found.bot), at_s)
        found.cuts.append(cut)
        if found.marks:
            last, due_s = found.marks.popitem()
            found.flushed = {last: (due_s, cut)}
        found.marks.clear()
    elif kind == Record.LOST:
        found.lost = True
    elif kind == Record.END:
        found.complete = not found.lost


def _echo(found: _Found, at_s: float, name: bytes) -> None:
    if name in found.marks:
        found.echoes.append(Echo(found.marks.pop(name), at_s, len(found.caller)))
    elif name in found.flushed:
        due_s, cut = found.flushed.pop(name)
        cut.echo = Echo(due_s, at_s, len(found.caller))


# --- sounding -------------------------------------------------------------------------------------


def _blocks(log: Log, placed: Sequence[Placed], samples: int) -> Iterator[Samples]:
    first = 0
    for start in range(0, samples, BLOCK):
        end = min(start + BLOCK, samples)
        codes = bytearray(SILENCE * (end - start))
        while first < len(placed) and placed[first].end <= start:
            first += 1
        number = first
        here = []
        while number < len(placed) and placed[number].position < end:
            here.append(placed[number])
            _fill(codes, log, placed[number], start)
            number += 1
        block: Samples = EXPAND[np.frombuffer(codes, np.uint8)]
        for one in here:
            _ramp(block, one, start)
        yield block


def _fill(codes: bytearray, log: Log, one: Placed, start: int) -> None:
    audio = bytes(log[one.offset : one.offset + one.size])
    if one.change:
        audio = _changed(audio, one.change)
    skip = max(0, start - one.position)
    at = one.position + skip - start
    audio = audio[skip : min(one.kept, skip + len(codes) - at)]
    codes[at : at + len(audio)] = audio


def _changed(audio: bytes, change: int) -> bytes:
    """Say samples twice, or leave some out, where the sound moves least."""
    for _ in range(abs(change)):
        heights = EXPAND[np.frombuffer(audio, np.uint8)].astype(np.int32)
        if change > 0:
            at = int(np.argmin(np.abs(np.diff(heights)))) + 1
            audio = audio[:at] + audio[at - 1 :]
        else:
            at = int(np.argmin(np.abs(heights[2:] - heights[:-2]))) + 1
            audio = audio[:at] + audio[at + 1 :]
    return audio


def _ramp(block: Samples, one: Placed, start: int) -> None:
    length = min(RAMP, one.kept // 2)
    if one.begins:
        _scale(block, one.position - start, np.arange(length) / length)
    if one.ends:
        _scale(block, one.end - length - start, np.arange(length, 0, -1) / length)


def _scale(block: Samples, at: int, gains: npt.NDArray[np.float64]) -> None:
    low, high = max(0, -at), min(len(gains), len(block) - at)
    if low < high:
        part = block[at + low : at + high]
        part[:] = np.rint(part * gains[low:high]).astype(np.int16)
