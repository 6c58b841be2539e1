"""What the list of bots says of each: its last call, and whether anything is wrong with it."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.accounts.models import Credential
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.slots import declaration, kinds_used, slot_warning
from apps.calls.models import Call, PhoneNumber
from apps.calls.statistics.figures import Ending, Outcome

DAY = timedelta(hours=24)
# So many calls in a row that failed are no accident.
IN_A_ROW = 3


@dataclass(frozen=True, slots=True)
class Health:
    """What is wrong with a bot, a sentence each; nothing, if it is fine."""

    reasons: tuple[str, ...] = ()
    is_draft: bool = False


@dataclass(slots=True)
class Known:
    """What is known of the bots of one page, by their ids."""

    last: Mapping[uuid.UUID, Call] = field(default_factory=dict)
    keys: Mapping[uuid.UUID, set[str]] = field(default_factory=dict)
    own_keys: Mapping[uuid.UUID, set[str]] = field(default_factory=dict)
    drifted: Mapping[uuid.UUID, int] = field(default_factory=dict)
    recent: Mapping[uuid.UUID, list[Call]] = field(default_factory=dict)


def bots_listed(rows: QuerySet[TwilioConfig]) -> QuerySet[TwilioConfig]:
    """Add to each bot when it was last called, and how often in a day."""
    calls = Call.objects.filter(config=OuterRef("pk")).order_by("-started_at", "-id")
    since = timezone.now() - DAY
    counted = (
        Call.objects.filter(config=OuterRef("pk"), started_at__gte=since)
        .order_by()
        .values("config")
        .annotate(count=Count("pk"))
        .values("count")
    )
    return rows.annotate(
        last_called_at=Subquery(calls.values("started_at")[:1]),
        calls_in_a_day=Coalesce(Subquery(counted), 0),
    )


def known_of(bots: Sequence[TwilioConfig]) -> Known:
    """Read what the list says of these bots: five queries, however many they are."""
    ids = [bot.pk for bot in bots]
    recent = _recent(ids)
    keys: defaultdict[uuid.UUID, set[str]] = defaultdict(set)
    accounts = {bot.account_id for bot in bots}
    stored = Credential.objects.filter(account_id__in=accounts)
    for account_id, provider in stored.values_list("account_id", "provider"):
        keys[account_id].add(provider)
    drifted = PhoneNumber.objects.filter(config_id__in=ids, drifted_at__isnull=False)
    return Known(
        last={config_id: calls[0] for config_id, calls in recent.items()},
        keys=keys,
        own_keys=_own_keys([bot for bot in bots if any(_wanting(bot, keys[bot.account_id]))]),
        drifted=Counter(drifted.values_list("config_id", flat=True)),
        recent=recent,
    )


def _recent(ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Call]]:
    """The last calls of each bot, newest first: looked up in the index, one by one."""
    calls = Call.objects.filter(config=OuterRef("pk")).order_by("-started_at", "-id").values("pk")
    places = {f"call_{n}": Subquery(calls[n : n + 1]) for n in range(IN_A_ROW)}
    rows = TwilioConfig.objects.filter(pk__in=ids).order_by().annotate(**places)
    looked_up = rows.values_list("pk", *places)
    found = {pk: [one for one in last if one] for pk, *last in looked_up}
    fields = ("id", "status", "end_reason", "error_code", "started_at", "ended_at", "config_id")
    by_id = Call.objects.only(*fields).in_bulk([one for last in found.values() for one in last])
    return {pk: [by_id[one] for one in last if one in by_id] for pk, last in found.items() if last}


def _own_keys(bots: Sequence[TwilioConfig]) -> dict[uuid.UUID, set[str]]:
    """The providers that bots bring keys for; read only where the account has none."""
    if not bots:
        return {}
    versions = TwilioConfigVersion.objects.filter(pk__in=[bot.current_id for bot in bots])
    return {
        config_id: set(secrets.get("api_keys", {}))
        for config_id, secrets in versions.values_list("config_id", "secrets")
    }


def _wanting(bot: TwilioConfig, keys: set[str]) -> Iterator[str]:
    """Yield the titles of the bot's providers that need a key and have none among ``keys``."""
    if bot.current is None:
        return
    for kind in kinds_used(bot.current.document):
        found = declaration(kind, bot.current.document[kind]["provider"])
        if found and found.needs_key and not found.key_optional and found.name not in keys:
            yield found.title


def health_of(bot: TwilioConfig, known: Known) -> Health:
    """Say what keeps a bot from doing its work."""
    if bot.current is None:
        return Health(is_draft=True)
    return Health(tuple(_reasons(bot, known)))


def _reasons(bot: TwilioConfig, known: Known) -> Iterator[str]:
    document: dict[str, Any] = bot.current.document if bot.current else {}
    for kind in kinds_used(document):
        if warning := slot_warning(kind, document[kind]["provider"]):
            yield warning
    keys = known.keys.get(bot.account_id, set()) | known.own_keys.get(bot.pk, set())
    if wanting := sorted(set(_wanting(bot, keys))):
        yield f"No key for {', '.join(wanting)}."
    over = [call for call in known.recent.get(bot.pk, []) if call.is_over]
    if over and all(failed(call) for call in over) and len(over) == IN_A_ROW:
        yield f"The last {IN_A_ROW} calls failed."
    elif over and failed(over[0]):
        yield "The last call failed."
    if count := known.drifted.get(bot.pk, 0):
        yield f"{count} number{'s' if count > 1 else ''} changed at Twilio."


def failed(call: Call) -> bool:
    """Tell whether a call that is over went wrong, and not by its caller's doing."""
    return Ending(call.status, call.end_reason, call.error_code).outcome is Outcome.FAILED
