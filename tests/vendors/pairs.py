"""Calls through every pair of providers, over a real gateway and a simulated phone.

    python -m tests.vendors.pairs            # prints the matrix; fails if a call does
    python -m tests.vendors.pairs --json

Every two of (recogniser, model, voice) that a bot may combine meet in at least one call. The
vendors are the stand-ins of the conformance suite, the phone is the simulator, the gateway a
process of its own. In each call the bot speaks first, the caller says a sentence, the bot answers:
what was heard is measured (length and level of the bot's audio, holes in it), what was understood
is read from the journal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from apps.gateway.stock import stock_clips
from apps.simulator.caller import Speech
from apps.simulator.far_end import CallOptions
from apps.simulator.record import CallRecord
from apps.simulator.script import Script, conversation
from apps.simulator.stream import SimulatedCall
from apps.simulator.wire import Dial, StreamRefused
from apps.telephony.inbound import Stream
from apps.voice import g711
from apps.voice.clock import LoopClock
from tests.benchmarks.servers import Server, gateway_server, request
from tests.vendors.kinds import Subject, VoiceStandIn
from tests.vendors.serving import KEY, serving
from tests.vendors.subjects import EARS, MODELS, SPEAKERS, VOICES

AT_ONCE = 10
OPENING = "Good morning, this is the front desk."
HEARD = "book a table"
LEVEL_DB = -20.0
# A tone of 60 ms a letter; what a phone plays is cut into frames of 20 ms.
TOLERANCE_S = 0.08
PATIENCE_S = 30.0
# Ten phones, their vendors and a gateway share two cores here: half a frame late is the machine.
HOLE_S = 0.01


@dataclass(frozen=True)
class Trio:
    """The three that meet in one call. A model that speaks itself stands alone."""

    model: Subject
    ears: Subject | None
    voice: Subject | None

    @property
    def name(self) -> str:
        names = [part.provider for part in (self.ears, self.model, self.voice) if part]
        return " > ".join(names)

    def subjects(self) -> list[Subject]:
        return [part for part in (self.model, self.ears, self.voice) if part]

    def body(self) -> dict[str, Any]:
        """Return the bot's config, as a script would post it."""
        slots: dict[str, Any] = {str(part.kind): slot_of(part) for part in self.subjects()}
        slots["llm"]["prompt"] = "You are the front desk."
        keys = {part.provider: KEY for part in self.subjects()}
        config: dict[str, Any] = {**slots, "greeting": {"mode": "model"}, "turns": {"idle_secs": 0}}
        return {"name": self.name, "config": config, "api_keys": keys}


@dataclass
class Verdict:
    """What came of a call. faults: empty if all is well."""

    trio: Trio
    faults: list[str] = field(default_factory=list)
    first_ms: float | None = None
    answer_ms: float | None = None


def slot_of(subject: Subject) -> dict[str, Any]:
    """Return the slot of a config that names the subject."""
    settings = dict(subject.settings)
    options = settings.pop("options", {})
    return {"provider": subject.provider, **settings, **options}


def trios(
    models: Sequence[Subject], ears: Sequence[Subject], voices: Sequence[Subject]
) -> list[Trio]:
    """Return calls in which every two providers of different slots meet.

    The longest two lists are crossed; the third goes round along the diagonals, so that it meets
    everyone of both as long as it is not longer than either.
    """
    named: dict[str, Sequence[Subject]] = {"m": models, "e": ears, "v": voices}
    lists = sorted(named.items(), key=lambda item: -len(item[1]))
    (one, ones), (two, twos), (three, threes) = lists
    found = []
    for i, first in enumerate(ones):
        for j, second in enumerate(twos):
            parts = {one: first, two: second, three: threes[(i + j) % len(threes)]}
            found.append(Trio(parts["m"], parts["e"], parts["v"]))
    return found


@asynccontextmanager
async def vendors(subjects: Sequence[Subject]) -> AsyncIterator[dict[str, str]]:
    """Serve every subject's stand-in; yields where each provider is to be asked."""
    async with AsyncExitStack() as stack:
        urls = {}
        for subject in subjects:
            stand_in = subject.stand_in()
            if subject.kind == "llm":
                stand_in.answer = [f"{word} " for word in OPENING.split()]
            if subject.kind == "stt":
                stand_in.transcripts = [HEARD] * 10_000
            await stack.enter_async_context(
                stand_in if hasattr(stand_in, "__aenter__") else serving(stand_in)
            )
            urls[subject.provider] = stand_in.url
        yield urls


async def call(server: Server, bot: dict[str, Any], account_id: str) -> CallRecord:
    """Hold one call with a bot."""
    token = bot["twiml"].split('name="token" value="')[1].split('"')[0]
    parameters = {"account": account_id, "bot": bot["id"], "token": token}
    stream = Stream("MZ" + uuid.uuid4().hex, "CA" + uuid.uuid4().hex, "AC" + "1" * 32, parameters)
    speech = Speech.of(stock_clips()["idle"].audio, label=HEARD)
    phone = SimulatedCall(
        Dial(f"ws://127.0.0.1:{server.port}/media/twilio", stream),
        Script(conversation([speech])),
        clock=LoopClock(asyncio.get_running_loop()),
        options=CallOptions(max_s=PATIENCE_S),
    )
    return await phone.run()


class Bots:
    """The trios' bots, made before the server is started anew: it imports what its bots need."""

    def __init__(self, calls: Sequence[Trio]) -> None:
        self._calls = calls
        self.made: dict[str, dict[str, Any]] = {}

    def make(self, server: Server, account: dict[str, str]) -> None:
        for trio in self._calls:
            self.made[trio.name] = request(
                server, "POST", "/twilio-config", key=account["api_key"], body=trio.body()
            )


async def tried(
    server: Server, account: dict[str, str], trio: Trio, bot: dict[str, Any]
) -> Verdict:
    """Call the trio's bot, and judge what came of it."""
    verdict = Verdict(trio)
    key = account["api_key"]
    try:
        verdict.faults += [w for w in bot.get("warnings", []) if "installed" in w]
        record = await call(server, bot, account["account_id"])
        turns = await asyncio.to_thread(_turns, server, key, bot["id"])
    except (
        OSError,
        RuntimeError,
        LookupError,
        StreamRefused,
    ) as exc:  # one call's fault is a line of the matrix
        verdict.faults.append(f"{type(exc).__name__}: {exc}")
        return verdict
    verdict.faults += [*_misheard(record), *_misunderstood(turns), *map(str, record.findings)]
    if record.spurts:
        verdict.first_ms = record.spurts[0].start_s * 1_000
    if len(record.spurts) > 1 and record.said:
        verdict.answer_ms = record.spurts[1].start_s * 1_000 - record.said[0].to_ms
    return verdict


def _misheard(record: CallRecord) -> list[str]:
    """Say what is wrong with the bot's audio as the phone played it."""
    if len(record.spurts) != 2:
        return [f"the bot spoke {len(record.spurts)} times, not twice"]
    wrong = [
        f"a hole of {hole.length_s:.3f} s" for hole in record.underruns if hole.length_s > HOLE_S
    ]
    expected_s = len(OPENING) * VoiceStandIn.MS_PER_CHARACTER / 1_000
    for spurt in record.spurts:
        length_s = spurt.end_s - spurt.start_s
        if abs(length_s - expected_s) > TOLERANCE_S:
            wrong.append(f"the bot spoke for {length_s:.2f} s, not {expected_s:.2f}")
        cut = slice(int(spurt.start_s * g711.SAMPLE_RATE), int(spurt.end_s * g711.SAMPLE_RATE))
        sound = g711.decode_float(record.bot[cut])
        level = 10 * np.log10(float(np.mean(np.square(sound))) + 1e-12) if len(sound) else -120
        if abs(level - LEVEL_DB) > 1.5:
            wrong.append(f"the bot spoke at {level:.1f} dB, not {LEVEL_DB:g}")
    return wrong


def _turns(server: Server, key: str, config_id: str) -> list[dict[str, Any]]:
    """Read the call's turns, once it is over."""
    for _ in range(100):
        calls = request(server, "GET", f"/calls?config_id={config_id}", key=key)["results"]
        if calls and calls[0]["status"] != "in-progress":
            found = request(server, "GET", f"/calls/{calls[0]['id']}", key=key)
            return list(found["turns"])
        time.sleep(0.05)
    raise TimeoutError("the call did not end in the journal")


def _misunderstood(turns: list[dict[str, Any]]) -> list[str]:
    said = [(turn["role"], turn["text_heard"]) for turn in turns]
    expected = [("bot", OPENING), ("caller", HEARD), ("bot", OPENING)]
    return [] if said == expected else [f"the journal says {said}"]


async def main(*, as_json: bool, only: str) -> int:
    calls = [*trios(MODELS, EARS, VOICES), *(Trio(model, None, None) for model in SPEAKERS)]
    calls = [trio for trio in calls if only in trio.name]
    async with vendors((*MODELS, *SPEAKERS, *EARS, *VOICES)) as urls:
        more = {"PROVIDER_API_URLS": json.dumps(urls), "PRIVATE_ADDRESSES": "127.0.0.1"}
        for subject in (*MODELS, *SPEAKERS, *EARS, *VOICES):
            more |= subject.environment
        bots = Bots(calls)
        serving_gateway = gateway_server(more=more, restarts=bots.make)
        server, account = await asyncio.to_thread(serving_gateway.__enter__)
        try:
            verdicts = await _all(server, account, bots, calls, quiet=as_json)
        finally:
            await asyncio.to_thread(serving_gateway.__exit__, None, None, None)
    if as_json:
        print(json.dumps([{"call": v.trio.name, "faults": v.faults} for v in verdicts]))
    else:
        _print(verdicts)
    return 1 if any(verdict.faults for verdict in verdicts) else 0


async def _all(
    server: Server, account: dict[str, str], bots: Bots, calls: Sequence[Trio], *, quiet: bool
) -> list[Verdict]:
    lanes = asyncio.Semaphore(AT_ONCE)

    async def one(trio: Trio) -> Verdict:
        async with lanes:
            verdict = await tried(server, account, trio, bots.made[trio.name])
        if not quiet:
            print("F" if verdict.faults else ".", end="", file=sys.stderr, flush=True)
        return verdict

    verdicts = await asyncio.gather(*map(one, calls))
    if not quiet:
        print(file=sys.stderr)
    return list(verdicts)


def _print(verdicts: Sequence[Verdict]) -> None:
    """Print the matrix: a row a model, a column a voice, in each field the recogniser met there."""
    cells = {(v.trio.model.provider, v.trio.voice and v.trio.voice.provider): v for v in verdicts}
    models = list(dict.fromkeys(model for model, _ in cells))
    voices = list(dict.fromkeys(voice for _, voice in cells))
    width = max(len(model) for model in models) + 2
    print(" " * width + "".join(f"{voice or '(itself)':14}" for voice in voices))
    for model in models:
        row = [cells.get((model, voice)) for voice in voices]
        print(f"{model:{width}}" + "".join(f"{_cell(verdict):14}" for verdict in row))
    for verdict in verdicts:
        for fault in verdict.faults:
            print(f"FAIL {verdict.trio.name}: {fault}")
    good = sum(not verdict.faults for verdict in verdicts)
    print(f"{good} of {len(verdicts)} calls: each pair met, was understood and was heard whole.")


def _cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    ears = verdict.trio.ears.provider if verdict.trio.ears else "itself"
    return f"{'FAIL' if verdict.faults else 'ok'} {ears}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    parser.add_argument("--only", default="", help="calls whose name (ears > model > voice) has it")
    given = parser.parse_args()
    sys.exit(asyncio.run(main(as_json=given.json, only=given.only)))
