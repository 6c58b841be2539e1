"""Which bot answers which phone number: assigned, taken back and repaired at Twilio.

Twilio is asked outside transactions, so a change first claims the number for a while: of two at
once the second is told so, and the reconciler leaves the number alone meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.models import Account
from apps.accounts.twilio import ask
from apps.bots.models import TwilioConfig
from apps.calls.models import PhoneNumber
from apps.calls.number_settings import (
    OURS,
    OVERRIDES,
    UNSET,
    Settings,
    actual_of,
    drift_of,
    form_of,
    is_ours,
    overrides_in,
    wanted_of,
)
from apps.telephony import rest
from apps.telephony.rest import TwilioError
from apps.webhooks.services import event_publish

# Longer than the two or three requests of a change may take.
CLAIM = timedelta(seconds=60)
NOT_HTTPS = "PUBLIC_URL must be https, and reachable from outside, before Twilio can call it."


class NumberChanging(Exception):
    """Somebody else is changing the number now."""


class NumberOverridden(Exception):
    """An application or a trunk of the number's would make Twilio ignore our URLs. told: which."""

    def __init__(self, names: list[str], actual: Settings) -> None:
        self.told = " and ".join(f"{name} ({actual[name]})" for name in names)
        super().__init__(
            f"The number has {self.told}, which makes Twilio ignore its voice URLs."
            " Send replace_application: true to take that away."
        )


class NotReachable(Exception):
    """Twilio could not call us: the message says why."""


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes which number. replace: an application or trunk is taken away where it is in the
    way. restore: what Twilio held before is put back; False asks Twilio nothing."""

    account: Account
    sid: str
    actor: Actor
    replace: bool = False
    restore: bool = True


def phone_numbers_of(account: Account) -> QuerySet[PhoneNumber]:
    """The account's numbers, with what showing them needs."""
    secrets = (f"connection__{name}" for name in ("auth_token", "api_key_secret", "signing_keys"))
    rows = PhoneNumber.objects.filter(account=account)
    return rows.select_related("connection", "config__current").defer(*secrets)


def number_assign(change: Change, config: TwilioConfig) -> PhoneNumber:
    """Have a bot answer the number: three URLs and their methods are set at Twilio.

    Raises PhoneNumber.DoesNotExist, NumberChanging, NumberOverridden, NotReachable, or TwilioError.
    """
    _reachable_check()
    with _claimed(change) as number:
        actual = _asked(number)
        _overrides_check(change, actual)
        if number.config_id is None and not is_ours(actual):
            # Kept before anything is changed: an answer may be lost.
            number.before = actual
            number.save(update_fields=["before", "updated_at"])
        wanted = wanted_of(change.account.id, config.id)
        names = [*OURS, *overrides_in(actual)]
        number.actual = _told(number, wanted, names)
        _settle(change, number, config, verb="assign", names=names)
    return number


def number_unassign(change: Change) -> PhoneNumber:
    """Have no bot answer the number. What Twilio held before is put back, where ours still stands.

    A number without a bot is left as it is. Raises PhoneNumber.DoesNotExist, NumberChanging, or
    TwilioError.
    """
    with _claimed(change) as number:
        if number.config_id is None:
            return number
        names = _restore(number) if change.restore else []
        _settle(change, number, None, verb="unassign", names=names)
    return number


def number_repair(change: Change) -> PhoneNumber:
    """Set at Twilio what differs from what is wanted. A number without a bot is left as it is.

    Raises PhoneNumber.DoesNotExist, NumberChanging, NumberOverridden, NotReachable, or TwilioError.
    """
    with _claimed(change) as number:
        if number.config is None:
            return number
        _reachable_check()
        wanted = wanted_of(change.account.id, number.config.id)
        number.actual = _asked(number)
        drifted = drift_of(wanted, number.actual)
        if drifted:
            _overrides_check(change, number.actual)
            number.actual = _told(number, wanted, drifted)
        _settle(change, number, number.config, verb="repair", names=drifted)
    return number


def drift_note(number: PhoneNumber, drift: list[str]) -> None:
    """Note what differs now, unsaved; if that is news, tell it in the caller's transaction."""
    before = number.drift
    number.drift = drift
    if drift and not before:
        number.drifted_at = timezone.now()
    if bool(drift) != bool(before):
        kind = "number.drifted" if drift else "number.repaired"
        _publish(number, kind, drift or before)
    if not drift:
        number.drifted_at = None


# --- inside -------------------------------------------------------------------------------------


@contextmanager
def _claimed(change: Change) -> Iterator[PhoneNumber]:
    rows = PhoneNumber.objects.filter(account=change.account, sid=change.sid)
    now = timezone.now()
    free = rows.filter(Q(changing_until=None) | Q(changing_until__lte=now))
    claim = now + CLAIM
    if not free.update(changing_until=claim, updated_at=now):
        if rows.exists():
            raise NumberChanging
        raise PhoneNumber.DoesNotExist
    try:
        yield rows.select_related("connection__parent", "config__current").get()
    finally:
        rows.filter(changing_until=claim).update(changing_until=None)


def _reachable_check() -> None:
    if settings.TWILIO_API_URL == rest.OWN_URL and not settings.PUBLIC_URL.startswith("https:"):
        raise NotReachable(NOT_HTTPS)


def _overrides_check(change: Change, actual: Settings) -> None:
    found = overrides_in(actual)
    if found and not change.replace:
        raise NumberOverridden(found, actual)


def _asked(number: PhoneNumber) -> Settings:
    connection = number.connection
    return actual_of(ask(connection, rest.number_get(connection.account_sid, number.sid)))


def _told(number: PhoneNumber, values: Settings, names: list[str]) -> Settings:
    connection = number.connection
    form = form_of(values, names)
    return actual_of(ask(connection, rest.number_update(connection.account_sid, number.sid, form)))


def _restore(number: PhoneNumber) -> list[str]:
    """Put back what was there, and return the names; what somebody else has set stays theirs."""
    names: list[str] = []
    before = {**UNSET, **number.before}
    try:
        number.actual = _asked(number)
        names = [name for name in OURS if number.actual[name] == number.wanted.get(name)]
        if names:
            number.actual = _told(number, before, names)
        # By itself: while one is set, Twilio does not look at the URLs.
        lost = [name for name in OVERRIDES if before[name] and not number.actual[name]]
        if lost:
            number.actual = _told(number, before, lost)
            names += lost
    except TwilioError as exc:
        if exc.reason != "not_found":
            raise
    number.before = {}
    return names


def _settle(
    change: Change,
    number: PhoneNumber,
    config: TwilioConfig | None,
    *,
    verb: str,
    names: list[str],
) -> None:
    """Write down what was done, and what Twilio answered. names: what was set at Twilio."""
    with transaction.atomic():
        was = number.config_id
        number.config = config
        number.wanted = wanted_of(change.account.id, config.id) if config else {}
        number.checked_at = timezone.now()
        number.gone_at, number.check_error = None, ""
        if config is None:
            # Nothing is wanted any more, which is no news of a repair.
            number.drift, number.drifted_at = [], None
        drift_note(number, drift_of(number.wanted, number.actual))
        number.changing_until = None
        number.save()
        audit_record(
            account=change.account,
            actor=change.actor,
            action=f"phone_number.{verb}",
            target=Target("phone_number", number.sid),
            before={"config_id": was and str(was)},
            after={"config_id": config and str(config.id), "set": names},
        )


def _publish(number: PhoneNumber, kind: str, names: list[str]) -> None:
    data: dict[str, Any] = {
        "phone_number_sid": number.sid,
        "number": number.number,
        "wanted": {name: number.wanted[name] for name in names if name in number.wanted},
        "actual": {name: number.actual[name] for name in names if name in number.actual},
        "fields": names,
    }
    key = f"{number.id}/{number.drifted_at.isoformat() if number.drifted_at else ''}"
    event_publish(account_id=number.account_id, kind=kind, data=data, key=key)
