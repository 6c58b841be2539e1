"""The options that every command takes, before its name or after; and kinds of values."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from apps.cli.session import Session

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    session = ctx.find_root().obj
    if isinstance(session, Session) and param.name and value not in (None, False):
        session.given[param.name] = value


def _everywhere(*, hidden: bool) -> list[click.Option]:
    def option(name: str, help: str, **more: Any) -> click.Option:
        return click.Option([name], help=help, expose_value=False, callback=_remember, **more)

    return [
        option("--json", "Print the API's own answer.", is_flag=True),
        option("--url", "The server (BOTSCONFIG_URL; http://127.0.0.1:8000).", hidden=hidden),
        option("--key", "The API key; better: BOTSCONFIG_KEY or _KEY_FILE.", hidden=hidden),
        option("--profile", "A section of ~/.config/botsconfig.toml.", hidden=hidden),
        option(
            "--timeout",
            "Seconds to wait for an answer (30).",
            type=click.FloatRange(min=0, min_open=True),
            hidden=hidden,
        ),
        option("--verbose", "Say on stderr what goes over the wire.", is_flag=True, hidden=hidden),
    ]


class Command(click.Command):
    """A command that takes the options of all; ``botsconfig --help`` lists them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _everywhere(hidden=True)


class Group(click.Group):
    """Commands under one noun."""

    command_class = Command


class Root(Group):
    """The whole command line."""

    group_class = Group

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _everywhere(hidden=False)


class Moment(click.ParamType[str]):
    """A date or a time in ISO 8601; UTC unless it says otherwise."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: click.Context | None) -> str:
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value} is no time in ISO 8601, such as 2027-01-31T12:00:00Z.", param, ctx)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()


class Id(click.ParamType[str]):
    """What may stand in a path: an ID, or a provider's name."""

    name = "id"

    def convert(self, value: Any, param: Any, ctx: click.Context | None) -> str:
        if not _ID.fullmatch(str(value)):
            self.fail(f"{value!r} is no ID.", param, ctx)
        return str(value)


class Pair(click.ParamType[tuple[str, str]]):
    """``name=value``."""

    name = "name=value"

    def convert(self, value: Any, param: Any, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, sign, text = str(value).partition("=")
        if not (name and sign):
            self.fail(f"{value} is not of the form name=value.", param, ctx)
        return name, text


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def limit(default: int = 50) -> Decorator:
    """``--limit N``."""
    return click.option(
        "--limit",
        type=click.IntRange(min=0),
        default=default,
        show_default=True,
        help="How many at most; 0 for all.",
    )


def grace() -> Decorator:
    """``--grace SECONDS``."""
    return click.option(
        "--grace", type=click.IntRange(min=0), metavar="SECONDS", help="The old one works so long."
    )


def file() -> Decorator:
    """``-f FILE``."""
    return click.option(
        "-f", "--file", "file", required=True, metavar="FILE", help=".yaml or .json; - for stdin."
    )


yes = click.option("--yes", is_flag=True, help="Do not ask.")


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless told not to. Raises click.UsageError where nobody can answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to ask: pass --yes.")
    click.confirm(question, abort=True, err=True)
