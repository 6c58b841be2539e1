"""Sends the bot's speech a short lead ahead of the caller's ear, and knows what was heard.

Twilio would buffer ten minutes, but then only a ``clear`` could stop the bot and nobody would know
how far it got. So audio goes out in pieces of about 100 ms, never more than ``LEAD_S`` ahead of
real time, on absolute deadlines: a late timer sends more, it does not slip. Marks come back as the
pieces are played; between two marks the clock tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from apps.voice.g711 import BYTES_PER_MS, EXPAND, SILENCE
from apps.voice.ports import Clock, Line, Timer, WordAt
from apps.voice.stages import LAST_STAGES

FRAME_BYTES = 160  # 20 ms, the unit of telephony; shorter or ragged pieces stutter
PIECE_S = 0.1
LEAD_S = 0.3
MARK_EVERY_MS = 200
# A voice that runs far ahead of the ear waits: unheard audio is memory and money.
BUFFER_BYTES = 20_000 * BYTES_PER_MS
# Messages not yet taken by the socket; beyond them sending waits rather than queues.
BACKLOG = 20
# How many letters a voice may pass over between two words that it tells the times of.
LOOK_AHEAD = 60
# Codes of samples below -50 dB: nobody hears them on a phone.
QUIET = bytes(np.flatnonzero(np.abs(EXPAND.astype(np.int32)) <= 104).astype(np.uint8))
# How long after its computed end a last mark may take before it counts as lost.
MARK_PATIENCE_S = 1.5


@dataclass(slots=True)
class Passage:
    """A stretch of text and where its audio lies in the talk, in ms."""

    text: str
    start_ms: float
    end_ms: float
    complete: bool = False
    words: list[tuple[float, int]] = field(default_factory=list)  # ends: ms of the talk, letters

    def place(self, word: WordAt) -> None:
        """Note where a word ends. One that the text does not hold (a number read out) is passed
        over: the next that it does hold says where we are."""
        reached = self.words[-1][1] if self.words else 0
        found = self.text.find(word.word, reached)
        # Far ahead it is another occurrence: "a" stands everywhere.
        if word.word and 0 <= found <= reached + LOOK_AHEAD:
            self.words.append((self.start_ms + word.end_ms, found + len(word.word)))

    def heard(self, position_ms: float) -> str:
        """Return the words heard when the talk has been played up to ``position_ms``.

        Where the voice told the words' times they count; else words are taken to be spread evenly
        over the passage's letters. Half a word is not heard.
        """
        if self.complete and position_ms >= self.end_ms:
            return self.text
        if self.words:
            ended = [letters for ms, letters in self.words if ms <= position_ms]
            return self.text[: self._through_punctuation(ended[-1])] if ended else ""
        # While its audio still comes in, its length is guessed: 65 ms a letter is slow speech.
        length = self.end_ms - self.start_ms
        if not self.complete:
            length = max(length, 65.0 * len(self.text))
        if length <= 0:
            return ""
        reached = int(len(self.text) * max(0.0, position_ms - self.start_ms) / length)
        if reached >= len(self.text):
            return self.text
        return self.text[: self.text.rfind(" ", 0, reached + 1) + 1].rstrip()

    def _through_punctuation(self, letters: int) -> int:
        """A mark behind a word is heard with it."""
        space = self.text.find(" ", letters)
        rest = self.text[letters : space if space >= 0 else None]
        return letters + len(rest) if not any(map(str.isalnum, rest)) else letters


@dataclass(slots=True)
class Talk:
    """One uninterrupted say of the bot: its audio, its marks, and how far it was heard."""

    number: int
    source: str = ""  # what made the bot speak
    leaves: bool = False  # the call ends when this has been heard
    transfer_to: str = ""  # or goes on to this target
    farewell: str = ""  # the tool call that asked for either
    kept: bool = False  # it stands in the history
    passages: list[Passage] = field(default_factory=list)
    marks: dict[str, float] = field(default_factory=dict)  # sent, not echoed: name -> ms
    written_ms: float = 0.0
    sent_ms: float = 0.0
    marked_ms: float = 0.0
    played_ms: float = 0.0
    played_at: float = 0.0
    started_at: float | None = None
    finished: bool = False
    replied: bool = False  # a model that speaks itself has begun to
    lead_in_ms: float = 0.0  # of silence before its first sound
    audible: bool = False  # that sound has come
    way_s: float | None = None  # to the ear and back, by the quickest of its marks
    own: list[tuple[float, float]] = field(default_factory=list)  # its audio: from, to, in ms

    def heard_ms(self, now: float) -> float:
        """Return how much of the talk the caller has heard, in ms.

        Sure up to the last echoed mark; from there on time passes as audio does, up to the next.
        """
        if not self.marks or self.started_at is None:
            return self.played_ms
        since = self.played_at if self.played_ms else self.started_at
        return min(next(iter(self.marks.values())), self.played_ms + (now - since) * 1_000)

    def came(self, audio: bytes) -> None:
        """Look for the first sound in audio that has come (mu-law 8 kHz)."""
        sound = audio.lstrip(QUIET)
        self.lead_in_ms += (len(audio) - len(sound)) / BYTES_PER_MS
        self.audible = len(sound) > 0

    def last_stages(self) -> Mapping[str, float]:
        """Return what lay between its first audio sent and its first sound heard, in ms.

        The way is there and back, as the recording has it: what the caller says to what they hear
        comes back over it too. Left out where it is not known: cut before the first mark was back.
        """
        lead_in = self.lead_in_ms if self.audible else 0.0
        found = dict(zip(LAST_STAGES, (lead_in, (self.way_s or 0.0) * 1_000), strict=True))
        return {stage: round(ms, 1) for stage, ms in found.items() if ms >= 1.0}

    def own_heard_ms(self, now: float) -> float:
        """Return how much of the audio of a model that speaks itself the caller has heard."""
        position = self.heard_ms(now)
        return sum(max(0.0, min(end, position) - start) for start, end in self.own)

    def said(self) -> str:
        return " ".join(passage.text for passage in self.passages)

    def heard(self, now: float) -> str:
        position = self.heard_ms(now)
        return " ".join(filter(None, (passage.heard(position) for passage in self.passages)))

    def unheard(self, now: float) -> str:
        """Return the rest of the text, from the first word that was not heard."""
        return self.said()[len(self.heard(now)) :].strip()


class Playout:
    """One call's way to the ear. All methods are immediate; sending happens by timer."""

    def __init__(self, line: Line, clock: Clock, *, on_started: Callable[[], None]) -> None:
        self._line = line
        self._clock = clock
        self._on_started = on_started
        self.on_played: Callable[[], None] = _nothing
        self.on_underrun: Callable[[float], None] = _nothing_of
        self._buffer = bytearray()
        self._timer: Timer | None = None
        self._plays_until = 0.0  # when what was sent will have been played
        self.talk = Talk(0, finished=True)
        self.room = asyncio.Event()
        self.room.set()

    @property
    def waiting(self) -> bool:
        """Whether audio lies here unsent."""
        return len(self._buffer) > 0

    def open(self, source: str) -> None:
        """Start a talk, or go on with the one that is still open."""
        if self.talk.finished:
            self.talk = Talk(self.talk.number + 1)
        self.talk.source = source

    def passage(self, text: str) -> None:
        """Say which text the audio that follows belongs to."""
        self._break_passage()
        at = self.talk.written_ms
        self.talk.passages.append(Passage(text, at, at))

    def extend(self, text: str) -> None:
        """Add to the text of the open passage."""
        if self.talk.passages:
            self.talk.passages[-1].text += text

    def word(self, word: WordAt) -> None:
        """Say where a word of the open passage ends."""
        if self.talk.passages:
            self.talk.passages[-1].place(word)

    def end_passage(self) -> None:
        """The passage's audio is complete."""
        if self.talk.passages:
            self.talk.passages[-1].complete = True

    def write(self, audio: bytes) -> None:
        """Add audio (mu-law 8 kHz, any length) to the open talk."""
        self._buffer += audio
        if not self.talk.audible:
            self.talk.came(audio)
        self.talk.written_ms += len(audio) / BYTES_PER_MS
        if self.talk.passages:
            self.talk.passages[-1].end_ms = self.talk.written_ms
        if len(self._buffer) > BUFFER_BYTES:
            self.room.clear()
        if self._timer is None:
            self._pump()

    def write_own(self, audio: bytes) -> None:
        """Add audio that the model itself has spoken."""
        talk = self.talk
        start = talk.written_ms
        if talk.own and talk.own[-1][1] == start:
            start = talk.own.pop()[0]
        talk.own.append((start, talk.written_ms + len(audio) / BYTES_PER_MS))
        self.write(audio)

    def finish(self) -> None:
        """No more audio will come for this talk."""
        self._break_passage()
        self.talk.finished = True
        ragged = -len(self._buffer) % FRAME_BYTES
        self._buffer += SILENCE * ragged
        if self._timer is None:
            self._pump()

    def cut(self) -> None:
        """Stop in mid-word: drop what was not played, here and at the far end.

        The talk stays, as it was heard. Its marks are forgotten before ``clear`` goes out, so
        their flushed echoes, which look like played ones, mean nothing.
        """
        talk = self.talk
        talk.played_ms = talk.heard_ms(self._clock.now())
        talk.marks.clear()
        talk.finished = True
        self._buffer.clear()
        self.room.set()
        self._stop_timer()
        if talk.sent_ms > talk.played_ms or self._plays_until > self._clock.now():
            self._line.clear()
        talk.sent_ms = talk.marked_ms = talk.played_ms
        self._plays_until = self._clock.now()

    def echoed(self, name: str) -> None:
        """A mark came back. Unknown names are late echoes of a talk that was cut."""
        talk = self.talk
        if name not in talk.marks:
            return
        self._measure_way(talk.marks[name])
        for earlier in list(talk.marks):
            talk.played_ms = talk.marks.pop(earlier)
            if earlier == name:
                break
        talk.played_at = self._clock.now()
        self._tell_played()

    @property
    def plays_until(self) -> float:
        """When what was sent will have been played."""
        return self._plays_until

    def _measure_way(self, mark_ms: float) -> None:
        """A far end that ran dry plays what follows later: the quickest mark counts."""
        talk = self.talk
        if talk.started_at is not None:
            way_s = max(0.0, self._clock.now() - talk.started_at - mark_ms / 1_000)
            talk.way_s = way_s if talk.way_s is None else min(talk.way_s, way_s)

    def dry_since(self) -> float | None:
        """Return when an open talk ran (or will run) out of audio; None while there is more."""
        if self.talk.finished or self.waiting or self.talk.started_at is None:
            return None
        return self._plays_until

    def quiet_from(self) -> float:
        """Return when everything that lies here or is on its way will have been heard."""
        return self._plays_until + len(self._buffer) / (BYTES_PER_MS * 1_000)

    def mark_lost(self) -> bool:
        """Whether the last mark should have come back long ago."""
        talk = self.talk
        late = self._clock.now() - self._plays_until > MARK_PATIENCE_S
        return talk.finished and bool(talk.marks) and not self.waiting and late

    def close(self) -> None:
        """Stop for good."""
        self._buffer.clear()
        self.room.set()
        self._stop_timer()

    def _break_passage(self) -> None:
        """A passage whose audio ended early keeps only the words that the audio can hold."""
        if self.talk.passages and not (last := self.talk.passages[-1]).complete:
            last.text = last.heard(last.end_ms)
            last.complete = True

    def _pump(self) -> None:
        self._timer = None
        now = self._clock.now()
        ahead = max(0.0, self._plays_until - now)
        ready = len(self._buffer) - len(self._buffer) % FRAME_BYTES
        if ready and LEAD_S - ahead >= PIECE_S - 0.001 and self._line.backlog() < BACKLOG:
            self._send(min(ready, _whole_frames(LEAD_S - ahead)), now)
        if self.talk.finished and not self._buffer:
            self._mark_end()
        elif len(self._buffer) >= FRAME_BYTES:
            due = max(now + 0.005, self._plays_until - LEAD_S + PIECE_S)
            self._timer = self._clock.call_at(due, self._pump)

    def _send(self, size: int, now: float) -> None:
        talk = self.talk
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        if talk.started_at is not None and now - self._plays_until > 0.001:
            self.on_underrun(now - self._plays_until)
        self._line.play(piece)
        self._plays_until = max(now, self._plays_until) + size / (BYTES_PER_MS * 1_000)
        talk.sent_ms += size / BYTES_PER_MS
        if len(self._buffer) <= BUFFER_BYTES // 2:
            self.room.set()
        if talk.started_at is None:
            talk.started_at = now
            self._on_started()
        if talk.sent_ms - talk.marked_ms >= MARK_EVERY_MS:
            self._mark()

    def _mark(self) -> None:
        talk = self.talk
        name = f"{talk.number}.{talk.sent_ms:.0f}"
        talk.marks[name] = talk.marked_ms = talk.sent_ms
        self._line.mark(name)

    def _mark_end(self) -> None:
        if self.talk.sent_ms > self.talk.marked_ms:
            self._mark()
        else:
            self._tell_played()

    def _tell_played(self) -> None:
        if self.talk.finished and not self._buffer and not self.talk.marks:
            self.on_played()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _whole_frames(seconds: float) -> int:
    return int(seconds * 1_000 * BYTES_PER_MS + 0.5) // FRAME_BYTES * FRAME_BYTES


def _nothing() -> None:
    """Nobody asked to be told."""


def _nothing_of(_seconds: float) -> None:
    """Nobody asked to be told."""
