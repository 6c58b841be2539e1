"""The load: many simulated calls, or many echoed streams, from one event loop."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from websockets.asyncio.client import connect

from apps.gateway.stock import stock_clips
from apps.simulator.caller import CallerAudio, Said, Speech
from apps.simulator.far_end import CallOptions
from apps.simulator.observer import Observer
from apps.simulator.script import AwaitBot, AwaitOnset, HangUp, Pause, Say, Script, Step
from apps.simulator.stream import SimulatedCall
from apps.simulator.timeline import Hole
from apps.simulator.wire import Dial, StreamRefused
from apps.telephony import inbound
from apps.voice.clock import LoopClock

# New calls a second while the load builds up: twenty times what a Twilio account dials by default.
ARRIVALS = 20.0
NOISE_DB = -60.0


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

    place: the call's number; it shifts the pauses, so that the calls do not march in step.
    """
    steps: list[Step] = [AwaitBot(quiet_s=0.3 + place % 7 * 0.1, start_within_s=3)]
    # A question, its pause and its answer take about seven seconds.
    for turn in range(max(1, int(seconds / 7))):
        steps += [Say(speech), Pause(0.02)]
        if turn % 3 == 1:
            steps += [AwaitOnset(1.2 + place % 5 * 0.1, start_within_s=5)]
        else:
            steps += [AwaitBot(quiet_s=0.5 + place % 11 * 0.05, start_within_s=5)]
    return [*steps, HangUp()]


async def calls_run(
    url: str, parameters: Mapping[str, str], *, calls: int, seconds: float
) -> Figures:
    """Hold ``calls`` calls at once for about ``seconds`` each; return what they saw."""
    figures = Figures()
    speech = Speech.of(stock_clips()["idle"].audio, label="Are you still there?")

    async def one(place: int) -> None:
        await asyncio.sleep(place / ARRIVALS)
        stream = inbound.Stream(f"MZ{place:032x}", f"CA{place:032x}", "AC" + "0" * 32, parameters)
        left_s = seconds + (calls - place) / ARRIVALS
        call = SimulatedCall(
            Dial(url, stream),
            Script(talk(speech, seconds=left_s, place=place)),
            clock=LoopClock(asyncio.get_running_loop()),
            options=CallOptions(noise_db=NOISE_DB, max_s=left_s + 30, keep_audio=False),
            observer=Caller(figures),
        )
        try:
            record = await call.run()
        except StreamRefused:
            figures.refused += 1
        else:
            figures.findings += len(record.findings)

    async with asyncio.TaskGroup() as group:
        for place in range(calls):
            group.create_task(one(place))
    return figures


async def echoes_run(url: str, *, streams: int, seconds: float) -> list[float]:
    """Send every stream's frames for ``seconds``; return how long each hundredth took, in ms."""
    delays: list[float] = []
    caller = CallerAudio(noise_db=NOISE_DB)
    payloads = [caller.next_payload() for _ in range(50)]

    async def one(place: int) -> None:
        await asyncio.sleep(place / ARRIVALS)
        async with connect(url, compression=None, proxy=None, ping_interval=None) as opened:
            sent: dict[int, float] = {}

            async def listen() -> None:
                number = 0
                async for _ in opened:
                    if number in sent:
                        delays.append((time.monotonic() - sent.pop(number)) * 1_000)
                    number += 1

            listening = asyncio.create_task(listen())
            start = time.monotonic()
            frames = int((seconds + (streams - place) / ARRIVALS) * 50)
            for frame in range(frames):
                text = inbound.media(
                    f"MZ{place:032x}",
                    sequence=frame,
                    chunk=frame,
                    timestamp_ms=frame * 20,
                    payload=payloads[frame % 50],
                )
                if frame % 100 == 0:
                    sent[frame] = time.monotonic()
                await opened.send(text)
                await asyncio.sleep(max(0.0, start + (frame + 1) * 0.02 - time.monotonic()))
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async with asyncio.TaskGroup() as group:
        for place in range(streams):
            group.create_task(one(place))
    return delays


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the values do not exceed; NaN of nothing."""
    if not values:
        return math.nan
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]
