"""The far end of a stream: an ear, a mouth, and the time that the call keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from apps.simulator.caller import FRAME_MS, NOISE_DB, CallerAudio
from apps.simulator.observer import Observer
from apps.simulator.pace import Pace
from apps.simulator.playout import Arrival, Playout
from apps.simulator.record import CallRecord
from apps.simulator.script import Scene
from apps.simulator.strictness import MEDIA_DISCARDED, Clear, Inspector, Label, Play
from apps.simulator.timeline import SPURT_GAP_S
from apps.voice.ports import Clock


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How the far end behaves. Seconds count from ``start``.

    start_after_s: from the open socket to ``start``. hang_up_after_s: the caller hangs up then,
    wherever the script is. max_s: no call is longer.
    """

    frame_ms: int = FRAME_MS
    noise_db: float = NOISE_DB
    max_s: float = 600.0
    hang_up_after_s: float = float("inf")
    start_after_s: float = 0.0
    keep_audio: bool = True


class FarEnd:
    """The ear and the mouth: everything about the call that is not writing to the socket."""

    def __init__(
        self, stream_sid: str, clock: Clock, options: CallOptions, observer: Observer
    ) -> None:
        self.caller = CallerAudio(frame_ms=options.frame_ms, noise_db=options.noise_db)
        self.inspector = Inspector(stream_sid, now=clock.now)
        self.playout = Playout(clock, echo=self._echo, keep_audio=options.keep_audio)
        self.pace = Pace(clock)
        self._echo_mark: Callable[[str], None] | None = None
        self.ended_by = ""
        self.deaf_until_s = float("-inf")
        self._watch = Watch(clock, observer)
        self._keep_audio = options.keep_audio

    @property
    def start_s(self) -> float:
        return self._watch.start_s

    def start(self, *, echo: Callable[[str], None]) -> float:
        """Begin the call's own time. From now on the server may send, and ``echo`` marks."""
        self.inspector.started = True
        self._echo_mark = echo
        return self._watch.start()

    def end(self, by: str) -> None:
        """Note who ended the call; the first to do so did."""
        if not self.ended_by:
            self.ended_by = by
            self.playout.close()
            self._watch.end(by)
            self.pace.wake()

    def scene(self) -> Scene:
        timeline = self.playout.timeline
        spurt_s = timeline.spurts[-1].start_s if timeline.spurts else float("-inf")
        return Scene(
            self._watch.now(), timeline.runs, spurt_s, timeline.dry_at, self.caller.talking
        )

    def notice_ends(self) -> None:
        """Tell the observer who has stopped talking since the last frame."""
        self._watch.notice(self.caller, self.playout)

    async def listen(self, opened: ClientConnection) -> None:
        """Take what the server sends until the socket closes."""
        ear = Pace(self._watch.clock)
        try:
            while True:
                frame = await opened.recv()
                while self._watch.now() < self.deaf_until_s:
                    await ear.until(self.deaf_until_s)
                self.take(frame)
        except ConnectionClosed:
            self.end("server")

    def record(self, close_code: int | None, close_reason: str) -> CallRecord:
        """Write down the call. Times become seconds since ``start``."""
        start_s, timeline = self.start_s, self.playout.timeline
        end_s = self._watch.end_s
        keep = self._keep_audio
        return CallRecord(
            ended_by=self.ended_by,
            close_code=close_code,
            close_reason=close_reason,
            duration_s=end_s - start_s,
            said=tuple(self.caller.said),
            spurts=tuple(
                replace(one, start_s=one.start_s - start_s, end_s=one.end_s - start_s)
                for one in timeline.spurts
            ),
            underruns=tuple(
                replace(one, start_s=one.start_s - start_s) for one in timeline.underruns
            ),
            findings=tuple(
                replace(one, at_s=one.at_s - start_s) for one in self.inspector.findings()
            ),
            warnings=tuple(self.inspector.warnings()),
            marks_echoed=self._watch.marks,
            caller=self.caller.track() if keep else b"",
            bot=timeline.heard(start_s, end_s) if keep else b"",
        )

    def take(self, frame: str | bytes) -> None:
        """Take one frame from the server."""
        match self.inspector.read(frame):
            case Play(audio):
                self._play(audio)
            case Label(name):
                self.playout.mark(name)
            case Clear():
                self._watch.cleared(self.playout.clear())

    def _play(self, audio: bytes) -> None:
        lost_s = self.playout.discarded_s
        arrival = self.playout.media(audio)
        if self.playout.discarded_s > lost_s:
            self.inspector.record(MEDIA_DISCARDED, "more than ten minutes of audio buffered")
        self._watch.arrived(arrival, self.playout)

    def _echo(self, name: str) -> None:
        self._watch.marks += 1
        if self._echo_mark is not None:
            self._echo_mark(name)


class Watch:
    """Keeps the call's time and tells the observer."""

    def __init__(self, clock: Clock, observer: Observer) -> None:
        self.clock = clock
        self.start_s = self.end_s = clock.now()
        self.marks = 0
        self._observer = observer
        self._bot_on = False
        self._caller_on = False

    def now(self) -> float:
        return self.clock.now()

    def start(self) -> float:
        self.start_s = self.now()
        self._observer.stream_started(self.start_s)
        return self.start_s

    def end(self, by: str) -> None:
        self.end_s = self.now()
        self._observer.call_ended(self.end_s, by)

    def cleared(self, dropped_s: float) -> None:
        self._observer.cleared(self.now(), dropped_s)

    def arrived(self, arrival: Arrival, playout: Playout) -> None:
        if arrival is Arrival.STARTED:
            self._bot_stopped(playout.timeline.spurts[-2].end_s if self._bot_on else 0.0)
            self._bot_on = True
            self._observer.bot_started(self.now())
        elif arrival is Arrival.RESUMED:
            self._observer.underrun(self.now(), playout.timeline.underruns[-1])

    def notice(self, caller: CallerAudio, playout: Playout) -> None:
        if self._caller_on and not caller.talking:
            self._observer.caller_stopped(self.now(), caller.said[-1])
        self._caller_on = caller.talking
        timeline = playout.timeline
        if self._bot_on and self._is_over(playout, self.now() - timeline.dry_at):
            self._bot_stopped(timeline.dry_at)

    def _is_over(self, playout: Playout, quiet_s: float) -> bool:
        return quiet_s >= SPURT_GAP_S or (quiet_s >= 0 and playout.timeline.spurts[-1].cleared)

    def _bot_stopped(self, at_s: float) -> None:
        if self._bot_on:
            self._bot_on = False
            self._observer.bot_stopped(at_s)
