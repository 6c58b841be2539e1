"""Carries a plan out, step by step, and keeps account of what was done."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apps.cli.client import Client
from apps.cli.errors import ApiError, CliError, Exit
from apps.cli.folder import slug_of
from apps.cli.plans import Step, still_different
from apps.cli.secrets import secrets_filled

PATH = "/twilio-config"
# Someone else wrote since the plan: the bot is of another version, or gone.
_OVERTAKEN = (404, 412)

Report = Callable[[Step, str], None]


def bodies_fill(steps: Sequence[Step], environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return what each create and change sends, by slug. Raises CliError before any is sent."""
    sent = (step for step in steps if step.action in ("create", "change"))
    return {step.slug: secrets_filled(step.body, environ) for step in sent}


def step_apply(client: Client, step: Step, body: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Carry out one step. Returns the bot's id, and what the user should know.

    Raises CliError: if the account is not as it was planned for, nothing was changed by this step.
    """
    try:
        match step.action:
            case "create":
                return _checked(step, _create(client, body))
            case "change":
                path = f"{PATH}/{step.id}"
                answer = client.change(path, body, patch=True, version=step.version)
                return _checked(step, answer)
            case "delete":
                client.delete(f"{PATH}/{step.id}", version=step.version)
    except ApiError as exc:
        if exc.status not in _OVERTAKEN:
            raise
        raise CliError(
            f"Someone else changed or deleted {step.slug} since the plan was made "
            f"(version {step.version}). Plan again.",
            code=Exit.ERROR,
            details=exc.details,
        ) from None
    return step.id, []


def _create(client: Client, body: Mapping[str, Any]) -> dict[str, Any]:
    """Create a bot once, however often this command is run.

    The key is made of the body: if an earlier run's answer was lost, the same bot is answered
    again. Was that one deleted or changed since, the answer is a memory, and a new key is taken.
    """
    canonical = json.dumps(body, sort_keys=True).encode()
    made = client.post(PATH, body, key=hashlib.sha256(canonical).hexdigest())
    found: dict[str, Any]
    try:
        found = client.get(f"{PATH}/{made['id']}")
    except CliError as exc:
        # Whatever else keeps us from looking, the bot was made.
        found = {} if isinstance(exc, ApiError) and exc.status == 404 else made
    if slug_of(found) != slug_of(body):
        found = client.post(PATH, body, key=str(uuid.uuid4()))
    return found


def _checked(step: Step, answer: Mapping[str, Any]) -> tuple[str, list[str]]:
    notes = [f"{step.slug}: {text}" for text in answer.get("warnings", [])]
    for found in still_different(step.body, answer):
        notes.append(
            f"{step.slug}: still not as its file says: {found.path}. The API gives it a value of "
            "its own; write that one, or leave the member out."
        )
    return str(answer["id"]), notes
