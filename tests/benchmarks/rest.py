"""What does the REST API cost beside a bare Django view, and does a list stay flat?

    python -m tests.benchmarks.rest                  # SQLite, a million bots (some minutes)
    DATABASE_URL=postgres://…/empty python -m tests.benchmarks.rest
    python -m tests.benchmarks.rest --smoke          # a quarter of a minute, 20,000 bots

The server has one core to itself, the load another. Prints, each taken in one run:

- ``GET /twilio-config/{id}`` against a bare Django view that runs the same SQL and answers the same
  bytes, in alternating slices;
- the first page of 50 bots, and one from the middle, in an account of a thousand and in one of a
  million: p95 of each, and queries;
- the queries of a ``POST``, audit included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import uvloop

from tests.benchmarks.load import quantile
from tests.benchmarks.media import BODY
from tests.benchmarks.servers import LOAD_CORE, Server, gateway_server, pin, request

CONNECTIONS = 8
SLICES = 6
FEW = 1_000


@dataclass(frozen=True, slots=True)
class Measured:
    """Answers of one kind: how many a second, and how long each took, in ms."""

    rate: float
    times: Sequence[float]

    def shown(self) -> dict[str, float]:
        spread = {f"p{share}": round(quantile(self.times, share / 100), 2) for share in (50, 95)}
        return {"per_second": round(self.rate, 1), **spread}


class Client:
    """A keep-alive HTTP/1.1 connection, as thin as can be: the load must not measure itself."""

    def __init__(self, port: int, headers: Mapping[str, str]) -> None:
        self._port = port
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    async def open(self) -> Client:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def get(self, path: str) -> bytes:
        """Raises RuntimeError for anything but a 200."""
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{self._headers}\r\n"
        self._writer.write(head.encode())
        answer = await self._reader.readuntil(b"\r\n\r\n")
        size = next(
            int(line.split(b":")[1])
            for line in answer.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        body = await self._reader.readexactly(size)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path}: {answer[:40]!r} {body[:200]!r}")
        return body

    def close(self) -> None:
        self._writer.close()


async def measure(clients: Sequence[Client], path: str, seconds: float) -> Measured:
    """Ask over every connection at once for so long."""
    times: list[float] = []
    began = time.monotonic()

    async def one(client: Client) -> None:
        while time.monotonic() - began < seconds:
            asked = time.monotonic()
            await client.get(path)
            times.append((time.monotonic() - asked) * 1_000)

    await asyncio.gather(*(one(client) for client in clients))
    return Measured(len(times) / (time.monotonic() - began), times)


async def alternate(
    clients: Sequence[Client], paths: Mapping[str, str], seconds: float
) -> dict[str, Measured]:
    """Measure several paths in turns, so that all meet the same machine."""
    found: dict[str, list[Measured]] = {name: [] for name in paths}
    for path in paths.values():
        await measure(clients, path, 0.5)  # warm
    for _ in range(SLICES):
        for name, path in paths.items():
            found[name].append(await measure(clients, path, seconds / SLICES))
    return {
        name: Measured(
            sum(part.rate for part in parts) / SLICES, [t for part in parts for t in part.times]
        )
        for name, parts in found.items()
    }


async def run(server: Server, account: Mapping[str, str], options: Any) -> dict[str, Any]:
    key = account["api_key"]
    headers = {"Authorization": f"Bearer {key}"}
    bot = request(server, "POST", "/twilio-config", key=key, body=BODY)
    clients = [await Client(server.port, headers).open() for _ in range(CONNECTIONS)]
    statements = json.loads(await clients[0].get(f"/record/{bot['id']}"))["statements"]
    one = await alternate(
        clients,
        {"api": f"/twilio-config/{bot['id']}", "bare": f"/bare/{bot['id']}"},
        options.seconds,
    )
    result: dict[str, Any] = {
        "get": {
            "queries": len(statements),
            **{name: found.shown() for name, found in one.items()},
            "ratio": round(one["api"].rate / one["bare"].rate, 2),
        }
    }
    posted = json.loads(await clients[0].get("/post-queries"))["statements"]
    result["post"] = {"queries": len(posted), "statements": posted}
    result["list"] = await lists(server, account, options)
    for client in clients:
        client.close()
    return result


async def lists(server: Server, account: Mapping[str, str], options: Any) -> dict[str, Any]:
    """Pages of 50 in a small and in a large account, asked one after the other."""
    headers = {"Authorization": f"Bearer {account['api_key']}"}
    maker = await Client(server.port, headers).open()
    made = {
        size: json.loads(await maker.get(f"/rows/{count}"))
        for size, count in (("few", FEW), ("many", options.rows))
    }
    maker.close()
    found: dict[str, Any] = {"rows": {"few": FEW, "many": options.rows}}
    for place in ("first", "middle"):
        clients = {
            size: await Client(server.port, {"Authorization": f"Bearer {made[size]['key']}"}).open()
            for size in ("few", "many")
        }
        paths = {
            size: await _page(client, made[size]["middle"], place)
            for size, client in clients.items()
        }
        times: dict[str, list[float]] = {size: [] for size in clients}
        for _ in range(options.pages):
            for size, client in clients.items():
                asked = time.monotonic()
                await client.get(paths[size])
                times[size].append((time.monotonic() - asked) * 1_000)
        p95 = {size: quantile(seen, 0.95) for size, seen in times.items()}
        found[place] = {
            **{f"{size}_p95_ms": round(value, 2) for size, value in p95.items()},
            "ratio": round(p95["many"] / p95["few"], 2),
        }
        for client in clients.values():
            client.close()
    return found


async def _page(client: Client, cursor: str, place: str) -> str:
    path = "/twilio-config?page_size=50" + (f"&cursor={cursor}" if place == "middle" else "")
    page = json.loads(await client.get(path))
    if len(page["results"]) != 50:
        raise RuntimeError("a page that is not whole measures nothing")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=12.0, help="of each kind of GET")
    parser.add_argument("--rows", type=int, default=1_000_000, help="bots in the large account")
    parser.add_argument("--pages", type=int, default=400, help="asked in each account")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        options.seconds, options.rows, options.pages = 2.0, 20_000, 60
    pin(LOAD_CORE)
    with (
        gateway_server(["-m", "tests.benchmarks.rest_server"]) as (server, account),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        result = runner.run(run(server, account, options))
    print(json.dumps(result) if options.json else _table(result))


def _table(result: Mapping[str, Any]) -> str:
    lines = []
    for name, parts in result.items():
        for part, value in parts.items():
            lines.append(f"{name:6} {part:10} {value}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
