"""What the page offers before a call: versions, variables, numbers to call from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.selectors import version_numbered
from apps.bots.variables import BUILT_IN, RESERVED, used_in
from apps.calls.models import PhoneNumber

# More are not offered in a list to choose from.
NUMBERS = 100


@dataclass(frozen=True, slots=True)
class Variable:
    """One that a call may bring. versions: ``published``, ``draft`` or both, as it is used."""

    name: str
    kind: str
    default: str
    description: str
    versions: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Choices:
    """published, draft: None where there is none, or the draft is what is published."""

    published: TwilioConfigVersion | None
    draft: TwilioConfigVersion | None
    variables: list[Variable]


def choices_of(config: TwilioConfig) -> Choices:
    """Return what can be talked to. config: with its current version. One query for a draft."""
    published = config.current
    draft = None
    if published is None or published.number != config.latest_number:
        draft = version_numbered(config, config.latest_number)
    found: dict[str, Variable] = {}
    for name, version in (("published", published), ("draft", draft)):
        for variable in [] if version is None else _variables(version.document):
            found.setdefault(variable.name, variable).versions.append(name)
    return Choices(published, draft, list(found.values()))


def numbers_of(config: TwilioConfig) -> list[str]:
    """Return the account's numbers at Twilio, the bot's own first."""
    rows = PhoneNumber.objects.filter(account_id=config.account_id, gone_at=None)
    known = list(rows.order_by("number").values_list("number", "config_id")[:NUMBERS])
    return [number for number, _ in sorted(known, key=lambda one: one[1] != config.pk)]


def _variables(document: Mapping[str, Any]) -> list[Variable]:
    declared: Mapping[str, Mapping[str, Any]] = document.get("variables") or {}
    names = [*declared, *sorted(used_in(document) - {*declared, *BUILT_IN, *RESERVED})]
    return [_variable(name, declared.get(name) or {}) for name in names]


def _variable(name: str, declared: Mapping[str, Any]) -> Variable:
    default = declared.get("default")
    shown = str(default).lower() if isinstance(default, bool) else str(default or "")
    return Variable(
        name, declared.get("type", "string"), shown, str(declared.get("description") or "")
    )
