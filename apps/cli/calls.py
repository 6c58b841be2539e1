"""``botsconfig calls``: what was said, and how long the answers took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from apps.cli.configs import given, more, pass_session
from apps.cli.options import Group, Id, limit
from apps.cli.session import Session


@click.group("calls", cls=Group)
def calls() -> None:
    """Calls and their transcripts."""


@calls.command("list")
@click.option("--config", "config_id", help="Of the bot of this ID.")
@click.option("--status", help="in-progress, completed or failed.")
@limit()
@pass_session
def calls_list(session: Session, /, limit: int, **filters: str | None) -> None:
    """List calls, newest first."""
    page = session.client.page("/calls", limit, **given(**filters))
    if session.json:
        session.out.json(page)
        return
    names = ("id", "status", "started_at", "duration_s", "end_reason", "config_id")
    columns = ("ID", "STATUS", "STARTED", "SECONDS", "END", "BOT")
    rows = (tuple(call.get(name) for name in names) for call in page["results"])
    session.out.table(columns, rows)
    more(session, page)


@calls.command("get")
@click.argument("id", type=Id())
@pass_session
def calls_get(session: Session, id: str) -> None:
    """Show a call as a dialogue."""
    call = session.client.get(f"/calls/{id}")
    if session.json:
        session.out.json(call)
        return
    names = ("id", "status", "end_reason", "started_at", "duration_s", "config_id", "call_sid")
    session.out.facts({**{name: call.get(name) for name in names}, "cost": cost(call)})
    session.out.line()
    for line in dialogue(call):
        session.out.line(line)


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
