"""What adapters add to their vendors' own delay: fifty streams at once, on one core.

    python -m tests.benchmarks.adapters                 # every adapter
    python -m tests.benchmarks.adapters llm-openai tts-cartesia --streams 50 --seconds 20

The stand-in runs in another process, on another core, waits 100 ms before its first piece and sends
the rest at the pace of speech. Streams begin spread over time, as calls do. What is printed is the
time from the request to the first piece (for recognisers: from the end of the utterance to its
final), less those 100 ms: so the loopback and the stand-in's own work count as ours. *vendor late*
is how much longer than 100 ms it waited itself (p95): where that is much, the machine was busy.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
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
# Fifty tokens a second; audio in pieces of 100 ms, as it is spoken.
PACE_S = {"llm": 0.02, "tts": 0.1, "stt": 0.0}
STREAMS = 50
SECONDS = 10.0
GOAL_MS = 5.0
FRAME = b"\x20\xa0" * 80
SENTENCE = "Certainly, we have a table for two at half past seven this evening."
HISTORY = (ChatMessage("system", "You are the front desk."), ChatMessage("user", "A table?"))

Once = Callable[[Any], Awaitable[float]]


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
    if subject.kind == "stt":
        stand_in.transcripts = ["a table for two"] * 1_000_000
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with serving(stand_in):
        print(json.dumps({"url": stand_in.url}), flush=True)
        await over.wait()
    print(json.dumps({"late_s": percentile(stand_in.late_s or [0.0], 0.95)}), flush=True)


@dataclass
class Vendor:
    """A vendor in another process. late_s: p95 of how late it was itself, once it has ended."""

    url: str
    late_s: float = 0.0


@asynccontextmanager
async def vendor(subject: Subject, handshake_s: float = 0.0) -> AsyncIterator[Vendor]:
    """Start the vendor as a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.adapters", "--serve", subject.id]
    command += ["--handshake", str(handshake_s)]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=subprocess.PIPE, preexec_fn=lambda: pin(LOAD_CORE)
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        running = Vendor(json.loads(line)["url"])
        yield running
        process.terminate()
        running.late_s = json.loads(await asyncio.wait_for(process.stdout.readline(), 10))["late_s"]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def model_once(mind: Any) -> float:
    """Ask once, take the whole answer; return seconds to its first piece."""
    began, first = time.perf_counter(), 0.0
    async with aclosing(mind.reply(HISTORY, ())) as events:
        async for event in events:
            if not first and isinstance(event, TextDelta | SpokenDelta):
                first = time.perf_counter() - began
    return first


async def voice_once(voice: Any) -> float:
    """Speak a sentence to its end; return seconds to its first sound."""
    began, first = time.perf_counter(), 0.0
    async with aclosing(voice.speak(SENTENCE)) as pieces:
        async for piece in pieces:
            if not first and isinstance(piece, bytes):
                first = time.perf_counter() - began
    return first


class Listener:
    """A recogniser that is spoken to in real time for as long as its call lasts."""

    def __init__(self, ears: Any) -> None:
        self.ears = ears
        self.utterance = 0
        self.finals: asyncio.Queue[TranscriptEvent] = asyncio.Queue()

    def take(self, event: TranscriptEvent) -> None:
        if isinstance(event, Final | TranscriptionFailed):
            self.finals.put_nowait(event)

    async def once(self) -> float:
        """Say a second of speech; return seconds from its end to its final."""
        self.utterance += 1
        loop = asyncio.get_running_loop()
        due = loop.time()
        for place in range(50):
            self.ears.hear(FRAME)
            if place == 10:
                self.ears.begin(self.utterance)
            due += 0.02
            await asyncio.sleep(due - loop.time())
        began = time.perf_counter()
        self.ears.finish()
        final = await asyncio.wait_for(self.finals.get(), 10)
        if not isinstance(final, Final) or not final.text:
            raise RuntimeError(f"no transcript: {final}")
        return time.perf_counter() - began

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


async def measure(subject: Subject, *, streams: int, seconds: float) -> tuple[list[float], float]:
    """Hold ``streams`` at once for ``seconds``.

    Returns every first piece's time, and how late the vendor itself was (p95), in s.
    """
    async with vendor(subject) as running:
        calls = [await _ready(subject, running.url) for _ in range(streams)]
        gc.collect()
        gc.freeze()
        until = time.perf_counter() + seconds
        found: list[float] = []

        async def run(place: int, provider: Any, once: Once) -> None:
            await asyncio.sleep(place / streams)
            while time.perf_counter() < until:
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
    return found, running.late_s


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
        print(f"{heads}{'of 5 ms':>9}{'vendor late':>13}")
    for name in names or list(found):
        times, late_s = await measure(found[name], streams=streams, seconds=seconds)
        # Recognisers' stand-ins answer at once: their delay would be our audio's.
        own_s = 0.0 if found[name].kind == "stt" else DELAY_S
        p50, p95, p99 = (1_000 * (percentile(times, s) - own_s) for s in (0.5, 0.95, 0.99))
        row = {"p50": p50, "p95": p95, "p99": p99, "vendor_late_p95": late_s * 1_000}
        rows.append({"adapter": name, "requests": len(times), **row})
        if not as_json:
            ratio = f"{p95 / GOAL_MS:.2f} x"
            line = f"{name:24}{len(times):10}{p50:8.1f}{p95:8.1f}{p99:8.1f}{ratio:>9}"
            print(f"{line}{late_s * 1_000:13.1f}", flush=True)
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
