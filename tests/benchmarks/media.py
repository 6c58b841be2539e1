"""How many calls does one core carry, and what do their callers hear?

    python -m tests.benchmarks.media                 # 200 calls, 30 s
    python -m tests.benchmarks.media --find-limit    # the largest number without an underrun
    python -m tests.benchmarks.media --smoke         # a minute for CI

Real server, real sockets, real voice activity detection on speech; the providers are scripted
and answer at once, so what is left is ours. The server has one core to itself, the callers
another. Each run measures a raw echo of the same frames as well: the yardstick.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import uvloop

from tests.benchmarks.load import Figures, calls_run, echoes_run, quantile
from tests.benchmarks.servers import (
    LOAD_CORE,
    Server,
    echo_server,
    gateway_server,
    pin,
    request,
)

STOP_SECS = 0.3
# Of --find-limit: callers this late (p95) make a failed step worth another try.
LOAD_LATE_MS = 5.0
STEP_TRIES = 3
REPLIES = [
    "Yes, of course, I can look that up for you right now.",
    "We are open from nine to five. Is there anything else?",
    "That costs sixty dollars, and you can pay by card.",
]
BODY: dict[str, Any] = {
    "name": "Benchmark",
    "config": {
        "llm": {"provider": "scripted", "prompt": "Be brief.", "replies": REPLIES},
        "stt": {"provider": "scripted"},
        "tts": {"provider": "scripted"},
        "turns": {"stop_secs": STOP_SECS},
        "greeting": {"mode": "text", "text": "Hello, how can I help you?"},
    },
}
LAG_BUCKET = re.compile(r'botsconfig_loop_lag_seconds_bucket\{le="([^"]+)"\} ([0-9.e+]+)')


@dataclass(frozen=True, slots=True)
class Use:
    """What a server used while it worked: share of its core, memory beyond its idle, lag in ms."""

    cpu: float
    memory_mb: float
    lag_ms: dict[str, float]


def main() -> None:
    options = _options()
    pin(LOAD_CORE)
    if options.smoke:
        options.calls, options.seconds, options.find_limit = 40, 10.0, False
    with gateway_server() as (server, account):
        body = {**BODY, "config": {**BODY["config"], "recording": {"enabled": options.record}}}
        bot = request(server, "POST", "/twilio-config", key=account["api_key"], body=body)
        parameters = dict(re.findall(r'<Parameter name="(\w+)" value="([^"]+)"', bot["twiml"]))
        _run(lambda: calls_run(server.port, parameters, calls=2, seconds=1))
        result = _calls(server, parameters, options)
        if options.find_limit:
            result["limit"] = _limit(server, parameters, options)
    with echo_server() as server:
        result["echo"] = _echo(server, options)
    result["ratio"] = {
        "cpu_per_call": round(result["cpu_per_call"] / result["echo"]["cpu_per_stream"], 2),
        "calls_per_core": round(result["echo"]["cpu_per_stream"] / result["cpu_per_call"], 2),
    }
    print(json.dumps(result) if options.json else _table(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0, help="with all calls up")
    parser.add_argument("--find-limit", action="store_true")
    parser.add_argument("--step", type=int, default=50, help="of --find-limit")
    parser.add_argument("--record", action="store_true", help="every call is recorded")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _calls(
    server: Server, parameters: dict[str, str], options: argparse.Namespace
) -> dict[str, Any]:
    figures, use = _measured(
        server,
        lambda: calls_run(server.port, parameters, calls=options.calls, seconds=options.seconds),
        options,
        _gateway_lag,
    )
    return _result(figures, use, options.calls)


def _result(figures: Figures, use: Use, calls: int) -> dict[str, Any]:
    beyond = [value - STOP_SECS * 1_000 for value in figures.answer]
    return {
        "calls": calls,
        "cpu": round(use.cpu, 3),
        "cpu_per_call": use.cpu / calls,
        "memory_mb_per_call": round(use.memory_mb / calls, 3),
        "loop_lag_ms": use.lag_ms,
        "underruns": figures.underruns,
        "talk_spurts": figures.spurts,
        "refused": figures.refused,
        "protocol_findings": figures.findings,
        "start_to_greeting_ms": _spread(figures.greeting),
        "answer_beyond_stop_secs_ms": _spread(beyond),
        "speech_to_clear_ms": _spread(figures.clear),
        "callers_late_ms": _spread(figures.send_late),
    }


def _limit(
    server: Server, parameters: dict[str, str], options: argparse.Namespace
) -> dict[str, Any]:
    """Add calls until a caller hears a gap, or the loop's p99 lag passes 20 ms.

    A step that fails while the callers themselves were late has measured the machine: it is run
    again, three times at the most.
    """
    carried: dict[str, Any] = {"calls": 0}
    calls, tries = options.calls, 0
    while True:
        found = _step(server, parameters, options, calls)
        tries += 1
        print(f"  {found}", flush=True)
        fits = not found["underruns"] and not found["refused"] and found["lag_p99_ms"] <= 20
        if fits:
            carried, calls, tries = found, calls + options.step, 0
        elif found["callers_late_p95_ms"] <= LOAD_LATE_MS or tries == STEP_TRIES:
            return {"carried": carried, "failed": found}


def _step(
    server: Server, parameters: dict[str, str], options: argparse.Namespace, calls: int
) -> dict[str, Any]:
    asked = argparse.Namespace(**{**vars(options), "calls": calls, "seconds": 15.0})
    figures, use = _measured(
        server,
        lambda: calls_run(server.port, parameters, calls=calls, seconds=asked.seconds),
        asked,
        _gateway_lag,
    )
    return {
        "calls": calls,
        "cpu": round(use.cpu, 2),
        "underruns": figures.underruns,
        "refused": figures.refused,
        "lag_p99_ms": use.lag_ms["p99"],
        "answer_p95_ms": round(quantile(figures.answer, 0.95) - STOP_SECS * 1_000, 1),
        "callers_late_p95_ms": round(quantile(figures.send_late, 0.95), 1),
    }


def _echo(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    delays, use = _measured(
        server,
        lambda: echoes_run(server.port, streams=options.calls, seconds=options.seconds),
        options,
        _echo_lag,
    )
    return {
        "streams": options.calls,
        "cpu": round(use.cpu, 3),
        "cpu_per_stream": use.cpu / options.calls,
        "memory_mb_per_stream": round(use.memory_mb / options.calls, 3),
        "loop_lag_ms": use.lag_ms,
        "there_and_back_ms": _spread(delays),
    }


def _measured(
    server: Server,
    work: Callable[[], Coroutine[Any, Any, Any]],
    options: argparse.Namespace,
    lag: Callable[[Server], Callable[[], dict[str, float]]],
) -> tuple[Any, Use]:
    """Run the load; measure the server over the middle of the time in which all of it is up."""

    async def watched() -> tuple[Any, Use]:
        idle_mb = server.memory_mb()
        running = asyncio.create_task(work())
        await asyncio.sleep(options.calls / 20 + 2)
        lag_since = lag(server)
        loop = asyncio.get_running_loop()
        began, used = loop.time(), server.cpu_s()
        await asyncio.sleep(max(3.0, options.seconds - 6))
        cpu = (server.cpu_s() - used) / (loop.time() - began)
        use = Use(cpu, server.memory_mb() - idle_mb, await asyncio.to_thread(lag_since))
        return await running, use

    found: tuple[Any, Use] = _run(watched)
    return found


def _run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())


def _gateway_lag(server: Server) -> Callable[[], dict[str, float]]:
    before = _buckets(server)

    def since() -> dict[str, float]:
        after = _buckets(server)
        return {
            name: _from_buckets({edge: after[edge] - before.get(edge, 0) for edge in after}, share)
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        }

    return since


def _buckets(server: Server) -> dict[float, float]:
    found = LAG_BUCKET.findall(server.get("/metrics"))
    return {float(edge): float(count) for edge, count in found}


def _from_buckets(buckets: dict[float, float], share: float) -> float:
    """Return the upper edge of the bucket in which the quantile lies, in ms."""
    total = max(buckets.values())
    return next(edge * 1_000 for edge in sorted(buckets) if buckets[edge] >= share * total)


def _echo_lag(server: Server) -> Callable[[], dict[str, float]]:
    server.get("/")

    def since() -> dict[str, float]:
        lags = json.loads(server.get("/"))
        return {
            name: round(quantile(lags, share) * 1_000, 1)
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        }

    return since


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "n": len(values),
        **{
            name: round(quantile(values, share), 1)
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
    }


def _table(result: dict[str, Any]) -> str:
    lines = []
    for name, value in result.items():
        if isinstance(value, dict):
            shown = "  ".join(f"{inner} {found}" for inner, found in value.items())
        elif name == "cpu_per_call":
            shown = f"{value * 100:.2f} % of a core"
        else:
            shown = str(value)
        lines.append(f"{name:28} {shown}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
