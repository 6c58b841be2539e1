"""Rows for the dashboard's benchmark: accounts, bots, and the calls of a month or of a day.

Seeded: every run has the same.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Model
from django.utils import timezone

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry, TwilioConnection
from apps.accounts.services import account_create
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import config_create
from apps.calls.models import Call, CallEvent, CountedHour, PhoneNumber, Turn
from apps.calls.statistics.counting import hours_count
from apps.webhooks.models import Delivery, Endpoint, Event
from apps.webhooks.signing import secret_new
from tests.benchmarks.media import BODY

# The first has most of the calls: it is the one whose member is measured.
SHARES = (60, 20, 10, 6, 4)
BOTS, LIVE, BATCH, MODELS = 10, 20, 2_000, 1_000
ENDINGS = (
    *[("completed", "caller_hung_up", "")] * 80,
    *[("completed", "bot_ended", "")] * 8,
    *[("no-answer", "no_answer", "")] * 5,
    *[("busy", "busy", "")] * 3,
    *[("failed", "provider_failure", "")] * 2,
    *[("failed", "twilio_failed", "13224"), ("canceled", "canceled", "")],
)
STAGES = ("endpointing", "transcription", "model", "sentence", "voice", "line")


@dataclass(frozen=True, slots=True)
class Filled:
    """What there is to look at. call: one that is over, of the first account's."""

    accounts: Sequence[Account]
    bots: Sequence[TwilioConfig]
    call: uuid.UUID
    endpoint: uuid.UUID


def accounts_make() -> tuple[list[Account], list[TwilioConfig]]:
    """Make accounts with bots, numbers, and an endpoint each."""
    accounts, bots = [], []
    for number, _ in enumerate(SHARES):
        account = account_create(name=f"Account {number}", actor=Actor())
        twilio = TwilioConnection.objects.create(account=account, account_sid=f"AC{number:032}")
        for bot in range(BOTS):
            made = config_create(
                account=account, draft=draft_read({**BODY, "name": f"Bot {bot}"}), actor=Actor()
            )
            bots.append(made)
            PhoneNumber.objects.create(
                account=account,
                connection=twilio,
                config=made,
                sid=f"PN{len(bots):032}",
                number=f"+1415555{len(bots):04}",
            )
        url = f"https://hooks{number}.example.com/calls"
        Endpoint.objects.create(account=account, url=url, secret=secret_new())
        accounts.append(account)
    return accounts, bots


def calls_make(
    accounts: Sequence[Account], bots: Sequence[TwilioConfig], count: int, days: float
) -> Filled:
    """Write so many calls with all that belongs to them, of the last days, and count the hours."""
    maker = _Maker(accounts, bots, random.Random(count), timezone.now(), timedelta(days=days))
    calls = [maker.call(live=number < LIVE) for number in range(count)]
    _insert(Call, calls)
    over = [call for call in calls if call.ended_at is not None]
    talked = [call for call in calls if call.stream_sid]
    _turns_make(maker, talked)
    _insert(CallEvent, [maker.event(call) for call in talked[::5]])
    events = [maker.told(call) for call in over[::5]]
    _insert(Event, events)
    _insert(Delivery, [maker.delivery(event) for event in events])
    _insert(AuditEntry, [maker.audit() for _ in range(count // 5)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        if connection.vendor == "sqlite":
            # Half a million rows in one go leave a log that a running server never has.
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    hours_count()
    # The home page at its worst moment: a whole hour more that no worker has counted yet.
    newest = CountedHour.objects.order_by("-hour").first()
    assert newest is not None
    newest.delete()
    first = next(call for call in talked if call.account_id == accounts[0].id and call.ended_at)
    endpoint = Endpoint.objects.get(account=accounts[0])
    return Filled(accounts, bots, first.id, endpoint.id)


def _insert(model: type[Model], rows: Sequence[Any]) -> None:
    model._default_manager.bulk_create(rows, BATCH)


def _turns_make(maker: _Maker, talked: Sequence[Call]) -> None:
    """Write the turns of some calls; the database copies them for the others.

    Half a million rows by the ORM take minutes. See ``_Maker.call`` for who has whose.
    """
    _insert(Turn, [turn for call in talked if call.twilio_status for turn in maker.turns(call)])
    own = {"call_id": "c.id", "stream_sid": "c.stream_sid"}
    own |= dict.fromkeys(("started_at", "ended_at"), "c.started_at")
    columns = [str(f.column) for f in Turn._meta.concrete_fields if not f.primary_key]
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(own.get(name, f't."{name}"') for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO calls_turn ({names}) SELECT {values} FROM calls_call c "
            "JOIN calls_call m ON m.billed_s = c.billed_s AND m.sequence = c.sequence "
            "JOIN calls_turn t ON t.call_id = m.id "
            "WHERE m.twilio_status = 'model' AND c.twilio_status = '' AND c.sequence = %s",
            [maker.batch],
        )


class _Maker:
    """Makes rows, of times within the last ``spread`` before ``now``."""

    def __init__(
        self,
        accounts: Sequence[Account],
        bots: Sequence[TwilioConfig],
        chance: random.Random,
        now: datetime,
        spread: timedelta,
    ) -> None:
        self._chance, self._now, self._spread = chance, now, spread
        self.batch, self._talked = round(now.timestamp()), 0
        self._accounts = accounts
        self._bots = {
            account.id: [bot for bot in bots if bot.account_id == account.id]
            for account in accounts
        }
        self._endpoints = {row.account_id: row for row in Endpoint.objects.all()}

    def call(self, *, live: bool) -> Call:
        chance = self._chance
        (account,) = chance.choices(self._accounts, SHARES)
        bot = chance.choice(self._bots[account.id])
        began = self._now - self._spread * chance.random()
        if live:
            began = self._now - timedelta(seconds=chance.randrange(600))
        status, reason, code = ("in-progress", "", "") if live else chance.choice(ENDINGS)
        talked = live or status == "completed"
        # The first are models, which others of the same billed_s have their turns from.
        number = self._talked
        self._talked += talked
        length = timedelta(seconds=chance.lognormvariate(4, 0.8))
        usd = Decimal(chance.randrange(1_000, 9_000_000)).scaleb(-8)
        line = {"stream_sid": "MZ", "slot": "llm", "provider": "openai", "model": "gpt-5-mini"}
        units = {"prompt_tokens": chance.randrange(9_000), "completion_tokens": 200}
        costs = [{**line, "units": units, "cost_usd": str(usd), "is_complete": True}]
        return Call(
            id=uuid.UUID(int=chance.getrandbits(128)),
            account=account,
            config=bot,
            version_id=bot.current_id or 0,
            call_sid=f"CA{chance.getrandbits(120):032x}",
            stream_sid=f"MZ{chance.getrandbits(120):032x}" if talked else "",
            direction=chance.choice(("inbound", "inbound", "outbound")),
            from_number=f"+1415{chance.randrange(10**7):07}",
            to_number=f"+1212{chance.randrange(10**7):07}",
            status=status,
            twilio_status="model" if talked and number < MODELS else "",
            sequence=self.batch,
            billed_s=number % MODELS if talked else None,
            end_reason=reason,
            error_code=code,
            started_at=began,
            answered_at=began if talked else None,
            ended_at=None if live else min(began + length, self._now),
            first_word_ms=round(chance.lognormvariate(5, 0.6)) if talked and not live else None,
            costs=costs if talked and not live else [],
            cost_usd=usd if talked and not live else None,
            cost_is_complete=talked and chance.random() < 0.95,
        )

    def turns(self, call: Call) -> Iterator[Turn]:
        at = call.started_at
        for index in range(self._chance.randrange(2, 12)):
            bot = index % 2 == 0
            stages = {}
            if bot and index:
                stages = {name: round(self._chance.lognormvariate(4.5, 0.7), 1) for name in STAGES}
            words = "A sentence of some length, as people say them on the phone." * 2
            yield Turn(
                call=call,
                stream_sid=call.stream_sid,
                index=index,
                role="bot" if bot else "caller",
                source="model" if index else "greeting",
                text_said=words,
                text_heard=words,
                started_at=at,
                ended_at=(at := at + timedelta(seconds=4)),
                stages_ms=stages,
                answer_ms=round(sum(stages.values())) if stages else None,
            )

    def event(self, call: Call) -> CallEvent:
        if self._chance.random() < 0.02:
            data = {"provider": self._chance.choice(("openai", "cartesia")), "reason": "timeout"}
            return CallEvent(call=call, at=call.started_at, kind="provider.failed", data=data)
        return CallEvent(call=call, at=call.started_at, kind="mark.lost")

    def told(self, call: Call) -> Event:
        data = {"call": {"id": str(call.id), "status": call.status}}
        at = call.ended_at or call.started_at
        return Event(account_id=call.account_id, kind="call.ended", data=data, created_at=at)

    def delivery(self, event: Event) -> Delivery:
        dead = self._chance.random() < 0.001
        return Delivery(
            event=event,
            endpoint=self._endpoints[event.account_id],
            kind=event.kind,
            status="dead" if dead else "delivered",
            due_at=event.created_at,
            created_at=event.created_at,
            finished_at=event.created_at,
            attempts=1,
            last_status=500 if dead else 200,
        )

    def audit(self) -> AuditEntry:
        (account,) = self._chance.choices(self._accounts, SHARES)
        return AuditEntry(
            account=account,
            actor_kind="user",
            actor_id="1",
            actor_name="operator",
            action="config.update",
            target_kind="config",
            target_id=str(self._chance.choice(self._bots[account.id]).id),
            before={"name": "Before"},
            after={"name": "After"},
        )
