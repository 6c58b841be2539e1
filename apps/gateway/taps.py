"""What is told of a call while somebody watches it. Everything here is immediate and bounded.

A call that nobody watches has no tap: that costs it a look at an attribute a frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.calls.watching import Side, sound
from apps.voice.conversation import Conversation
from apps.voice.g711 import BYTES_PER_MS
from apps.voice.ports import Clock, Final, Partial, TranscriptEvent, Turn
from apps.voice.turns import Heard, Phase

# What a viewer who cannot be reached may fall behind by: two seconds of both voices, and the
# events of a minute. Beyond them the oldest is dropped, and counted.
AUDIO_BYTES = 2 * 2 * 8_000
EVENTS = 400
# What is kept of the caller's audio for the next look, which mostly takes 100 ms. More is handed to
# the viewers at once, in pieces of which the oldest can be dropped.
KEPT_BYTES = 2_000
# A caller's frame that lies this far from where the last one ended begins anew.
UNEVEN_MS = 60.0

Item = bytes | dict[str, Any]


@dataclass(slots=True, eq=False)
class Viewer:
    """Somebody who watches, by the name of a channel. until: of the clock."""

    channel: str
    audio: bool
    until: float
    _items: deque[Item] = field(default_factory=deque)
    _bytes: int = 0
    _events: int = 0
    _lost_bytes: int = 0
    _lost_events: int = 0

    def hear(self, packed: bytes, size: int) -> None:
        """Take audio. size: of it, without its head."""
        self._items.append(packed)
        self._bytes += size
        while self._bytes > AUDIO_BYTES:
            self._drop(bytes)

    def tell(self, event: dict[str, Any]) -> None:
        self._items.append(event)
        self._events += 1
        if self._events > EVENTS:
            self._drop(dict)

    def take(self) -> list[Item]:
        """Return what has come since, in order, after what was dropped of it."""
        items: list[Item] = []
        if self._lost_bytes or self._lost_events:
            lost_ms = round(self._lost_bytes / BYTES_PER_MS)
            items.append({"kind": "dropped", "events": self._lost_events, "audio_ms": lost_ms})
        items += self._items
        self._items.clear()
        self._bytes = self._events = self._lost_bytes = self._lost_events = 0
        return items

    def lose(self, items: list[Item]) -> None:
        """These could not be sent."""
        for item in items:
            self._count_lost(item)

    def _drop(self, kind: type[Item]) -> None:
        for at, item in enumerate(self._items):
            if isinstance(item, kind):
                del self._items[at]
                self._count_lost(item)
                if isinstance(item, bytes):
                    self._bytes -= _size(item)
                else:
                    self._events -= 1
                return

    def _count_lost(self, item: Item) -> None:
        if isinstance(item, bytes):
            self._lost_bytes += _size(item)
        elif item["kind"] == "dropped":
            self._lost_events += item["events"]
            self._lost_bytes += item["audio_ms"] * BYTES_PER_MS
        else:
            self._lost_events += 1


def _size(packed: bytes) -> int:
    return len(packed) - len(sound(Side.CALLER, 0))


class Tap:
    """One stream's tap. Its pump calls ``look`` ten times a second, and sends what lies there."""

    def __init__(self, conversation: Conversation, stream_sid: str, clock: Clock) -> None:
        self.viewers: dict[str, Viewer] = {}
        self.over = False
        self.stream_sid = stream_sid
        self._talk = conversation
        self._clock = clock
        self._caller = bytearray()
        self._caller_ms = 0.0  # where what lies there begins
        self._told_of_talk: tuple[Any, ...] = ()
        self._told_of_tools: tuple[str, ...] = ()

    # --- who watches ----------------------------------------------------------------------------

    def see(self, channel: str, *, audio: bool, until: float) -> None:
        """Let somebody watch, or go on watching."""
        known = self.viewers.get(channel)
        if known is not None:
            known.audio, known.until = audio, until
            return
        viewer = self.viewers[channel] = Viewer(channel, audio, until)
        viewer.tell(self._event("watching", phase=self._talk.phase.value))
        if says := self._says():
            viewer.tell(says)
        if tools := self._talk.parts.speaker.tools.at_work:
            viewer.tell(self._event("tools", running=list(tools)))

    def forget_old(self) -> None:
        now = self._clock.now()
        for viewer in [one for one in self.viewers.values() if one.until <= now]:
            del self.viewers[viewer.channel]

    # --- what is heard --------------------------------------------------------------------------

    def caller(self, audio: bytes) -> None:
        """Take caller audio as it arrives."""
        at_ms = self._now_ms() - len(audio) / BYTES_PER_MS
        end_ms = self._caller_ms + len(self._caller) / BYTES_PER_MS
        if abs(at_ms - end_ms) > UNEVEN_MS:
            self._pass_caller()
            self._caller_ms = at_ms
        self._caller += audio
        if len(self._caller) >= KEPT_BYTES:
            self._pass_caller()

    def bot(self, audio: bytes) -> None:
        """Take bot audio as it is sent."""
        plays_at = max(self._clock.now(), self._talk.parts.playout.plays_until)
        self._hear(Side.BOT, self._ms(plays_at), audio)

    def cleared(self) -> None:
        """The far end is told to drop what it has not played."""
        self._hear(Side.CLEARED, self._now_ms(), b"")

    # --- what happens ---------------------------------------------------------------------------

    def observed(self, heard: Heard) -> None:
        """A row of the turn table was taken."""
        phase = self._talk.phase
        self.happened("phase", phase=phase.value, cause=heard.value)
        if heard is Heard.REPLY_STARTED and phase is Phase.SPEAKING:
            stages_ms = self._talk.parts.minutes.stages_ms
            if stages_ms:
                self.happened("bot.answer", **_latency(stages_ms))

    def recognised(self, event: TranscriptEvent) -> None:
        """The recogniser has delivered something."""
        match event:
            case Partial(utterance=utterance, text=text):
                self.happened("caller.partial", utterance=utterance, text=text)
            case Final(utterance=utterance, text=text):
                self.happened("caller.final", utterance=utterance, text=text)
            case _:
                pass

    def turn(self, turn: Turn) -> None:
        """One side has had its say."""
        self.happened(
            "turn",
            stream=self.stream_sid,
            index=turn.index,
            role=turn.role,
            source=turn.source,
            said=turn.said,
            heard=turn.heard,
            interrupted=turn.interrupted,
            started_ms=round(turn.started_s * 1_000),
            ended_ms=round(turn.ended_s * 1_000),
            **_latency(turn.stages_ms),
        )

    def happened(self, kind: str, **more: Any) -> None:
        event = self._event(kind, **more)
        for viewer in self.viewers.values():
            viewer.tell(event)

    def ended(self, reason: str) -> None:
        """The stream is over; nothing comes after this."""
        self.look()
        self.happened("stream.ended", reason=reason)
        self.over = True

    def look(self) -> None:
        """Take what nobody tells of: how far the bot is, and which tools run."""
        if self.over:
            return
        self._pass_caller()
        if says := self._says():
            for viewer in self.viewers.values():
                viewer.tell(says)
        tools = self._talk.parts.speaker.tools.at_work
        if tools != self._told_of_tools:
            self._told_of_tools = tools
            self.happened("tools", running=list(tools))

    # --- inside ---------------------------------------------------------------------------------

    def _says(self) -> dict[str, Any] | None:
        """Return how far the bot's talk is, if that is news."""
        talk = self._talk.parts.playout.talk
        if talk.kept or not talk.passages:
            return None
        said = talk.said()
        state = (talk.number, talk.source, said, talk.heard(self._clock.now()))
        if state == self._told_of_talk:
            return None
        self._told_of_talk = state
        names = ("talk", "source", "said", "heard")
        return self._event("bot.says", **dict(zip(names, state, strict=True)))

    def _pass_caller(self) -> None:
        if self._caller:
            audio = bytes(self._caller)
            self._caller.clear()
            self._hear(Side.CALLER, self._caller_ms, audio)
            self._caller_ms += len(audio) / BYTES_PER_MS

    def _hear(self, side: Side, at_ms: float, audio: bytes) -> None:
        packed = sound(side, max(0, round(at_ms)), audio)
        for viewer in self.viewers.values():
            if viewer.audio:
                viewer.hear(packed, len(audio))

    def _event(self, kind: str, **more: Any) -> dict[str, Any]:
        return {"kind": kind, "at_ms": round(self._now_ms()), **more}

    def _now_ms(self) -> float:
        return self._ms(self._clock.now())

    def _ms(self, at: float) -> float:
        return (at - self._talk.started_at) * 1_000


@dataclass(slots=True)
class Outlet:
    """Where a stream's tap is put, while there is one."""

    tap: Tap | None = None


def _latency(stages_ms: Mapping[str, float]) -> dict[str, Any]:
    latency_ms = round(sum(stages_ms.values()), 1) if stages_ms else None
    return {"stages_ms": dict(stages_ms), "latency_ms": latency_ms}
