"""``botsconfig plan``, ``apply`` and ``export``: an account as a folder of files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from apps.cli.applying import PATH, bodies_fill, step_apply
from apps.cli.configs import pass_session
from apps.cli.errors import CliError, Exit, Unreachable
from apps.cli.folder import by_slug, folder_read, folder_write, slug_of
from apps.cli.options import Command, confirm, yes
from apps.cli.plans import COLOURS, SIGNS, Step, drifts, plan, summary
from apps.cli.session import Session

_folder = click.option(
    "-f",
    "--folder",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Where the YAML files are, at any depth.",
)
_prune = click.option(
    "--prune", is_flag=True, help="Delete bots whose slug no file has; those without slug stay."
)
_secrets = click.option(
    "--secrets", is_flag=True, help="Send the files' secrets even if nothing else differs."
)


@click.command("plan", cls=Command)
@_folder
@_prune
@_secrets
@pass_session
def plan_command(session: Session, /, folder: Path, **how: bool) -> int:
    """Say what apply would change. Exit code 0 if nothing, 2 if something."""
    steps = _plan(session, folder, **how)
    if session.json:
        session.out.json(_report(steps))
    else:
        _print(session, steps)
    return Exit.DRIFT if drifts(steps) else Exit.OK


def _plan(session: Session, folder: Path, *, prune: bool, secrets: bool) -> list[Step]:
    bots = folder_read(folder)
    if prune and not bots:
        raise CliError(f"{folder} has no bots; --prune would delete all of the account's.")
    account = by_slug(session.client.page(PATH, 0)["results"])
    return plan(bots, account, prune=prune, secrets=secrets)


def _report(steps: Sequence[Step], **more: Any) -> dict[str, Any]:
    return {"steps": [step.as_json() for step in steps], "summary": summary(steps), **more}


def _print(session: Session, steps: Sequence[Step]) -> None:
    for step in steps:
        for line in step.as_lines():
            session.out.line(line, COLOURS[step.action])
    counted = summary(steps)
    session.out.line(
        f"{counted['create']} to create, {counted['change']} to change, "
        f"{counted['delete']} to delete, {counted['same']} the same."
    )


@click.command("apply", cls=Command)
@_folder
@yes
@_prune
@_secrets
@pass_session
def apply_command(session: Session, /, folder: Path, yes: bool, **how: bool) -> None:
    """Make the account as the folder says."""
    steps = _plan(session, folder, **how)
    if not session.json:
        _print(session, steps)
    todo = [step for step in steps if step.action != "same"]
    bodies = bodies_fill(todo, session.environ)
    if todo:
        confirm("Do that?", yes=yes)
    done, failure = _carry_out(session, todo, bodies)
    left = [step for step in todo if step.slug not in done]
    if session.json:
        session.out.json(_outcome(steps, done, failure))
    if failure is not None:
        _account_for(session, done, left, failure)
        raise failure
    if not session.json and todo:
        session.out.line("Done.")


def _carry_out(
    session: Session, todo: Sequence[Step], bodies: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, str], CliError | None]:
    """Do one step after the other until one fails. Returns the ids of those done, by slug."""
    done: dict[str, str] = {}
    for step in todo:
        try:
            id, notes = step_apply(session.client, step, bodies.get(step.slug, {}))
        except CliError as exc:
            exc.args = (f"{step.slug}: {exc}",)
            return done, exc
        done[step.slug] = id
        if not session.json:
            session.out.line(f"{SIGNS[step.action]} {step.slug} {id} done", COLOURS[step.action])
        for note in notes:
            session.out.note(f"warning: {note}")
    return done, None


def _outcome(
    steps: Sequence[Step], done: Mapping[str, str], failure: CliError | None
) -> dict[str, Any]:
    shown = []
    for step in steps:
        made = step.slug in done or step.action == "same"
        shown.append({**step.as_json(), "id": done.get(step.slug, step.id) or None, "done": made})
    return {
        "steps": shown,
        "summary": summary(steps),
        "error": None if failure is None else str(failure),
    }


def _account_for(
    session: Session, done: Mapping[str, str], left: Sequence[Step], failure: CliError
) -> None:
    slugs = [step.slug for step in left]
    session.out.note(f"Done: {', '.join(done) or 'nothing'}.")
    if isinstance(failure, Unreachable) and failure.maybe_done:
        session.out.note(f"Perhaps done: {slugs.pop(0)}.")
    session.out.note(f"Not done: {', '.join(slugs) or 'nothing'}.")


@click.command("export", cls=Command)
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--adopt", is_flag=True, help="Give bots without a slug one, made of their names.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
@pass_session
def export_command(session: Session, folder: Path, adopt: bool, force: bool) -> None:
    """Write the account's bots to files. Secrets are not among what the API answers."""
    configs = session.client.page(PATH, 0)["results"]
    found = by_slug(configs)
    strangers = [config for config in configs if slug_of(config) is None]
    if adopt:
        found = {**found, **_adopted(session, strangers, set(found))}
        strangers = []
    folder_write(folder, found, force=force)
    if session.json:
        shown = [{"slug": slug, "id": config["id"]} for slug, config in found.items()]
        session.out.json({"written": shown, "left_out": [config["id"] for config in strangers]})
    else:
        session.out.line(f"Wrote {len(found)} to {folder}.")
    if strangers:
        session.out.note(
            f"Left out: {len(strangers)} without metadata.slug, which is how files know bots. "
            "--adopt gives them one."
        )


def _adopted(
    session: Session, strangers: Sequence[Mapping[str, Any]], taken: set[str]
) -> dict[str, Mapping[str, Any]]:
    adopted: dict[str, Mapping[str, Any]] = {}
    for config in strangers:
        slug = _slug_for(config, taken | adopted.keys())
        path, patch = f"{PATH}/{config['id']}", {"metadata": {"slug": slug}}
        adopted[slug] = session.client.change(path, patch, patch=True, version=config["version"])
        session.out.note(f"{config['id']} is {slug} now.")
    return adopted


def _slug_for(config: Mapping[str, Any], taken: set[str]) -> str:
    made = re.sub(r"[^a-z0-9]+", "-", str(config.get("name", "")).lower()).strip("-")[:60]
    slug = made.strip("-") or "bot"
    return f"{slug}-{str(config['id'])[:8]}" if slug in taken else slug
