"""``botsconfig config test-tool``: a tool's webhook, asked as in a call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from apps.cli.configs import PATH, draft, pass_session
from apps.cli.documents import object_read
from apps.cli.errors import Exit
from apps.cli.options import Command, Id, Pair
from apps.cli.session import Session


@click.command("test-tool", cls=Command)
@click.argument("id", type=Id())
@click.argument("name", type=Id())
@click.option(
    "--arg",
    "arguments",
    type=Pair(),
    multiple=True,
    help="name=value; repeat for more. A value that is JSON is taken as such.",
)
@click.option("-f", "--file", metavar="FILE", help="All arguments: .yaml or .json; - for stdin.")
@draft
@pass_session
def config_test_tool(
    session: Session, id: str, name: str, arguments: Any, file: str | None, draft: bool
) -> int:
    """Ask the webhook of the tool NAME. Exit code 1 if it fails."""
    given = dict(object_read(file)) if file else {}
    given |= {argument: _value(text) for argument, text in arguments}
    tried = session.client.post(
        f"{PATH}/{id}/tools/{name}/test",
        {"arguments": given},
        params={"draft": "true"} if draft else {},
    )
    if session.json:
        session.out.json(tried)
    else:
        _show(session, tried)
    return Exit.OK if tried.get("ok") else Exit.ERROR


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _show(session: Session, tried: Mapping[str, Any]) -> None:
    asked, answered = tried.get("request") or {}, tried.get("response")
    session.out.line(f"{asked.get('method')} {asked.get('url')}")
    if asked.get("body") is not None:
        session.out.line(json.dumps(asked["body"], ensure_ascii=False))
    session.out.line()
    if answered:
        session.out.line(f"{answered.get('status')} after {tried.get('duration_ms')} ms")
        if answered.get("body"):
            session.out.line(str(answered["body"]))
        for action in answered.get("actions") or ():
            name = f"{action.get('service')}.{action.get('action')}".strip(".") or "a line"
            why = "" if action.get("done") else f", skipped: {action.get('why')}"
            session.out.line(f"  {name}{why}")
        session.out.line()
    session.out.line(f"The model would be told: {tried.get('result')}")
    if tried.get("error"):
        session.out.note(f"The tool failed: {tried['error']}")
