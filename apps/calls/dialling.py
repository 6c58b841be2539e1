"""Asks for calls: what may be dialled, by which connection, and within which limits.

A call is a row first, and dialled afterwards, once: see ``apps.calls.posting``.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import phonenumbers
from django.db import transaction
from django.utils import timezone
from phonenumbers import PhoneNumber

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.models import Account, TwilioConnection
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.rendering import variables_check
from apps.bots.variables import used_in, value_clean
from apps.calls.e164 import country_of, is_sip
from apps.calls.hours import is_open, next_open
from apps.calls.lines import RULES, Clock, account_lock, line_take
from apps.calls.models import Call
from apps.calls.models import PhoneNumber as OwnNumber
from apps.calls.posting import call_post
from apps.calls.wishes import Wish

_NAMESPACE = uuid.UUID("3d0f1c64-1a55-4f0e-9f43-6b6c5d1f7a02")
SCHEDULE_LONGEST = timedelta(days=30)
# How a call is dialled where we have no connection: Twilio's own API, with the bot's TwiML.
BY_HAND = (
    "Or dial without one: POST the bot's TwiML to Twilio's Calls.json yourself, with curl, as "
    "docs/dialling-out.md shows."
)


class WishRefused(Exception):
    """The call that is asked for cannot be. fields: what is wrong, by the request's members."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(", ".join(fields))
        self.fields = fields


class NotNow(Exception):
    """The call could be, but not in the present state of things; the message says why.

    field: the member of the request that it hangs on, if one.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class AnotherCall(Exception):
    """The Idempotency-Key stands for a call that was asked for in other words."""


def call_dial(
    *, account: Account, wish: Wish, actor: Actor, key: str = "", clock: Clock = timezone.now
) -> Call:
    """Dial, or schedule, and return the call as it then is; it may have failed already.

    key: the request's Idempotency-Key: a call has its id of it, so whatever became of the first
    request, a second one finds the row and dials nothing. Takes up to 20 s.

    Raises WishRefused, NotNow, lines.Full, or AnotherCall.
    """
    identifier = dialled_id(account, key) if key else uuid.uuid4()
    if key and (known := _known(account, identifier, wish)) is not None:
        return known
    rules = Account.objects.only(*RULES).get(pk=account.pk)
    plan = _plan(rules, wish, identifier, clock())
    with transaction.atomic():
        locked = account_lock(account.pk)
        # Another process may have been quicker.
        if key and (known := _known(account, identifier, wish)) is not None:
            return known
        call = plan.call
        call.started_at = clock()
        if call.status != Call.Status.SCHEDULED:
            line_take(locked, clock())
            call.status, call.posted_at = Call.Status.DIALING, clock()
        call.save(force_insert=True)
        audit_record(
            account=account,
            actor=actor,
            action="call.dial",
            target=Target("call", str(call.id)),
            # Whom somebody calls is the account's own affair: the row has it, while it is kept.
            after={"config": str(wish.config_id), "scheduled_at": wish.schedule_at},
        )
    if call.status == Call.Status.DIALING:
        call_post(call, plan.version, clock=clock)
    return Call.objects.select_related("version").get(pk=call.pk)


def dialled_id(account: Account, key: str) -> uuid.UUID:
    """Return the id of the call that a request with this Idempotency-Key makes."""
    return uuid.uuid5(_NAMESPACE, f"{account.pk}/{key}")


def _known(account: Account, identifier: uuid.UUID, wish: Wish) -> Call | None:
    known = Call.objects.owned_by(account).select_related("version").filter(pk=identifier).first()
    if known is not None and known.asked.get("digest") != wish.digest():
        raise AnotherCall
    return known


@dataclass(frozen=True, slots=True)
class _Plan:
    """A call that may be, as a row that is not stored yet; and what it will say."""

    call: Call
    version: TwilioConfigVersion


def _plan(account: Account, wish: Wish, identifier: uuid.UUID, now: datetime) -> _Plan:
    config = _config(account, wish)
    assert config.current is not None
    if wrong := variables_wrong(config.current, wish.variables):
        raise WishRefused(variables=wrong)
    country_check(account, wish.to)
    _time_check(account, wish, now)
    call = Call(
        id=identifier,
        account_id=account.pk,
        connection=connection_for(account, wish),
        config=config,
        version=config.current,
        direction=Call.Direction.OUTBOUND,
        from_number=wish.from_,
        to_number=wish.to,
        status=Call.Status.SCHEDULED if wish.schedule_at else Call.Status.QUEUED,
        scheduled_at=wish.schedule_at,
        variables=dict(wish.variables),
        metadata=dict(wish.metadata),
        asked=wish.asked(),
    )
    return _Plan(call, config.current)


def _config(account: Account, wish: Wish) -> TwilioConfig:
    found = TwilioConfig.objects.filter(account_id=account.pk, deleted_at=None)
    config = found.filter(pk=wish.config_id).select_related("current").first()
    if config is None:
        raise WishRefused(config_id=["No bot of this account; GET /twilio-config lists them."])
    if config.current is None:
        raise NotNow("The bot was never published, so it takes no calls.", field="config_id")
    return config


def variables_wrong(version: TwilioConfigVersion, given: Mapping[str, Any]) -> dict[str, list[str]]:
    """Say what is wrong with a call's variables, by name: what the bot has none of, other types."""
    declared: Mapping[str, Mapping[str, Any]] = version.document.get("variables") or {}
    valid = sorted({*declared, *used_in(version.document)} - {*variables_check(declared)})
    wrong = variables_check(given)
    for name, value in given.items():
        kind = declared.get(name, {}).get("type", "string")
        if name in wrong:
            continue
        if name not in valid:
            wrong[name] = [f"The bot has no such variable. Valid: {', '.join(valid) or 'none'}."]
        elif value_clean(kind, value) is None:
            wrong[name] = [f"Not of the type {kind}."]
    return wrong


def country_check(account: Account, to: str) -> None:
    """Raise WishRefused unless the account may call there."""
    allowed = account.allowed_countries
    if not allowed:
        return
    country = None if is_sip(to) else country_of(to)
    if country not in allowed:
        where = f"Calls to {country} are" if country else "What belongs to no country is"
        raise WishRefused(
            to=[f"{where} not allowed for this account. Allowed: {', '.join(sorted(allowed))}."]
        )


def _time_check(account: Account, wish: Wish, now: datetime) -> None:
    at = wish.schedule_at
    if at is not None and not now < at <= now + SCHEDULE_LONGEST:
        why = f"In the future, and no more than {SCHEDULE_LONGEST.days} days ahead."
        raise WishRefused(schedule_at=[why])
    opens = opening_for(account, wish.to, at or now)
    if opens == (at or now):
        return
    when = f"the next time is {opens.isoformat()}" if opens else "no hour of theirs is known"
    why = f"Outside the account's calling hours for this number: {when}."
    if at is not None:
        raise WishRefused(schedule_at=[why])
    raise NotNow(f"{why} schedule_at dials then.", field="to")


def opening_for(account: Account, to: str, at: datetime) -> datetime | None:
    """Return from when on the account may call: ``at`` itself, if then; None: never."""
    number = PhoneNumber() if is_sip(to) else phonenumbers.parse(to)
    if is_open(account.calling_hours, number, at):
        return at
    return next_open(account.calling_hours, number, at)


def connection_for(account: Account, wish: Wish) -> TwilioConnection:
    """Choose what dials: what is named, what owns the caller's number, or the only one there is.

    Raises WishRefused, or NotNow where there is none at all.
    """
    every = list(TwilioConnection.objects.filter(account_id=account.pk).select_related("parent"))
    if wish.connection_id is not None:
        return _named(every, wish.connection_id)
    if not every:
        raise NotNow(f"The account has no Twilio connection to dial by: store one. {BY_HAND}")
    owner = OwnNumber.objects.filter(account_id=account.pk, number=wish.from_)
    owning = set(owner.values_list("connection_id", flat=True))
    fitting = [found for found in every if found.pk in owning] or every
    if len(fitting) > 1:
        raise WishRefused(connection_id=[f"Several could dial; name one. Valid: {_ids(fitting)}."])
    return fitting[0]


def _named(every: Sequence[TwilioConnection], wanted: uuid.UUID) -> TwilioConnection:
    for found in every:
        if found.pk == wanted:
            return found
    raise WishRefused(
        connection_id=[f"No connection of this account. Valid: {_ids(every) or 'none'}."]
    )


def _ids(connections: Sequence[TwilioConnection]) -> str:
    return ", ".join(str(found.pk) for found in connections)
