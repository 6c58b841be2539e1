"""What would make an account be as a folder says. Pure: it asks nobody and changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from apps.cli.differences import Difference, differences, removals
from apps.cli.folder import FiledBot
from apps.cli.secrets import secrets_dropped, secrets_named

Action = Literal["create", "change", "delete", "same"]
SIGNS: Mapping[Action, str] = {"create": "+", "change": "~", "delete": "-", "same": "="}
COLOURS: Mapping[Action, str] = {"create": "green", "change": "yellow", "delete": "red", "same": ""}


@dataclass(frozen=True, slots=True)
class Step:
    """What is to happen to one bot.

    id and version: of the bot as it was when this was planned; none to create. body: what to send,
    with references in place of secrets.
    """

    action: Action
    slug: str
    file: str = ""
    id: str = ""
    version: int | None = None
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    differences: tuple[Difference, ...] = ()

    @property
    def secrets(self) -> list[str]:
        """The secrets it sends along. They are not compared: the API does not answer them."""
        return secrets_named(self.body) if self.action in ("create", "change") else []

    def as_json(self) -> dict[str, Any]:
        """Return it as a program reads it. No secrets."""
        return {
            "action": self.action,
            "slug": self.slug,
            "file": self.file or None,
            "id": self.id or None,
            "version": self.version,
            "changes": [found.as_json() for found in self.differences],
            "secrets": self.secrets,
        }

    def as_lines(self) -> Iterator[str]:
        """Yield it as a person reads it."""
        where = f" ({self.file})" if self.action == "create" else ""
        yield f"{SIGNS[self.action]} {self.slug}{where}"
        if self.action == "change":
            for found in self.differences:
                yield from (f"    {line}" for line in found.as_lines())
        if self.secrets:
            yield f"    with {', '.join(self.secrets)}"


def plan(
    bots: Sequence[FiledBot],
    account: Mapping[str, Mapping[str, Any]],
    *,
    prune: bool = False,
    secrets: bool = False,
) -> list[Step]:
    """Return a step for every bot of the folder, and with ``prune`` for those it does not name.

    account: the account's bots by slug. secrets: bots that bring secrets are changed even if
    nothing else differs. Creates come first and deletes last, so that a name is never without bot.
    """
    steps = [_step(bot, account.get(bot.slug), secrets=secrets) for bot in bots]
    if prune:
        filed = {bot.slug for bot in bots}
        steps += [
            Step("delete", slug, id=str(found["id"]), version=found["version"])
            for slug, found in sorted(account.items())
            if slug not in filed
        ]
    order: Sequence[Action] = ("create", "change", "same", "delete")
    return sorted(steps, key=lambda step: order.index(step.action))


def _step(bot: FiledBot, found: Mapping[str, Any] | None, *, secrets: bool) -> Step:
    if found is None:
        return Step("create", bot.slug, bot.file, body=bot.body)
    changes = still_different(bot.body, found)
    forced = secrets and bool(secrets_named(bot.body))
    return Step(
        "change" if changes or forced else "same",
        bot.slug,
        bot.file,
        str(found["id"]),
        found["version"],
        removals(bot.body, found),
        changes,
    )


def still_different(body: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return in what a bot differs from its file."""
    return tuple(differences(secrets_dropped(body), found))


def summary(steps: Sequence[Step]) -> dict[Action, int]:
    """Count the steps by what they do."""
    counted = Counter(step.action for step in steps)
    return {action: counted[action] for action in SIGNS}


def drifts(steps: Sequence[Step]) -> bool:
    """Tell whether anything is to be done."""
    return any(step.action != "same" for step in steps)
