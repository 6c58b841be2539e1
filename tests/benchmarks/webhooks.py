"""How quickly are Twilio's questions answered at 50 requests a second, on one core?

    python -m tests.benchmarks.webhooks                  # SQLite, half a minute of each
    DATABASE_URL=postgres://…/empty python -m tests.benchmarks.webhooks
    python -m tests.benchmarks.webhooks --smoke          # a few seconds, for CI

The server has one core to itself, the load another. The requests are signed, each is of a call of
its own, and they come by the clock: one that is answered late delays none of those behind it, and
its lateness counts. Prints p50 and p99 of ``/twilio/voice/{id}`` and ``/twilio/status`` in ms, and
their ratio to ``/healthz``, which is asked in between in the same run: what the machine does to all
of them cancels out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import uvloop

from apps.telephony.signatures import webhook_signature
from tests.benchmarks.load import quantile
from tests.benchmarks.media import BODY
from tests.benchmarks.servers import LOAD_CORE, Server, gateway_server, pin, request

ORIGIN = "https://voice.example.com"
TOKEN = "a-token-of-thirty-two-characters"
PER_SECOND = 50
CONNECTIONS = 32
GOAL_MS = 10.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as bytes, and the status that it must be answered with."""

    text: bytes
    status: bytes


def healthz(_: int) -> Asked:
    return Asked(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"200")


def posted(path: str, fields: Mapping[str, str], status: bytes) -> Asked:
    """Write a signed form."""
    signature = webhook_signature(auth_token=TOKEN, url=ORIGIN + path, fields=fields)
    body = urlencode(fields)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Twilio-Signature: {signature}\r\n"
        "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return Asked((head + body).encode(), status)


def fields_of(number: int) -> dict[str, str]:
    """What Twilio says of a call, as much as it says."""
    place = {"City": "SAN FRANCISCO", "State": "CA", "Zip": "94105", "Country": "US"}
    places = {f"{side}{key}": value for side in ("From", "To") for key, value in place.items()}
    return {
        "CallSid": f"CA{number:032x}",
        "AccountSid": "AC" + "0" * 32,
        "From": "+14155550100",
        "To": "+14155550101",
        "Caller": "+14155550100",
        "Called": "+14155550101",
        "CallStatus": "ringing",
        "ApiVersion": "2010-04-01",
        "Direction": "inbound",
        **places,
    }


def voice(config_id: str) -> Callable[[int], Asked]:
    return lambda number: posted(f"/twilio/voice/{config_id}", fields_of(number), b"200")


def status(account_id: str) -> Callable[[int], Asked]:
    return lambda number: posted(
        f"/twilio/status?account={account_id}",
        {**fields_of(number), "SequenceNumber": "1", "CallbackSource": "call-progress-events"},
        b"204",
    )


class Connection:
    """A keep-alive connection, as thin as can be."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def ask(self, asked: Asked) -> None:
        """Raises RuntimeError for another status than the right one."""
        self._writer.write(asked.text)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        for line in answer.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                await self._reader.readexactly(int(line.split(b":")[1]))
        if answer.split(b" ", 2)[1] != asked.status:
            raise RuntimeError(f"{asked.text[:60]!r}: {answer[:40]!r}")

    def close(self) -> None:
        self._writer.close()


class Load:
    """Sends by the clock over as many connections as it takes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: asyncio.Queue[Connection] = asyncio.Queue()
        self._number = 0

    async def open(self) -> Load:
        for _ in range(CONNECTIONS):
            self._free.put_nowait(await Connection(self._port).open())
        return self

    async def run(self, kind: Callable[[int], Asked], seconds: float) -> list[float]:
        """Return how long each answer took from when its request was due, in ms."""
        count = max(1, round(seconds * PER_SECOND))
        # Signed before the clock runs.
        requests = [kind(self._number + place) for place in range(count)]
        self._number += count
        began = time.perf_counter()

        async def one(place: int, asked: Asked) -> float:
            due = began + place / PER_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            connection = await self._free.get()
            try:
                await connection.ask(asked)
            finally:
                self._free.put_nowait(connection)
            return (time.perf_counter() - due) * 1_000

        return await asyncio.gather(*(one(place, asked) for place, asked in enumerate(requests)))

    def close(self) -> None:
        while not self._free.empty():
            self._free.get_nowait().close()


async def measure(server: Server, account: Mapping[str, str], options: Any) -> dict[str, Any]:
    key = account["api_key"]
    bot = request(server, "POST", "/twilio-config", key=key, body=BODY)
    kinds = {
        "healthz": healthz,
        "voice": voice(bot["id"]),
        "status": status(account["account_id"]),
    }
    load = await Load(server.port).open()
    times: dict[str, list[float]] = {name: [] for name in kinds}
    cpu_s = dict.fromkeys(kinds, 0.0)
    for kind in kinds.values():
        await load.run(kind, 1.0)  # warm
    for _ in range(options.slices):
        for name, kind in kinds.items():
            before_s = server.cpu_s()
            times[name] += await load.run(kind, options.seconds / options.slices)
            cpu_s[name] += server.cpu_s() - before_s
    load.close()
    return shown(times, cpu_s)


def shown(times: Mapping[str, list[float]], cpu_s: Mapping[str, float]) -> dict[str, Any]:
    found: dict[str, Any] = {"per_second": PER_SECOND}
    for name, taken in times.items():
        p50, p99 = quantile(taken, 0.5), quantile(taken, 0.99)
        base50, base99 = (quantile(times["healthz"], share) for share in (0.5, 0.99))
        found[name] = {
            "requests": len(taken),
            "p50_ms": round(p50, 2),
            "p99_ms": round(p99, 2),
            "cpu_ms": round(cpu_s[name] * 1_000 / len(taken), 2),
            "p50_to_healthz": round(p50 / base50, 2),
            "p99_to_healthz": round(p99 / base99, 2),
        }
    found["goal_met"] = found["voice"]["p99_ms"] <= GOAL_MS
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="of each kind")
    parser.add_argument("--slices", type=int, default=5, help="that these are cut into")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        options.seconds, options.slices = 3.0, 1
    pin(LOAD_CORE)
    with (
        gateway_server(auth_token=TOKEN) as (server, account),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        result = runner.run(measure(server, account, options))
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:12} {value}")


if __name__ == "__main__":
    main()
