"""The load: many simulated calls, or many echoed streams, from one event loop."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from apps.gateway.stock import stock_clips
from apps.simulator.caller import CallerAudio, Said, Speech
from apps.simulator.far_end import CallOptions, FarEnd
from apps.simulator.observer import Observer
from apps.simulator.script import AwaitBot, AwaitOnset, HangUp, Pause, Say, Script, Step
from apps.simulator.timeline import Hole
from apps.telephony import inbound
from apps.voice.clock import LoopClock
from tests.benchmarks.wire import RawSocket, raw_open

# New calls a second while the load builds up: twenty times what a Twilio account dials by default.
ARRIVALS = 20.0
NOISE_DB = -60.0
# A beat counts for a frame that is due this soon: it must not wait for the next one.
EARLY_S = 0.002


@dataclass(slots=True)
class Figures:
    """What the callers saw. Times in ms."""

    greeting: list[float] = field(default_factory=list)
    answer: list[float] = field(default_factory=list)
    clear: list[float] = field(default_factory=list)
    underruns: int = 0
    spurts: int = 0
    refused: int = 0
    findings: int = 0
    send_late: list[float] = field(default_factory=list)


class Caller(Observer):
    """Watches one call and adds to the figures."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._start_s = 0.0
        self._said: Said | None = None
        self._answered = True
        self._over_bot_s: float | None = None
        self._talking = False

    def stream_started(self, at_s: float) -> None:
        self._start_s = at_s

    def frame_sent(self, at_s: float, index: int) -> None:
        if index % 25 == 0:
            self._figures.send_late.append((at_s - self._start_s - (index + 1) * 0.02) * 1_000)

    def caller_started(self, at_s: float, said: Said) -> None:
        self._said, self._answered = said, False
        self._over_bot_s = self._start_s + said.from_ms / 1_000 if self._talking else None

    def bot_started(self, at_s: float) -> None:
        self._figures.spurts += 1
        self._talking = True
        if self._said is None:
            if self._figures.spurts and not self._answered:
                return
            self._figures.greeting.append((at_s - self._start_s) * 1_000)
        elif not self._answered:
            self._answered = True
            end_s = self._start_s + self._said.to_ms / 1_000
            self._figures.answer.append((at_s - end_s) * 1_000)

    def bot_stopped(self, at_s: float) -> None:
        self._talking = False

    def underrun(self, at_s: float, hole: Hole) -> None:
        self._figures.underruns += 1

    def cleared(self, at_s: float, dropped_s: float) -> None:
        if self._over_bot_s is not None:
            self._figures.clear.append((at_s - self._over_bot_s) * 1_000)
            self._over_bot_s = None


def talk(speech: Speech, *, seconds: float, place: int) -> list[Step]:
    """Write a caller's script: greeting, then questions, every third over the bot's answer.

    seconds: how long it has to last, at the least. place: the call's number; it shifts the pauses,
    so that the calls do not march in step.
    """
    steps: list[Step] = [AwaitBot(quiet_s=0.3 + place % 7 * 0.1, start_within_s=3)]
    # A question, its pause and its answer take from three to seven seconds.
    for turn in range(int(seconds / 3) + 1):
        steps += [Say(speech), Pause(0.02)]
        if turn % 3 == 1:
            steps += [AwaitOnset(1.2 + place % 5 * 0.1, start_within_s=5)]
        else:
            steps += [AwaitBot(quiet_s=0.5 + place % 11 * 0.05, start_within_s=5)]
    return [*steps, HangUp()]


class Beat:
    """Fires everybody's 20 ms frames from one timer, spread over slots of 4 ms."""

    SLOTS = 5

    def __init__(self) -> None:
        self._slots: list[list[Callable[[float], None]]] = [[] for _ in range(self.SLOTS)]

    def join(self, place: int, frame: Callable[[float], None]) -> None:
        self._slots[place % self.SLOTS].append(frame)

    def leave(self, place: int, frame: Callable[[float], None]) -> None:
        self._slots[place % self.SLOTS].remove(frame)

    async def run(self) -> None:
        step = 0.02 / self.SLOTS
        began, beat = time.monotonic(), 0
        while True:
            for frame in list(self._slots[beat % self.SLOTS]):
                frame(time.monotonic())
            beat += 1
            await asyncio.sleep(max(0.0, began + beat * step - time.monotonic()))


class LoadCall:
    """A simulated call without a task of its own: the simulator's ear, mouth and script."""

    def __init__(
        self,
        place: int,
        parameters: Mapping[str, str],
        figures: Figures,
        *,
        speech: Speech,
        seconds: float,
    ) -> None:
        self.place = place
        self._seconds = seconds
        self._stream = inbound.Stream(
            f"MZ{place:032x}", f"CA{place:032x}", "AC" + "0" * 32, parameters
        )
        self._script = Script(talk(speech, seconds=seconds, place=place))
        self._figures = figures
        self._observer = Caller(figures)
        clock = LoopClock(asyncio.get_running_loop())
        options = CallOptions(noise_db=NOISE_DB, keep_audio=False)
        self._far = FarEnd(self._stream.stream_sid, clock, options, self._observer)
        self._sequence = 0
        self._socket: RawSocket
        self.over = asyncio.Event()

    def open(self, opened: RawSocket) -> None:
        self._socket = opened
        opened.send(inbound.connected())

    def hear(self, payload: bytes) -> None:
        self._far.take(payload.decode())

    def frame(self, now: float) -> None:
        """Send the frames that are due: one, or more if we are late. The first beat is start."""
        if not self._sequence:
            self._far.start(echo=self._echo)
            self._socket.send(inbound.started(self._stream, sequence=self._number()))
            return
        if now - self._far.start_s >= self._seconds:
            self._end()
            return
        while now - self._far.start_s >= (self._far.caller.frames + 1) * 0.02 - EARLY_S:
            self._one(now)
            if self.over.is_set():
                return

    def _one(self, now: float) -> None:
        for act in self._script.advance(self._far.scene()):
            if isinstance(act, Say):
                self._observer.caller_started(now, self._far.caller.say(act.speech))
            elif isinstance(act, HangUp):
                self._end()
                return
        index = self._far.caller.frames
        self._observer.frame_sent(now, index)
        self._socket.send(
            inbound.media(
                self._stream.stream_sid,
                sequence=self._number(),
                chunk=index + 1,
                timestamp_ms=index * 20,
                payload=self._far.caller.next_payload(),
            )
        )
        self._far.notice_ends()
        if self._socket.closed.done():
            self._figures.refused += 1
            self._end()

    def _end(self) -> None:
        self._socket.send(inbound.stopped(self._stream, sequence=self._number()))
        self._far.end("script")
        self._figures.findings += len(self._far.inspector.findings())
        self._socket.close()
        self.over.set()

    def _echo(self, name: str) -> None:
        self._socket.send(inbound.mark(self._stream, sequence=self._number(), name=name))

    def _number(self) -> int:
        self._sequence += 1
        return self._sequence


async def calls_run(
    port: int, parameters: Mapping[str, str], *, calls: int, seconds: float
) -> Figures:
    """Hold ``calls`` calls at once for about ``seconds`` each; return what they saw."""
    figures = Figures()
    speech = Speech.of(stock_clips()["idle"].audio, label="Are you still there?")
    beat = Beat()
    beating = asyncio.create_task(beat.run())

    async def one(place: int) -> None:
        await asyncio.sleep(place / ARRIVALS)
        left_s = seconds + (calls - place) / ARRIVALS
        call = LoadCall(place, parameters, figures, speech=speech, seconds=left_s)
        call.open(await raw_open(port, "/media/twilio", call.hear))
        beat.join(place, call.frame)
        await call.over.wait()
        beat.leave(place, call.frame)

    async with asyncio.TaskGroup() as group:
        for place in range(calls):
            group.create_task(one(place))
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)
    return figures


class EchoStream:
    """One stream of frames that come back as they went."""

    def __init__(self, place: int, payloads: Sequence[str], delays: list[float]) -> None:
        self._sid = f"MZ{place:032x}"
        self._payloads = payloads
        self._delays = delays
        self._sent: dict[int, float] = {}
        self._out = self._back = 0
        self._start = time.monotonic()
        self.socket: RawSocket

    def hear(self, _payload: bytes) -> None:
        if self._back in self._sent:
            self._delays.append((time.monotonic() - self._sent.pop(self._back)) * 1_000)
        self._back += 1

    def frame(self, now: float) -> None:
        while now - self._start >= self._out * 0.02:
            number = self._out
            if number % 50 == 0:
                self._sent[number] = now
            self.socket.send(
                inbound.media(
                    self._sid,
                    sequence=number,
                    chunk=number,
                    timestamp_ms=number * 20,
                    payload=self._payloads[number % 50],
                )
            )
            self._out += 1


async def echoes_run(port: int, *, streams: int, seconds: float) -> list[float]:
    """Send every stream's frames for ``seconds``; return how long each fiftieth took, in ms."""
    delays: list[float] = []
    caller = CallerAudio(noise_db=NOISE_DB)
    payloads = [caller.next_payload() for _ in range(50)]
    beat = Beat()
    beating = asyncio.create_task(beat.run())

    async def one(place: int) -> None:
        await asyncio.sleep(place / ARRIVALS)
        stream = EchoStream(place, payloads, delays)
        stream.socket = await raw_open(port, "/", stream.hear)
        beat.join(place, stream.frame)
        await asyncio.sleep(seconds + (streams - place) / ARRIVALS)
        beat.leave(place, stream.frame)
        stream.socket.close()

    async with asyncio.TaskGroup() as group:
        for place in range(streams):
            group.create_task(one(place))
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)
    return delays


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the values do not exceed; NaN of nothing."""
    if not values:
        return math.nan
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]
