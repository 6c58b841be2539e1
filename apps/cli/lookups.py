"""``botsconfig audit`` and ``botsconfig providers``: what happened, and what there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from apps.cli.configs import author, given, more, pass_session
from apps.cli.options import Command, Group, Moment, limit
from apps.cli.session import Session


@click.group("audit", cls=Group)
def audit() -> None:
    """Who changed what in the account."""


@audit.command("list")
@click.option("--action", help="Such as config.update.")
@click.option("--target-kind", help="Such as config.")
@click.option("--target-id", help="What was changed.")
@click.option("--actor-id", help="Who changed it.")
@click.option("--since", type=Moment(), help="From this time on.")
@click.option("--until", type=Moment(), help="Before this time.")
@limit()
@pass_session
def audit_list(session: Session, /, limit: int, **filters: str | None) -> None:
    """List entries, newest first."""
    page = session.client.page("/audit-log", limit, **given(**filters))
    if session.json:
        session.out.json(page)
        return
    columns = ("AT", "ACTION", "TARGET", "ACTOR", "CHANGES")
    session.out.table(columns, map(_entry, page["results"]))
    more(session, page)


def _entry(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    target, actor = (_whom(entry, side) for side in ("target", "actor"))
    changes = entry.get("changes") or ()
    paths = ", ".join(str(found.get("path")) for found in changes if isinstance(found, Mapping))
    return entry.get("at") or entry.get("created_at"), entry.get("action"), target, actor, paths


def _whom(entry: Mapping[str, Any], side: str) -> Any:
    """Return a side of an entry, whether the API nests it or spreads it over members."""
    if side in entry:
        return author(entry[side])
    names = (f"{side}_name", f"{side}_label", f"{side}_id")
    parts = [entry.get(f"{side}_kind"), next((entry[n] for n in names if entry.get(n)), None)]
    return " ".join(str(part) for part in parts if part)


@click.command("providers", cls=Command)
@click.option("--kind", type=click.Choice(("stt", "llm", "tts")), help="Ears, minds or voices.")
@pass_session
def providers(session: Session, kind: str | None) -> None:
    """List what a bot's slots may name."""
    found = session.client.listing("/providers", **given(kind=kind))
    if session.json:
        session.out.json(found)
        return
    columns = ("NAME", "KIND", "READY", "TITLE", "MISSING", "MODELS")
    names = ("name", "kind", "available", "title", "missing", "models")
    session.out.table(columns, (tuple(one.get(name) for name in names) for one in found["results"]))
