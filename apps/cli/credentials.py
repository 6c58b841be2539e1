"""``botsconfig credentials``: the account's keys at vendors. They go in and never come out."""

from __future__ import annotations

import sys

import click

from apps.cli.configs import pass_session
from apps.cli.errors import CliError, Exit
from apps.cli.options import Group, Id, confirm, yes
from apps.cli.session import Session

PATH = "/credentials"
_NAMES = ("provider", "last4", "updated_at", "created_at")


@click.group("credentials", cls=Group)
def credentials() -> None:
    """Keys at vendors, for all bots of the account."""


@credentials.command("list")
@pass_session
def credentials_list(session: Session) -> None:
    """List the vendors that a key is stored for."""
    found = session.client.listing(PATH)
    if session.json:
        session.out.json(found)
        return
    rows = (tuple(entry.get(name) for name in _NAMES) for entry in found["results"])
    session.out.table(("PROVIDER", "ENDS IN", "UPDATED", "CREATED"), rows)


@credentials.command("put")
@click.argument("provider", type=Id())
@click.option("--base-url", metavar="URL", help="The server that the key is for (custom_llm).")
@pass_session
def credentials_put(session: Session, provider: str, base_url: str | None) -> None:
    """Store a vendor's key: from standard input, or asked for without showing it."""
    if sys.stdin.isatty():
        key = click.prompt(f"Key of {provider}", hide_input=True, err=True)
    else:
        key = sys.stdin.read()
    if not key.strip():
        raise CliError("No key came on standard input.")
    body = {"api_key": key.strip()}
    if base_url is not None:
        body["base_url"] = base_url
    stored = session.client.change(f"{PATH}/{provider}", body, patch=False)
    if session.json:
        session.out.json(stored)
    else:
        session.out.line(f"Stored the key of {provider} that ends in {stored.get('last4')}.")


@credentials.command("delete")
@click.argument("provider", type=Id())
@yes
@pass_session
def credentials_delete(session: Session, provider: str, yes: bool) -> None:
    """Forget a vendor's key."""
    confirm(f"Delete the key of {provider}? Bots that rely on it will take no calls.", yes=yes)
    session.client.delete(f"{PATH}/{provider}")
    if not session.json:
        session.out.line(f"Deleted the key of {provider}.")


_VERDICTS = {True: "works", False: "does not work", None: "could not be tried"}


@credentials.command("test")
@click.argument("provider", type=Id())
@pass_session
def credentials_test(session: Session, provider: str) -> int:
    """Try a vendor's key. Exit code 1 if the vendor refuses it."""
    tried = session.client.post(f"{PATH}/{provider}/test")
    if session.json:
        session.out.json(tried)
    else:
        latency = tried.get("latency_ms")
        parts = (tried.get("info") or tried.get("reason"), f"{latency:.0f} ms" if latency else "")
        why = ", ".join(str(part) for part in parts if part)
        verdict = _VERDICTS.get(tried.get("ok"), "could not be tried")
        session.out.line(f"The key of {provider} {verdict}" + (f" ({why})." if why else "."))
    return Exit.ERROR if tried.get("ok") is False else Exit.OK
