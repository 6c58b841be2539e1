"""What can be done to an account's connections to Twilio. Secrets go in, and never come out."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.connection_checks import Findings, connection_probe
from apps.accounts.models import Account, TwilioConnection
from apps.accounts.signing import signing_secrets_refresh
from apps.accounts.twilio import ask_pages
from apps.telephony import rest
from apps.telephony.rest import TwilioError

# Whatever of these changes is tried at Twilio before it is stored.
_TRIED = frozenset(
    ("account_sid", "auth_token", "api_key_sid", "api_key_secret", "region", "edge", "parent_id")
)
_SECRETS = ("auth_token", "api_key_secret", "signing_keys")
LONGEST_ERROR = 300
SECRET_CHARACTERS = 500
# A shorter secret's last four characters would be much of it.
SHOWN_FROM = 8

REGION_NEEDS_EDGE = (
    "Say the edge too: hosts of a region alone, such as api.ie1.twilio.com, were shut on"
    " 2026-04-28. ie1 is at dublin, au1 at sydney, us1 at ashburn."
)
TRIAL = "A trial account: Twilio blocks <Stream> on it, so no bot can speak. Upgrade it."
UNVERIFIABLE = (
    "No auth token and no signing key is stored, so webhooks and streams cannot be verified and"
    " are refused. Store the auth token too; or use a TwiML Bin alone."
)
KNOWN = "There is a connection to this Twilio account already."
UNCHECKED = "Not tried at Twilio yet."
UNUSED_REGION = "Region and edge are kept, but unused: TWILIO_API_URL names another host."

Hold = Callable[[TwilioConnection], Iterable[str]]
_holds: list[Hold] = []


def connection_hold(hold: Hold) -> Hold:
    """Have ``hold`` asked before a connection is deleted: what it returns, speaks against it.

    For apps that know what an account knows nothing of, such as calls.
    """
    if hold not in _holds:
        _holds.append(hold)
    return hold


class ConnectionInUse(Exception):
    """It cannot be deleted; the message says what is in the way."""


class ConnectionChanged(Exception):
    """Somebody else changed it while Twilio was asked."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A connection as it is stored. notes: what Twilio's answer let see."""

    connection: TwilioConnection
    notes: tuple[str, ...] = ()


def connections_of(account: Account) -> QuerySet[TwilioConnection]:
    """The account's connections, oldest first; the secrets stay in the table."""
    return TwilioConnection.objects.filter(account=account).defer(*_SECRETS)


def connection_create(
    *, account: Account, given: Mapping[str, Any], actor: Actor, check: bool = True
) -> Saved:
    """Store a connection that Twilio takes. given: members by their names in the model.

    parent_id among them. check: False stores it untried. Raises serializers.ValidationError, or
    TwilioError.
    """
    connection = TwilioConnection(account=account)
    _fill(connection, given)
    _whole_check(connection)
    if _known(connection):
        raise ValidationError({"account_sid": [KNOWN]})
    notes = _try(connection) if check else ()
    try:
        with transaction.atomic():
            _lock(account)
            _store(connection)
            _record(connection, actor=actor, verb="create", after=_facts(connection))
    except IntegrityError:
        raise ValidationError({"account_sid": [KNOWN]}) from None
    return Saved(connection, notes)


def connection_patch(
    *,
    account: Account,
    connection_id: uuid.UUID,
    given: Mapping[str, Any],
    actor: Actor,
    check: bool = True,
) -> Saved:
    """Change the members that are given; Twilio is asked if it is about signing in.

    signing_keys are merged: a secret of None takes its key away, None for all takes all.
    Raises TwilioConnection.DoesNotExist, serializers.ValidationError, TwilioError, or
    ConnectionChanged.
    """
    rows = TwilioConnection.objects.filter(account=account).select_related("parent")
    connection = rows.get(pk=connection_id)
    read_at, before = connection.updated_at, _facts(connection)
    if "signing_keys" in given:
        given = {**given, "signing_keys": _merged(connection.signing_keys, given["signing_keys"])}
    changed = {name for name, value in given.items() if getattr(connection, name) != value}
    if "account_sid" in changed:
        raise ValidationError({"account_sid": ["Make another connection for another account."]})
    _fill(connection, given)
    _whole_check(connection)
    notes: tuple[str, ...] = ()
    if changed & _TRIED:
        connection.checked_at, connection.check_error = None, ""
        notes = _try(connection) if check else ()
    with transaction.atomic():
        _lock(account)
        if not rows.filter(pk=connection.pk, updated_at=read_at).exists():
            raise ConnectionChanged
        _store(connection)
        _record(connection, actor=actor, verb="update", before=before, after=_facts(connection))
    return Saved(connection, notes)


def connection_check(*, account: Account, connection_id: uuid.UUID, actor: Actor) -> Saved:
    """Try a stored connection at Twilio, and keep how that went.

    Raises TwilioConnection.DoesNotExist. That Twilio refuses, or is not there, is no error here:
    the connection's ``check_error`` says it.
    """
    rows = TwilioConnection.objects.filter(account=account).select_related("parent")
    connection = rows.get(pk=connection_id)
    notes: tuple[str, ...] = ()
    written = ["checked_at", "check_error", "friendly_name", "is_trial"]
    if not connection.auth_token:
        written += ["auth_token", "hints"]
    try:
        notes = _try(connection)
    except TwilioError as exc:
        connection.check_error = error_text(exc)
    with transaction.atomic():
        _lock(account)
        _store(connection, written=written)
        outcome = {"ok": not connection.check_error, "error": connection.check_error}
        _record(connection, actor=actor, verb="check", after=outcome)
    return Saved(connection, notes)


def connection_delete(*, account: Account, connection_id: uuid.UUID, actor: Actor) -> None:
    """Forget a connection. Raises TwilioConnection.DoesNotExist, or ConnectionInUse."""
    with transaction.atomic():
        _lock(account)
        connection = connections_of(account).get(pk=connection_id)
        children = connections_of(account).filter(parent=connection)
        reasons = [f"sub-account {child.account_sid}" for child in children]
        for hold in _holds:
            reasons += hold(connection)
        if reasons:
            raise ConnectionInUse(f"In use by {', '.join(reasons)}.")
        _record(connection, actor=actor, verb="delete", before=_facts(connection))
        connection.delete()
        signing_secrets_refresh(account)


@dataclass(frozen=True, slots=True)
class SubAccount:
    """A sub-account at Twilio. connection_id: of ours to it, if there is one."""

    account_sid: str
    friendly_name: str
    status: str
    connection_id: uuid.UUID | None


def subaccounts_of(*, account: Account, connection_id: uuid.UUID) -> list[SubAccount]:
    """Ask Twilio for a connection's sub-accounts.

    Raises TwilioConnection.DoesNotExist, or TwilioError.
    """
    rows = TwilioConnection.objects.filter(account=account)
    connection = rows.select_related("parent").get(pk=connection_id)
    known = dict(rows.values_list("account_sid", "id"))
    return [
        SubAccount(
            str(found["sid"]),
            str(found.get("friendly_name") or ""),
            str(found.get("status") or ""),
            known.get(found["sid"]),
        )
        for found in ask_pages(connection, rest.accounts_list(), "accounts")
        if found.get("owner_account_sid") == connection.account_sid != found["sid"]
    ]


def warnings_of(connection: TwilioConnection) -> list[str]:
    """Say what will not work with a connection as it is."""
    hints = connection.hints
    found = {
        UNCHECKED: connection.checked_at is None and not connection.check_error,
        TRIAL: connection.is_trial,
        UNVERIFIABLE: not hints.get("auth_token") and not hints.get("signing_keys"),
        UNUSED_REGION: bool(connection.region) and settings.TWILIO_API_URL != rest.OWN_URL,
    }
    return [text for text, holds in found.items() if holds]


def error_text(refused: TwilioError) -> str:
    """What is kept of a refusal in a ``check_error``."""
    text = f"{refused.hint} (Twilio {refused.code})" if refused.code else refused.hint
    return text[:LONGEST_ERROR]


# --- inside -------------------------------------------------------------------------------------


def _fill(connection: TwilioConnection, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name != "parent_id":
            setattr(connection, name, value)
    if "parent_id" in given:
        connection.parent = _parent(connection.account, given["parent_id"])
    parent = connection.parent
    if parent is not None and not connection.auth_token and not connection.api_key_sid:
        # Signed in as the parent, and that works in the parent's region alone.
        connection.region, connection.edge = parent.region, parent.edge


def _merged(keys: Mapping[str, str], patch: Mapping[str, str | None] | None) -> dict[str, str]:
    merged = {**keys, **patch} if patch is not None else {}
    return {name: secret for name, secret in merged.items() if secret is not None}


def _parent(account: Account, connection_id: uuid.UUID | None) -> TwilioConnection | None:
    if connection_id is None:
        return None
    found = TwilioConnection.objects.filter(account=account, pk=connection_id).first()
    if found is None:
        raise ValidationError({"parent_id": ["No connection of this account has this id."]})
    return found


def _whole_check(connection: TwilioConnection) -> None:
    wrong: dict[str, list[str]] = {}
    if connection.region and not connection.edge:
        wrong["edge"] = [REGION_NEEDS_EDGE]
    if connection.edge and not connection.region:
        wrong["region"] = ["Say the region too, such as ie1."]
    if connection.api_key_sid and not connection.api_key_secret:
        wrong["api_key_secret"] = ["Say the API key's secret too."]
    if connection.api_key_secret and not connection.api_key_sid:
        wrong["api_key_sid"] = ["Say the API key's SID too."]
    parent = connection.parent
    if parent is None and not connection.auth_token and not connection.api_key_sid:
        wrong["auth_token"] = ["Give the auth token, or an API key; or the parent's connection."]
    if parent is not None and (parent.parent_id is not None or parent.pk == connection.pk):
        wrong["parent_id"] = ["A sub-account has none of its own: name the main account's."]
    if wrong:
        raise ValidationError(wrong)


def _known(connection: TwilioConnection) -> bool:
    rows = TwilioConnection.objects.filter(account_id=connection.account_id)
    return rows.filter(account_sid=connection.account_sid).exists()


def _try(connection: TwilioConnection) -> tuple[str, ...]:
    """Ask Twilio and note what it says. No transaction is open. Raises TwilioError."""
    connection.checked_at = timezone.now()
    found: Findings = connection_probe(connection)
    connection.check_error = ""
    connection.friendly_name = found.friendly_name
    connection.is_trial = found.is_trial
    if not connection.auth_token:
        connection.auth_token = found.auth_token
    return found.notes


def _lock(account: Account) -> None:
    """Let one change of the account's connections follow the other: each gathers all secrets."""
    Account.objects.select_for_update(no_key=True).only("id").get(pk=account.pk)


def _store(connection: TwilioConnection, *, written: Iterable[str] | None = None) -> None:
    """Write a connection, or members of it, in a transaction that holds the account's lock."""
    token = connection.auth_token
    last4 = f"…{token[-4:]}" if len(token) >= SHOWN_FROM else "…" if token else ""
    connection.hints = {"auth_token": last4, "signing_keys": sorted(connection.signing_keys)}
    connection.save(update_fields=None if written is None else [*written, "updated_at"])
    signing_secrets_refresh(connection.account)


def _facts(connection: TwilioConnection) -> dict[str, Any]:
    return {
        "name": connection.name,
        "account_sid": connection.account_sid,
        "parent": connection.parent_id and str(connection.parent_id),
        "last4": connection.hints.get("auth_token", ""),
        "key_sid": connection.api_key_sid,
        "signing_keys": connection.hints.get("signing_keys", []),
        "region": connection.region,
        "edge": connection.edge,
    }


def _record(
    connection: TwilioConnection,
    *,
    actor: Actor,
    verb: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    audit_record(
        account=connection.account,
        actor=actor,
        action=f"twilio_connection.{verb}",
        target=Target("twilio_connection", str(connection.id)),
        before=before,
        after=after,
    )
