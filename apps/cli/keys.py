"""``botsconfig keys``: the account's API keys. A key is shown once, when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from apps.cli.configs import more, pass_session
from apps.cli.options import Group, Id, Moment, confirm, grace, limit, yes
from apps.cli.session import Session

PATH = "/api-keys"


@click.group("keys", cls=Group)
def keys() -> None:
    """API keys of the account."""


@keys.command("list")
@limit()
@pass_session
def keys_list(session: Session, limit: int) -> None:
    """List keys, without the keys themselves."""
    page = session.client.page(PATH, limit)
    if session.json:
        session.out.json(page)
        return
    names = ("id", "name", "scopes", "expires_at", "last_used_at", "created_at")
    columns = ("ID", "NAME", "SCOPES", "EXPIRES", "LAST USED", "CREATED")
    session.out.table(columns, (tuple(key.get(name) for name in names) for key in page["results"]))
    more(session, page)


@keys.command("create")
@click.option("--name", required=True, help="What it is for.")
@click.option("--scope", "scopes", multiple=True, help="Such as configs:read; repeat for more.")
@click.option("--expires", type=Moment(), help="A time in ISO 8601.")
@pass_session
def keys_create(session: Session, name: str, scopes: tuple[str, ...], expires: str | None) -> None:
    """Make a key and print it, once."""
    body: dict[str, Any] = {"name": name}
    if scopes:
        body["scopes"] = list(scopes)
    if expires:
        body["expires_at"] = expires
    _once(session, session.client.post(PATH, body))


def _once(session: Session, made: Mapping[str, Any]) -> None:
    if session.json:
        session.out.json(made)
        return
    session.out.note(f"Key {made.get('id')}, {made.get('name')}. It is shown this once:")
    session.out.line(str(made.get("key", "")))


@keys.command("revoke")
@click.argument("id", type=Id())
@yes
@pass_session
def keys_revoke(session: Session, id: str, yes: bool) -> None:
    """End a key at once."""
    confirm(f"Revoke the key {id}? What uses it will be refused.", yes=yes)
    session.client.delete(f"{PATH}/{id}")
    if not session.json:
        session.out.line(f"Revoked {id}.")


@keys.command("rotate")
@click.argument("id", type=Id())
@grace()
@pass_session
def keys_rotate(session: Session, id: str, grace: int | None) -> None:
    """Make a key in another's place and print it, once."""
    body = {} if grace is None else {"grace_seconds": grace}
    _once(session, session.client.post(f"{PATH}/{id}/rotate", body))
