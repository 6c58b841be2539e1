"""``botsconfig calls``: what was said, and how long the answers took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from apps.cli.configs import given, more, pass_session
from apps.cli.options import Group, Id, Moment, Pair, limit
from apps.cli.session import Session

PATH = "/calls"


@click.group("calls", cls=Group)
def calls() -> None:
    """Calls and their transcripts."""


@calls.command("list")
@click.option("--config", "config_id", help="Of the bot of this ID.")
@click.option("--status", help="Such as in-progress, completed or failed.")
@click.option("--direction", type=click.Choice(["inbound", "outbound"]))
@click.option("--medium", type=click.Choice(["phone", "browser"]))
@click.option("--from", "from", help="From this number.")
@click.option("--to", help="To this number.")
@click.option("--metadata", type=Pair(), multiple=True, help="k=v; repeat for more.")
@click.option("--since", "started_after", type=Moment(), help="Begun after: ISO 8601.")
@click.option("--until", "started_before", type=Moment(), help="Begun before.")
@limit()
@pass_session
def calls_list(session: Session, /, metadata: Any, limit: int, **filters: str | None) -> None:
    """List calls, newest first."""
    params = given(**filters) | {f"metadata.{name}": value for name, value in metadata}
    page = session.client.page(PATH, limit, **params)
    if session.json:
        session.out.json(page)
        return
    names = ("id", "status", "from", "to", "started_at", "duration_s", "end_reason", "config_id")
    columns = ("ID", "STATUS", "FROM", "TO", "STARTED", "SECONDS", "END", "BOT")
    rows = (tuple(call.get(name) for name in names) for call in page["results"])
    session.out.table(columns, rows)
    more(session, page)


@calls.command("get")
@click.argument("id", type=Id())
@pass_session
def calls_get(session: Session, id: str) -> None:
    """Show a call as a dialogue."""
    call = session.client.get(f"{PATH}/{id}")
    if session.json:
        session.out.json(call)
        return
    session.out.facts({**status_lines(call), "cost": cost(call)})
    session.out.line()
    for line in dialogue(call):
        session.out.line(line)


def status_lines(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a call stands, by name."""
    names = (
        *("id", "status", "end_reason", "direction", "from", "to", "scheduled_at"),
        *("started_at", "duration_s", "config_id", "call_sid"),
    )
    error = call.get("error") or {}
    return {**{name: call.get(name) for name in names}, "error": error.get("hint")}


def cost(call: Mapping[str, Any]) -> str:
    """Say what a call cost, and how sure that is."""
    usd = call.get("cost_usd")
    if usd is None:
        return "unknown"
    return f"${usd}" if call.get("cost_is_complete") else f"at least ${usd}"


def dialogue(call: Mapping[str, Any]) -> Iterator[str]:
    """Yield who said what, how long the answer took, and what else happened."""
    for turn in call.get("turns", ()):
        yield f"{turn['role']:6}  {turn['text_said']}"
        if turn.get("interrupted"):
            yield f"        (interrupted; heard: {turn['text_heard']})"
        if turn.get("latency_ms") is not None:
            stages = turn.get("stages_ms") or {}
            parts = ", ".join(f"{name} {ms:.0f}" for name, ms in stages.items())
            yield f"        ({turn['latency_ms']:.0f} ms: {parts})"
    events = call.get("events") or ()
    if events:
        yield ""
    for event in events:
        data = " ".join(f"{name}={value}" for name, value in (event.get("data") or {}).items())
        yield f"{event['at']}  {event['kind']}  {data}".rstrip()
