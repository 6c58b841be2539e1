"""Does one call's trouble delay another call's audio?

    python -m tests.benchmarks.isolation             # 60 calls, SQLite
    DATABASE_URL=postgres://… python -m tests.benchmarks.isolation

Watches when each piece of bot audio arrives at sixty callers, against when it was due: first
while all is well, then while the database answers nobody for 0.3 s out of every second, then while
twelve more calls hang on a provider that ignores even its cancellation. On PostgreSQL the tables
of bots and accounts are locked, so that the admission of every new call waits as well; on SQLite
the writing side is, which is the journal's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson
import psycopg
import uvloop

from apps.gateway.stock import stock_clips
from apps.simulator.caller import Speech
from apps.voice.playout import LEAD_S, PIECE_S
from tests.benchmarks.load import ARRIVALS, Beat, Figures, LoadCall, quantile
from tests.benchmarks.media import BODY
from tests.benchmarks.servers import LOAD_CORE, Server, gateway_server, pin, request
from tests.benchmarks.wire import raw_open

BLOCK_S, EVERY_S = 0.3, 1.0
STUCK_CALLS = 12
# More than this behind its schedule, and a piece begins a new talk rather than comes late.
NEW_TALK_S = 0.5


def stuck_body() -> dict[str, Any]:
    """Return a bot whose model never answers and never lets go."""
    body: dict[str, Any] = deepcopy(BODY)
    body["config"]["llm"]["fault"] = "hang"
    return body


@dataclass(slots=True)
class Lateness:
    """How late pieces of audio came, in ms, by what was going on."""

    chapter: str = "arriving"
    found: dict[str, list[float]] = field(default_factory=dict)

    def note(self, late_s: float) -> None:
        self.found.setdefault(self.chapter, []).append(late_s * 1_000)


class Schedule:
    """When one call's next piece is due: the playout keeps a short lead, on absolute deadlines."""

    def __init__(self, lateness: Lateness) -> None:
        self._lateness = lateness
        self._plays_until = 0.0

    def take(self, payload: bytes) -> None:
        now = time.monotonic()
        message = orjson.loads(payload)
        if message["event"] == "clear":
            self._plays_until = 0.0
        if message["event"] != "media":
            return
        seconds = len(message["media"]["payload"]) * 3 // 4 / 8_000
        due = self._plays_until - (LEAD_S - PIECE_S)
        if now - due < NEW_TALK_S:
            self._lateness.note(now - due)
        else:
            self._plays_until = now
        self._plays_until += seconds


class WatchedCall(LoadCall):
    """A caller who also looks at the clock."""

    schedule: Schedule

    def hear(self, payload: bytes) -> None:
        self.schedule.take(payload)
        super().hear(payload)


@contextmanager
def blocked_at_times(block: Callable[[], Callable[[], None]]) -> Iterator[None]:
    """Block the database for BLOCK_S out of every EVERY_S, in a thread, until left."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            release = block()
            time.sleep(BLOCK_S)
            release()
            over.wait(EVERY_S - BLOCK_S)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def blocker(database: str) -> Callable[[], Callable[[], None]]:
    """Return what blocks a database; calling its result lets go again."""
    if not database.startswith("sqlite"):
        return lambda: _lock_tables(database)
    return lambda: _lock_file(urlsplit(database).path[1:])


def _lock_file(path: str) -> Callable[[], None]:
    held = sqlite3.connect(path, timeout=10, isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")

    def release() -> None:
        held.execute("ROLLBACK")
        held.close()

    return release


def _lock_tables(database: str) -> Callable[[], None]:
    held = psycopg.connect(database)
    held.execute("LOCK TABLE bots_twilioconfig, accounts_account, calls_call")

    def release() -> None:
        held.rollback()
        held.close()

    return release


def parameters_of(server: Server, account: Mapping[str, str], body: Any) -> dict[str, str]:
    """Make a bot and return what its TwiML gives a stream."""
    bot = request(server, "POST", "/twilio-config", key=account["api_key"], body=body)
    return dict(re.findall(r'<Parameter name="(\w+)" value="([^"]+)"', bot["twiml"]))


class Crowd:
    """Calls over one beat."""

    def __init__(self, port: int, lateness: Lateness) -> None:
        self._port = port
        self._lateness = lateness
        self._speech = Speech.of(stock_clips()["idle"].audio, label="Are you still there?")
        self.beat = Beat()

    async def call(self, place: int, parameters: Mapping[str, str], *, seconds: float) -> None:
        call = WatchedCall(place, parameters, Figures(), speech=self._speech, seconds=seconds)
        # The stuck calls' own audio is not what is asked about.
        watched = self._lateness if place < 1_000 else Lateness()
        call.schedule = Schedule(watched)
        call.open(await raw_open(self._port, "/media/twilio", call.hear))
        self.beat.join(place, call.frame)
        await call.over.wait()
        self.beat.leave(place, call.frame)


async def chapters(
    server: Server, well: Mapping[str, str], stuck: Mapping[str, str], calls: int, seconds: float
) -> Lateness:
    """Run the calls through quiet, a blocked database, and stuck neighbours."""
    lateness = Lateness()
    crowd = Crowd(server.port, lateness)
    beating = asyncio.create_task(crowd.beat.run())
    arriving = calls / ARRIVALS
    async with asyncio.TaskGroup() as group:
        for place in range(calls):
            left = arriving - place / ARRIVALS + 3 * seconds + 3
            group.create_task(crowd.call(place, well, seconds=left))
            await asyncio.sleep(1 / ARRIVALS)
        await asyncio.sleep(2)
        lateness.chapter = "quiet"
        await asyncio.sleep(seconds)
        lateness.chapter = "database blocked"
        with blocked_at_times(blocker(server.database)):
            group.create_task(crowd.call(2_000, well, seconds=2))  # somebody calls meanwhile
            await asyncio.sleep(seconds)
        lateness.chapter = "neighbours stuck"
        for place in range(STUCK_CALLS):
            group.create_task(crowd.call(1_000 + place, stuck, seconds=seconds - 1))
        await asyncio.sleep(seconds)
        lateness.chapter = "leaving"
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)
    return lateness


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each chapter")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    pin(LOAD_CORE)
    with (
        gateway_server() as (server, account),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        well = parameters_of(server, account, BODY)
        stuck = parameters_of(server, account, stuck_body())
        lateness = runner.run(chapters(server, well, stuck, options.calls, options.seconds))
    shown = {
        name: {
            "pieces": len(found),
            **{f"p{share}": round(quantile(found, share / 100), 1) for share in (50, 95, 99)},
            "max": round(max(found), 1),
        }
        for name, found in lateness.found.items()
        if name not in ("arriving", "leaving")
    }
    quiet = shown["quiet"]["p99"]
    for figures in shown.values():
        figures["p99_beyond_quiet"] = round(figures["p99"] - quiet, 1)
    if options.json:
        print(json.dumps(shown))
        return
    print("How late a piece of bot audio came, in ms:")
    for name, figures in shown.items():
        print(f"  {name:18}" + "  ".join(f"{key} {value}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
