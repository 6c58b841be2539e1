"""``botsconfig config``: bots, one at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from apps.cli.differences import Difference, differences
from apps.cli.documents import object_read, yaml_write
from apps.cli.errors import CliError
from apps.cli.folder import BODY, body_of
from apps.cli.options import Group, Id, Pair, confirm, file, grace, limit, yes
from apps.cli.secrets import secrets_filled
from apps.cli.session import Session

PATH = "/twilio-config"


@click.group("config", cls=Group)
def configs() -> None:
    """Bots: list, show, create, change, delete; their versions."""


draft = click.option("--draft", is_flag=True, help="The draft, which takes no calls yet.")
pass_session = click.make_pass_decorator(Session)


def _draft(wanted: bool) -> dict[str, str]:
    return {"draft": "true"} if wanted else {}


def given(**options: str | None) -> dict[str, str]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


@configs.command("list")
@click.option("--name", help="Of this name.")
@click.option("--search", help="With these words in it.")
@click.option("--provider", help="With this provider in any slot.")
@click.option("--metadata", type=Pair(), multiple=True, help="k=v; repeat for more.")
@click.option("--order", help="Such as name or -updated_at.")
@limit()
@pass_session
def config_list(session: Session, /, metadata: Any, limit: int, **filters: str | None) -> None:
    """List bots."""
    params = given(**filters) | {f"metadata.{name}": value for name, value in metadata}
    page = session.client.page(PATH, limit, **params)
    if session.json:
        session.out.json(page)
        return
    columns = ("ID", "NAME", "VERSION", "SLUG", "PROVIDERS", "UPDATED")
    session.out.table(columns, map(_row, page["results"]))
    more(session, page)


def more(session: Session, page: Mapping[str, Any]) -> None:
    """Say so if a list was cut."""
    if page.get("next"):
        session.out.note("There are more: --limit.")


def _row(config: Mapping[str, Any]) -> tuple[Any, ...]:
    slug = config.get("metadata", {}).get("slug")
    return (
        *(config.get(name) for name in ("id", "name", "version")),
        slug,
        _providers(config),
        config.get("updated_at"),
    )


def _providers(config: Mapping[str, Any]) -> str:
    slots = config.get("config", {})
    return "/".join(str(slots.get(slot, {}).get("provider", "?")) for slot in ("stt", "llm", "tts"))


@configs.command("get")
@click.argument("id", type=Id())
@draft
@pass_session
def config_get(session: Session, id: str, draft: bool) -> None:
    """Show a bot and its TwiML."""
    show(session, session.client.get(f"{PATH}/{id}", **_draft(draft)))


def show(session: Session, config: Mapping[str, Any]) -> None:
    """Print a bot."""
    if session.json:
        session.out.json(config)
        return
    facts = ("id", "version", "status", "created_at", "updated_at", "voice_url")
    session.out.facts({name: config.get(name) for name in facts})
    session.out.line()
    session.out.line(yaml_write(body_of(config)))
    session.out.line(str(config.get("twiml", "")))
    _warn(session, config)


def said(session: Session, config: Mapping[str, Any], what: str) -> None:
    """Print what became of a bot, in a line."""
    if session.json:
        session.out.json(config)
        return
    name = config.get("name") or "(no name)"
    session.out.line(f"{what} {config.get('id')}, {name}, version {config.get('version')}.")
    _warn(session, config)


def _warn(session: Session, config: Mapping[str, Any]) -> None:
    for warning in config.get("warnings") or ():
        session.out.note(f"warning: {warning}")


@configs.command("create")
@file()
@draft
@pass_session
def config_create(session: Session, file: str, draft: bool) -> None:
    """Create a bot. ${NAME} in its secrets is filled from the environment."""
    body = secrets_filled(object_read(file), session.environ)
    made = session.client.post(PATH, body, params=_draft(draft))
    said(session, made, "Created")
    if not session.json:
        session.out.line(str(made.get("twiml", "")))


@configs.command("update")
@click.argument("id", type=Id())
@file()
@click.option("--if-match", type=click.IntRange(min=1), metavar="N", help="Only version N.")
@click.option("--patch", is_flag=True, help="Merge the file (RFC 7396), do not replace.")
@draft
@pass_session
def config_update(session: Session, /, id: str, file: str, **how: Any) -> None:
    """Replace a bot by what the file says, as a new version."""
    body = secrets_filled(object_read(file), session.environ)
    changed = session.client.change(
        f"{PATH}/{id}",
        body,
        patch=how["patch"],
        version=how["if_match"],
        params=_draft(how["draft"]),
    )
    said(session, changed, "Changed")


@configs.command("delete")
@click.argument("id", type=Id())
@yes
@pass_session
def config_delete(session: Session, id: str, yes: bool) -> None:
    """Take a bot out of service; running calls go on to their end."""
    confirm(f"Delete the bot {id}? Its numbers will say that they are not in service.", yes=yes)
    session.client.delete(f"{PATH}/{id}")
    if not session.json:
        session.out.line(f"Deleted {id}.")


@configs.command("render")
@click.argument("id", type=Id())
@click.option("--from", "from_", help="The caller's number.")
@click.option("--to", help="The number that is called.")
@click.option("--var", "variables", type=Pair(), multiple=True, help="name=value; repeat for more.")
@click.option("--version", type=click.IntRange(min=1), help="Another version than the published.")
@pass_session
def config_render(
    session: Session, id: str, from_: str | None, to: str | None, variables: Any, version: Any
) -> None:
    """Show what a caller would get. Changes nothing."""
    params = given(to=to, version=str(version) if version else None)
    if from_ is not None:
        params["from"] = from_
    if variables:
        params["variables"] = json.dumps(dict(variables))
    rendered = session.client.get(f"{PATH}/{id}/render", **params)
    if session.json:
        session.out.json(rendered)
    else:
        session.out.line(yaml_write(rendered))


@configs.command("versions")
@click.argument("id", type=Id())
@limit()
@pass_session
def config_versions(session: Session, id: str, limit: int) -> None:
    """List a bot's versions, newest first."""
    page = session.client.page(f"{PATH}/{id}/versions", limit)
    if session.json:
        session.out.json(page)
        return
    rows = (
        (
            *(version.get(name) for name in ("number", "status", "created_at")),
            author(version.get("author")),
            ", ".join(str(change.get("path")) for change in version.get("changes") or ()),
        )
        for version in page["results"]
    )
    session.out.table(("NUMBER", "STATUS", "CREATED", "AUTHOR", "CHANGES"), rows)
    more(session, page)


def author(who: Any) -> Any:
    """Return a person or key as a cell, whatever form the API gives them."""
    if isinstance(who, Mapping):
        return next((who[name] for name in ("name", "email", "id") if who.get(name)), None)
    return who


@configs.command("diff")
@click.argument("id", type=Id())
@click.argument("n", type=click.IntRange(min=1), required=False)
@click.argument("m", type=click.IntRange(min=1), required=False)
@pass_session
def config_diff(session: Session, id: str, n: int | None, m: int | None) -> None:
    """What the newest version changed; what version N changed; or what lies between N and M."""
    path = f"{PATH}/{id}/versions"
    if n is None:
        newest = session.client.page(path, 1)["results"]
        if not newest:
            raise CliError(f"{id} has no versions.")
        found = _changes(newest[0])
    elif m is None:
        found = _changes(session.client.get(f"{path}/{n}"))
    else:
        before, after = (_content(session.client.get(f"{path}/{number}")) for number in (n, m))
        found = _between(before, after)
    if session.json:
        session.out.json({"changes": [change.as_json() for change in found]})
        return
    for change in found:
        for line in change.as_lines():
            session.out.line(line)


def _changes(version: Mapping[str, Any]) -> list[Difference]:
    return [
        Difference(str(change["path"]), change.get("before"), change.get("after"))
        for change in version.get("changes") or ()
    ]


def _content(version: Mapping[str, Any]) -> dict[str, Any]:
    content: Mapping[str, Any] = version["content"]
    return {name: content[name] for name in BODY if name in content}


def _between(before: Any, after: Any) -> list[Difference]:
    """Both ways: what the one names and the other does not is a change too."""
    changed = {found.path: found for found in differences(after, before)}
    for found in differences(before, after):
        changed.setdefault(found.path, Difference(found.path, found.after, found.before))
    return list(changed.values())


@configs.command("publish")
@click.argument("id", type=Id())
@click.argument("n", type=click.IntRange(min=1))
@pass_session
def config_publish(session: Session, id: str, n: int) -> None:
    """Let version N take the calls."""
    said(session, session.client.post(f"{PATH}/{id}/versions/{n}/publish"), "Published")


@configs.command("restore")
@click.argument("id", type=Id())
@click.argument("n", type=click.IntRange(min=1))
@pass_session
def config_restore(session: Session, id: str, n: int) -> None:
    """Make a new version that says what version N said."""
    said(session, session.client.post(f"{PATH}/{id}/versions/{n}/restore"), "Restored")


@configs.command("rotate-token")
@click.argument("id", type=Id())
@grace()
@pass_session
def config_rotate_token(session: Session, id: str, grace: int | None) -> None:
    """Give a bot a new stream token, and so new TwiML to paste."""
    body = {} if grace is None else {"grace_seconds": grace}
    rotated = session.client.post(f"{PATH}/{id}/rotate-token", body)
    said(session, rotated, "Rotated the token of")
    if not session.json:
        session.out.line(str(rotated.get("twiml", "")))
