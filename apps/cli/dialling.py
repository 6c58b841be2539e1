"""``botsconfig calls dial`` and ``hangup``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from apps.cli.calls import PATH, status_lines
from apps.cli.configs import pass_session
from apps.cli.options import Command, Id, Moment, Pair
from apps.cli.session import Session


@click.command("dial", cls=Command)
@click.argument("to")
@click.option("--from", "from_", required=True, help="Your number, such as +4930654321.")
@click.option("--config", "config_id", required=True, help="Which bot speaks.")
@click.option("--var", "variables", type=Pair(), multiple=True, help="k=v; repeat for more.")
@click.option("--metadata", type=Pair(), multiple=True, help="k=v; repeat for more.")
@click.option("--at", "schedule_at", type=Moment(), help="Dial then: ISO 8601.")
@click.option("--ring", "timeout", type=int, help="Seconds that it rings (60).")
@click.option("--limit", "time_limit", type=int, help="Seconds after which it is ended.")
@click.option("--digits", "send_digits", help="To press when answered, such as ww12#.")
@click.option("--detect", type=click.Choice(["async", "sync"]), help="Listen for machines.")
@click.option("--record/--no-record", default=None, help="Instead of what the bot's config says.")
@click.option("--connection", "connection_id", help="Which Twilio connection dials.")
@click.option("--idempotency-key", "key", default="", help="The same key is the same call.")
@pass_session
def calls_dial(session: Session, /, to: str, from_: str, key: str, **options: Any) -> None:
    """Call somebody, now or later; prints the call."""
    body = {"to": to, "from": from_, **_members(options)}
    call = session.client.post(PATH, body, key=key)
    _show(session, call)


def _members(options: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in options.items() if value not in (None, ())}
    for name in ("variables", "metadata"):
        if name in found:
            found[name] = dict(found[name])
    if "detect" in found:
        found["machine_detection"] = {"mode": found.pop("detect")}
    return found


@click.command("hangup", cls=Command)
@click.argument("id", type=Id())
@pass_session
def calls_hang_up(session: Session, id: str) -> None:
    """End a call, or cancel one that is not dialled yet."""
    _show(session, session.client.post(f"{PATH}/{id}/hangup"))


def _show(session: Session, call: Mapping[str, Any]) -> None:
    if session.json:
        session.out.json(call)
        return
    session.out.facts(status_lines(call))
