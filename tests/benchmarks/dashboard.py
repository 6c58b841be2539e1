"""How long does the server take for each page of the dashboard, with 100,000 calls?

    python -m tests.benchmarks.dashboard                  # SQLite, a minute and a half
    DATABASE_URL=postgres://…/empty python -m tests.benchmarks.dashboard
    python -m tests.benchmarks.dashboard --days 1         # all of them of the last 24 hours
    python -m tests.benchmarks.dashboard --smoke          # 2,000 calls, as in CI

The server has one core to itself, the load another; pages are asked one after the other, for the
whole answer, over a connection that stays. Prints p50 and p95 in ms of each page, as a superuser
and as a member of the largest account, which has six calls in ten; and one ratio taken in the same
run: the slowest page's median with all the calls to its median with a hundred.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import uvloop

from tests.benchmarks.load import quantile
from tests.benchmarks.rest import Client
from tests.benchmarks.servers import LOAD_CORE, Server, gateway_server, pin

GOAL_MS = 100.0
FEW = 100
# Add a page here: {call}, {bot} and {endpoint} are filled. One that is not there is left out.
PAGES: Mapping[str, str] = {
    "home": "/admin/",
    "home: figures": "/admin/home/figures",
    "home: live calls": "/admin/home/live",
    "calls": "/admin/calls/call/",
    "calls, page 10": "/admin/calls/call/?p=10",
    "calls, completed": "/admin/calls/call/?status__exact=completed",
    "calls, searched": "/admin/calls/call/?q=4155550",
    "calls, by a name": "/admin/calls/call/?q=sip:nobody",
    "calls, so long": "/admin/calls/call/?longer=80000",
    "calls, so ended": "/admin/calls/call/?reason=paused",
    "call": "/admin/calls/call/{call}/change/",
    "bots": "/admin/bots/twilioconfig/",
    "bot": "/admin/bots/twilioconfig/{bot}/change/",
    "numbers": "/admin/calls/phonenumber/",
    "webhooks": "/admin/webhooks/endpoint/",
    "webhook": "/admin/webhooks/endpoint/{endpoint}/change/",
    "audit": "/admin/accounts/auditentry/",
    "audit, by action": "/admin/accounts/auditentry/?action=nothing",
}
PROGRAM = ("-m", "tests.benchmarks.dashboard_server")
VIEWERS = ("superuser", "member")

Times = dict[str, dict[str, list[float]]]


async def run(server: Server, options: Any) -> dict[str, Any]:
    cookies = await made(server, "/benchmark/accounts")
    few = await measured(server, cookies, FEW, options)
    many = await measured(server, cookies, options.calls - FEW, options)
    return {"calls": options.calls, "days": options.days, "pages": shown(many), **ratio(few, many)}


async def made(server: Server, path: str) -> dict[str, str]:
    """Have rows made; over a connection of its own, for the server closes those that are idle."""
    client = await Client(server.port, {}).open()
    found: dict[str, str] = json.loads(await client.get(path))
    client.close()
    return found


async def measured(server: Server, cookies: Mapping[str, str], count: int, options: Any) -> Times:
    """Write so many calls more, and ask for every page."""
    names = await made(server, f"/benchmark/calls/{count}/{options.days}")
    found: Times = {viewer: {} for viewer in VIEWERS}
    for name, path in PAGES.items():
        if not name.startswith(options.only):
            continue
        for viewer in VIEWERS:
            headers = {"Cookie": cookies[viewer], "Accept-Encoding": "gzip"}
            client = await Client(server.port, headers).open()
            times = await asked(client, path.format(**names), options.times)
            client.close()
            if times:
                found[viewer][name] = times
    return found


async def asked(client: Client, path: str, count: int) -> list[float]:
    """Return how long each answer took, in ms; none for a page that is not there."""
    times = []
    for number in range(count + 2):
        began = time.perf_counter()
        try:
            await client.get(path)
        except RuntimeError as refused:
            if " 404 " in str(refused) or " 302 " in str(refused):
                return []
            raise
        if number >= 2:  # the first ones load templates
            times.append((time.perf_counter() - began) * 1_000)
    return times


def shown(times: Times) -> dict[str, dict[str, dict[str, float]]]:
    return {
        viewer: {
            name: {f"p{share}": round(quantile(taken, share / 100), 1) for share in (50, 95)}
            for name, taken in pages.items()
        }
        for viewer, pages in times.items()
    }


def ratio(few: Times, many: Times) -> dict[str, Any]:
    """Compare the page that is slowest with all the calls with itself with few."""
    medians = {
        (viewer, name): quantile(taken, 0.5)
        for viewer, pages in many.items()
        for name, taken in pages.items()
        if name in few[viewer]
    }
    viewer, name = max(medians, key=lambda page: medians[page])
    slowest = medians[viewer, name]
    return {
        "slowest": f"{name} ({viewer})",
        "slowest_p50_ms": round(slowest, 1),
        "goal_ms": GOAL_MS,
        "ratio": round(slowest / quantile(few[viewer][name], 0.5), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=30, help="that the calls are spread over")
    parser.add_argument("--times", type=int, default=40, help="each page is asked")
    parser.add_argument("--only", default="", help="pages whose name begins so")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        options.calls, options.times = 2_000, 8
    pin(LOAD_CORE)
    with (
        gateway_server(PROGRAM, {"LOG_LEVEL": "ERROR"}) as (server, _),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        result = runner.run(run(server, options))
    print(json.dumps(result) if options.json else _table(result))


def _table(result: Mapping[str, Any]) -> str:
    pages = result["pages"]
    lines = [f"{'ms, p50 / p95':18} {'superuser':>16} {'member':>16}"]
    for name in pages["superuser"]:
        cells = [pages[viewer].get(name) for viewer in VIEWERS]
        texts = [f"{cell['p50']:.1f} / {cell['p95']:.1f}" if cell else "–" for cell in cells]
        lines.append(f"{name:18} {texts[0]:>16} {texts[1]:>16}")
    rest = {key: value for key, value in result.items() if key != "pages"}
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in rest.items())])


if __name__ == "__main__":
    main()
