"""What adapters add to their vendors' own delay: fifty streams at once, on one core.

    python -m tests.benchmarks.adapters                 # every adapter
    python -m tests.benchmarks.adapters llm-openai tts-cartesia --streams 50 --seconds 20

The stand-in runs in another process, on another core, waits 100 ms before its first piece and sends
the rest at a pace (fifty tokens a second; audio faster than it is heard). Streams begin spread over
time, as calls do. What is printed is the time from the request to the first piece, less the time
from the request's arrival at the vendor to the beginning of its answer, request by request, by the
one clock of the machine; for recognisers, whose stand-ins answer at once, from the end of the
utterance to its final. So the loopback, and the stand-in's own parsing before the arrival, count as
ours.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import uvloop

from apps.providers import connections
from apps.voice.ports import (
    ChatMessage,
    Final,
    SpokenDelta,
    TextDelta,
    TranscriptEvent,
    TranscriptionFailed,
    Warmable,
)
from tests.benchmarks.servers import LOAD_CORE, ROOT, SERVER_CORE, pin
from tests.vendors.kinds import Subject
from tests.vendors.serving import serving
from tests.vendors.subjects import EARS, MODELS, SPEAKERS, VOICES

DELAY_S = 0.1
# Fifty tokens a second; audio in pieces of up to 100 ms, ahead of its speaking as it is made.
PACE_S = {"llm": 0.02, "tts": 0.04, "stt": 0.0}
STREAMS = 50
SECONDS = 10.0
GOAL_MS = 5.0
FRAME = b"\x20\xa0" * 80
SILENCE = b"\xff" * 160
SENTENCE = "Certainly, we have a table, number {}, at half past seven."
HISTORY = (ChatMessage("system", "You are the front desk."),)

_numbers = count(1_000_000)


@dataclass(frozen=True)
class Took:
    """A request: when it was made, when its first piece was here, and the number it brought."""

    began: float
    first: float
    number: str = ""

    def ours_s(self, times: dict[str, tuple[float, float]]) -> float:
        """Return the time that was not the vendor's: all of it but from arrival to answer.

        A recogniser's stand-in answers at once, so there all of it counts. One that does not tell
        its times took its delay at least.
        """
        if not self.number:
            return self.first - self.began
        arrived, answered = times.get(self.number, (0.0, DELAY_S))
        return self.first - self.began - (answered - arrived)


Once = Callable[[Any], Awaitable[Took]]


def subjects() -> dict[str, Subject]:
    """Return every adapter by its name here."""
    return {subject.id: subject for subject in (*MODELS, *SPEAKERS, *VOICES, *EARS)}


async def serve(subject: Subject, handshake_s: float) -> None:
    """Be the vendor, until killed."""
    stand_in = subject.stand_in()
    stand_in.delay_s, stand_in.pace_s, stand_in.handshake_s = (
        DELAY_S,
        PACE_S[subject.kind],
        handshake_s,
    )
    if subject.kind == "llm":
        stand_in.answer = [f"word{place} " for place in range(25)]
        stand_in.paced = b"word"
    if subject.kind == "stt":
        stand_in.transcripts = ["a table for two"] * 1_000_000
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with serving(stand_in):
        print(json.dumps({"url": stand_in.url}), flush=True)
        await over.wait()
    print(json.dumps(getattr(stand_in, "times", {})), flush=True)


@dataclass
class Vendor:
    """A vendor in another process. times: see ``StandIn``; known once it has ended."""

    url: str
    times: dict[str, tuple[float, float]] = field(default_factory=dict)


@asynccontextmanager
async def vendor(subject: Subject, handshake_s: float = 0.0) -> AsyncIterator[Vendor]:
    """Start the vendor as a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.adapters", "--serve", subject.id]
    command += ["--handshake", str(handshake_s)]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=subprocess.PIPE, limit=2**24, preexec_fn=lambda: pin(LOAD_CORE)
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        running = Vendor(json.loads(line)["url"])
        yield running
        process.terminate()
        running.times = json.loads(await asyncio.wait_for(process.stdout.readline(), 10))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def model_once(mind: Any) -> Took:
    """Ask once, and take the whole answer."""
    number = str(next(_numbers))
    history = (*HISTORY, ChatMessage("user", f"A table for {number}?"))
    began, first = time.monotonic(), 0.0
    async with aclosing(mind.reply(history, ())) as events:
        async for event in events:
            if not first and isinstance(event, TextDelta | SpokenDelta):
                first = time.monotonic()
    return Took(began, first, number)


async def voice_once(voice: Any) -> Took:
    """Speak a sentence to its end."""
    number = str(next(_numbers))
    began, first = time.monotonic(), 0.0
    async with aclosing(voice.speak(SENTENCE.format(number))) as pieces:
        async for piece in pieces:
            if not first and isinstance(piece, bytes):
                first = time.monotonic()
    return Took(began, first, number)


class Listener:
    """A recogniser that is spoken to in real time for as long as its call lasts."""

    def __init__(self, ears: Any) -> None:
        self.ears = ears
        self.utterance = 0
        self.finals: asyncio.Queue[TranscriptEvent] = asyncio.Queue()

    def take(self, event: TranscriptEvent) -> None:
        if isinstance(event, Final | TranscriptionFailed):
            self.finals.put_nowait(event)

    async def once(self) -> Took:
        """Say a second of speech, be silent as long as a turn's end takes, await the final."""
        self.utterance += 1
        loop = asyncio.get_running_loop()
        due = loop.time()
        for place in range(65):
            self.ears.hear(FRAME if place < 50 else SILENCE)
            if place == 10:
                self.ears.begin(self.utterance)
            if place == 55:
                self.ears.pause()
            due += 0.02
            await asyncio.sleep(due - loop.time())
        began = time.monotonic()
        self.ears.finish()
        final = await asyncio.wait_for(self.finals.get(), 10)
        if not isinstance(final, Final) or not final.text:
            raise RuntimeError(f"no transcript: {final}")
        return Took(began, time.monotonic())

    async def aclose(self) -> None:
        await self.ears.aclose()


async def _ready(subject: Subject, url: str) -> tuple[Any, Once]:
    built = subject.build(subject.service(url))
    if isinstance(built, Warmable):
        await built.warm()
    if subject.kind == "stt":
        listener = Listener(built)
        await built.open(listener.take)
        return listener, lambda listener: listener.once()
    return built, model_once if subject.kind == "llm" else voice_once


async def measure(subject: Subject, *, streams: int, seconds: float) -> list[float]:
    """Hold ``streams`` at once for ``seconds``; return what each request took of ours, in s."""
    os.environ.update(subject.environment)
    async with vendor(subject) as running:
        calls = [await _ready(subject, running.url) for _ in range(streams)]
        # As the gateway does at its start (apps.gateway.lifespan).
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 10, 10)
        until = time.monotonic() + seconds
        found: list[Took] = []

        async def run(place: int, provider: Any, once: Once) -> None:
            await asyncio.sleep(place / streams)
            while time.monotonic() < until:
                found.append(await once(provider))

        try:
            async with asyncio.TaskGroup() as group:
                for place, (provider, once) in enumerate(calls):
                    group.create_task(run(place, provider, once))
        finally:
            for provider, _ in calls:
                await provider.aclose()
            await connections.aclose()
            gc.unfreeze()
    return [took.ours_s(running.times) for took in found]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the values do not pass."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


async def main(names: Sequence[str], *, streams: int, seconds: float, as_json: bool) -> int:
    pin(SERVER_CORE)
    found = subjects()
    if unknown := [name for name in names if name not in found]:
        print(f"Unknown: {', '.join(unknown)}. Known: {', '.join(found)}.", file=sys.stderr)
        return 2
    rows = []
    if not as_json:
        print(
            f"{streams} streams at once, {seconds:g} s each; ms beyond the vendor's {DELAY_S:g} s"
        )
        heads = f"{'adapter':24}{'requests':>10}{'p50':>8}{'p95':>8}{'p99':>8}"
        print(f"{heads}{'of 5 ms':>9}")
    for name in names or list(found):
        times = await measure(found[name], streams=streams, seconds=seconds)
        p50, p95, p99 = (1_000 * percentile(times, share) for share in (0.5, 0.95, 0.99))
        rows.append({"adapter": name, "requests": len(times), "p50": p50, "p95": p95, "p99": p99})
        if not as_json:
            ratio = f"{p95 / GOAL_MS:.2f} x"
            print(f"{name:24}{len(times):10}{p50:8.1f}{p95:8.1f}{p99:8.1f}{ratio:>9}", flush=True)
    if as_json:
        print(json.dumps(rows))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapters", nargs="*", help="as in the table; all of them without")
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="per adapter")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    parser.add_argument("--smoke", action="store_true", help="one of each kind, for two seconds")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--handshake", type=float, default=0.0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.smoke:
        given.adapters = ["llm-openai", "llm-anthropic", "tts-cartesia", "stt-deepgram"]
        given.seconds = 2.0
    if given.serve:
        uvloop.run(serve(subjects()[given.serve], given.handshake))
    else:
        sys.exit(
            uvloop.run(
                main(
                    given.adapters,
                    streams=given.streams,
                    seconds=given.seconds,
                    as_json=given.json,
                )
            )
        )
