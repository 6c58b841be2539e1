"""What Twilio knows: accounts, keys, numbers, applications and calls, in memory."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from apps.simulator.twilio.errors import Refused
from apps.simulator.twilio.form import Form

# Who watches: told of a kind of thing (call, heard, finding, alert) and its facts.
Tell = Callable[[str, Mapping[str, Any]], None]
TERMINAL = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})


def sid_new(prefix: str) -> str:
    return prefix + uuid.uuid4().hex


@dataclass(slots=True)
class ApiKey:
    """standard: it cannot read accounts, as Twilio's standard keys cannot."""

    sid: str
    secret: str = field(repr=False)
    standard: bool = False


@dataclass(slots=True)
class Account:
    """kind: Full or Trial. verified: other people's numbers that it may call from, and, on trial,
    call. refused: the error for every number that begins so. calls_per_s, max_live: its limits.
    """

    sid: str
    auth_token: str = field(repr=False)
    friendly_name: str = "Stand-in"
    status: str = "active"
    kind: str = "Full"
    owner_sid: str = ""
    keys: dict[str, ApiKey] = field(default_factory=dict)
    verified: set[str] = field(default_factory=set)
    refused: dict[str, int] = field(default_factory=dict)
    limits: Limits = field(default_factory=lambda: Limits())


@dataclass(slots=True)
class Limits:
    """calls_per_s: outbound calls that leave the queue in a second. live: calls at once, if any."""

    calls_per_s: float = 1.0
    live: int | None = None
    applications: int = 1_000


@dataclass(slots=True)
class Resource:
    """A number or an application. settings: by Twilio's parameter names, all of them strings."""

    sid: str
    account_sid: str
    settings: dict[str, str]
    created: datetime
    updated: datetime
    phone_number: str = ""


@dataclass(slots=True)
class Times:
    created: datetime
    updated: datetime
    started: datetime | None = None
    ended: datetime | None = None


@dataclass(slots=True)
class Call:
    """A call as REST shows it. asked: the parameters of its create.

    history: every status it had, in order. sip_code: how the callee's side answered.
    """

    sid: str
    account_sid: str
    to: str
    from_: str
    direction: str
    times: Times
    asked: Form = field(default_factory=Form, repr=False)
    parent_sid: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    history: list[str] = field(default_factory=lambda: ["queued"])

    @property
    def status(self) -> str:
        return self.history[-1]

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL

    @property
    def seconds(self) -> int:
        """How long it was connected."""
        if self.times.started is None or self.times.ended is None:
            return 0
        return round((self.times.ended - self.times.started).total_seconds())


@dataclass(frozen=True, slots=True)
class Finding:
    """What a client did that Twilio would have ignored, and that cannot have been meant."""

    operation: str
    what: str


class World:
    """All that there is. now: the wall clock.

    calls, numbers and applications by SID. routes: where an origin is really reached, such as
    ``{"https://voice.example.com": "http://127.0.0.1:8000"}``; what is signed stays. findings:
    tests assert that there are none. alerts: what Twilio's debugger would list, as (code, text).
    tell: whoever watches.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = now
        self.accounts: dict[str, Account] = {}
        self.numbers: dict[str, Resource] = {}
        self.applications: dict[str, Resource] = {}
        self.calls: dict[str, Call] = {}
        self.findings: list[Finding] = []
        self.alerts: list[tuple[int, str]] = []
        self.routes: dict[str, str] = {}
        self.tell: Tell = _nobody

    def account_add(
        self,
        *,
        owner: Account | None = None,
        kind: str = "Full",
        sid: str = "",
        auth_token: str = "",
    ) -> Account:
        """Open an account, or a sub-account of another."""
        sid = sid or sid_new("AC")
        account = Account(
            sid,
            auth_token or secrets.token_hex(16),
            kind=kind,
            owner_sid=sid if owner is None else owner.sid,
        )
        self.accounts[sid] = account
        return account

    def key_add(
        self, account: Account, *, standard: bool = False, sid: str = "", secret: str = ""
    ) -> ApiKey:
        key = ApiKey(sid or sid_new("SK"), secret or secrets.token_urlsafe(24), standard)
        account.keys[key.sid] = key
        return key

    def number_add(self, account: Account, phone_number: str, **settings: str) -> Resource:
        """Buy a number. settings: by Twilio's names, such as VoiceUrl."""
        when = self.now()
        given = {"FriendlyName": phone_number, **settings}
        # The same number of the same account has the same SID after a restart.
        sid = "PN" + uuid.uuid5(uuid.NAMESPACE_URL, f"{account.sid} {phone_number}").hex
        number = Resource(sid, account.sid, given, when, when, phone_number)
        self.numbers[number.sid] = number
        return number

    def number_of(self, phone_number: str) -> Resource | None:
        """Find who owns a number."""
        return next(
            (one for one in self.numbers.values() if one.phone_number == phone_number), None
        )

    def finding(self, operation: str, what: str) -> None:
        self.findings.append(Finding(operation, what))
        self.tell("finding", {"operation": operation, "what": what})

    def alert(self, code: int, text: str) -> None:
        self.alerts.append((code, text))
        self.tell("alert", {"code": code, "what": text})

    def call_add(self, call: Call) -> None:
        self.calls[call.sid] = call
        self._tell_call(call)

    def routed(self, url: str) -> str:
        """Return where a URL is really reached; a WebSocket goes the way of its http twin."""
        parts = urlsplit(url)
        socket = parts.scheme in ("ws", "wss")
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        to = self.routes.get(f"{scheme}://{parts.netloc}")
        if to is None:
            return url
        way = urlsplit(to)
        over = {"http": "ws", "https": "wss"}[way.scheme] if socket else way.scheme
        return parts._replace(scheme=over, netloc=way.netloc).geturl()

    def live(self, account: Account) -> list[Call]:
        return [
            one for one in self.calls.values() if not one.ended and one.account_sid == account.sid
        ]

    def call_move(self, call: Call, status: str) -> None:
        """Put a call into a status. A terminal one is final."""
        if call.ended:
            return
        now = call.times.updated = self.now()
        if status == "in-progress" and call.times.started is None:
            call.times.started = now
        if status in TERMINAL:
            call.times.ended = now
        call.history.append(status)
        self._tell_call(call)

    def _tell_call(self, call: Call) -> None:
        self.tell(
            "call",
            {
                "sid": call.sid,
                "direction": call.direction,
                "from": call.from_,
                "to": call.to,
                "status": call.status,
            },
        )


def _nobody(_kind: str, _facts: Mapping[str, Any]) -> None:
    pass


def own(found: Resource | Call | None, account: Account, path: str) -> None:
    """Refuse what is not there, or another account's."""
    if found is None or found.account_sid != account.sid:
        raise Refused(20404, path)
