"""Whether Twilio takes what a connection signs in with, and what it says of the account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.accounts.models import TwilioConnection
from apps.accounts.twilio import ask, login_of
from apps.telephony import rest
from apps.telephony.rest import Login, TwilioError

STANDARD_KEY = (
    "This is a standard API key, which may not read the account: whether it is a trial account is"
    " not known."
)
NOT_PRIMARY = (
    "Twilio takes this auth token, but the account's primary one is another: webhooks are signed"
    " with the primary one, and would be refused."
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What Twilio said. auth_token: of a sub-account, as its parent may read it. notes: what works
    but will surprise."""

    friendly_name: str = ""
    is_trial: bool = False
    auth_token: str = field(default="", repr=False)
    notes: tuple[str, ...] = ()


def connection_probe(connection: TwilioConnection) -> Findings:
    """Ask Twilio for the account with all that the connection has; one or two requests.

    Raises TwilioError; its field names the member of a connection that is to blame.
    """
    facts: Mapping[str, Any] | None = None
    if connection.auth_token:
        login = Login(connection.account_sid, connection.auth_token)
        facts = _account(connection, login, "auth_token")
    if connection.api_key_sid:
        by_key = _account_by_key(connection, known=facts is not None)
        facts = by_key if facts is None else facts
    if facts is None:
        facts = _account(connection, login_of(connection), "parent_id")
    _standing_check(facts)
    _parent_check(connection, facts)
    return _findings(connection, facts)


def _account(connection: TwilioConnection, login: Login, blamed: str) -> Mapping[str, Any]:
    try:
        return ask(connection, rest.account_get(connection.account_sid), login=login)
    except TwilioError as exc:
        raise _blaming(exc, blamed) from None


def _account_by_key(connection: TwilioConnection, *, known: bool) -> Mapping[str, Any]:
    """Return the account, or nothing of it where the key may not read that, but works."""
    login = Login(connection.api_key_sid, connection.api_key_secret)
    if not known:
        try:
            return _account(connection, login, "api_key_secret")
        except TwilioError as exc:
            if exc.reason != "authentication_failed":
                raise
    # A standard key is told from a wrong one by what every key may do.
    try:
        ask(connection, rest.numbers_list(connection.account_sid, {"PageSize": "1"}), login=login)
    except TwilioError as exc:
        raise _blaming(exc, "api_key_secret") from None
    return {}


def _blaming(refused: TwilioError, member: str) -> TwilioError:
    if refused.reason not in ("authentication_failed", "not_found", "account_inactive"):
        return refused
    blamed = member if refused.reason == "authentication_failed" else "account_sid"
    return TwilioError(refused.reason, refused.hint, code=refused.code, field=blamed)


def _standing_check(facts: Mapping[str, Any]) -> None:
    standing = str(facts.get("status") or "active")
    if standing != "active":
        hint = f"The Twilio account is {standing}; see its console."
        raise TwilioError("account_inactive", hint, field="account_sid")


def _parent_check(connection: TwilioConnection, facts: Mapping[str, Any]) -> None:
    owner = facts.get("owner_account_sid")
    if connection.parent is None or not owner or owner == connection.parent.account_sid:
        return
    hint = "Twilio says that this account is no sub-account of that connection's."
    raise TwilioError("not_a_subaccount", hint, field="parent_id")


def _findings(connection: TwilioConnection, facts: Mapping[str, Any]) -> Findings:
    notes = []
    if not facts:
        notes.append(STANDARD_KEY)
    told = str(facts.get("auth_token") or "")
    # Said of the first region alone: whether the others' tokens are told here is not documented.
    if told and connection.auth_token and told != connection.auth_token and not connection.region:
        notes.append(NOT_PRIMARY)
    return Findings(
        friendly_name=str(facts.get("friendly_name") or "")[:200],
        is_trial=facts.get("type") == "Trial",
        auth_token=told if connection.parent is not None else "",
        notes=tuple(notes),
    )
