"""Fills the database of the screenshots. Run by ``tests.screenshots`` in a process of its own.

Reads from the environment what the server reads; prints one JSON object with what was made.
"""

from __future__ import annotations

import json
import os
import random
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsconfig.settings")
django.setup()

from django.utils import timezone  # noqa: E402

from apps.accounts.audit import Actor  # noqa: E402
from apps.accounts.connections import connection_create  # noqa: E402
from apps.accounts.credentials import credential_put  # noqa: E402
from apps.accounts.models import Account, User  # noqa: E402
from apps.accounts.services import api_key_create, membership_put  # noqa: E402
from apps.bots.document import draft_read  # noqa: E402
from apps.bots.models import TwilioConfig  # noqa: E402
from apps.bots.services import Write, config_create, config_replace  # noqa: E402
from apps.calls.models import Call, CallEvent, Turn  # noqa: E402
from apps.webhooks.endpoints import endpoint_create  # noqa: E402
from apps.webhooks.models import Delivery, DeliveryAttempt, Event  # noqa: E402
from botsconfig.demo import PROMPT  # noqa: E402

PASSWORD = "only-for-screenshots"
CALLS = 420
# Which providers the bots name; the tests of pages name those that take no time.
LOCAL: dict[str, dict[str, str]] = {}
SCRIPTED = {slot: {"provider": "scripted"} for slot in ("llm", "tts", "stt")}
DAY = timedelta(days=1)

TALK = [
    ("bot", "Harbor Dental, how can I help?"),
    ("caller", "Hello, what are your opening hours?"),
    ("bot", "We are open Monday to Friday from nine to five, and Saturday from ten to two."),
    ("caller", "And what does a check-up cost?"),
    ("bot", "A check-up costs sixty dollars. Parking is free behind the building."),
]
ENDS = [
    ("completed", "caller_hung_up", 78),
    ("completed", "bot_ended", 9),
    ("completed", "transferred", 5),
    ("no-answer", "", 4),
    ("busy", "", 2),
    ("failed", "provider_failure", 2),
]


def body(name: str, prompt: str, greeting: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "config": {
            "llm": {"prompt": prompt},
            "greeting": {"mode": "text", "text": greeting},
            **more,
        },
    }


def bots_make(
    account: Account, actor: Actor, slots: dict[str, dict[str, str]] = LOCAL
) -> list[TwilioConfig]:
    """Three bots; the first with a history."""
    desk = body("Front desk", PROMPT, "Harbor Dental, how can I help?")
    reminders = body(
        "Reminders",
        "You call {{name}} about the appointment on {{day}}, and ask whether they will come.",
        "Hello {{name}}, this is Harbor Dental.",
        variables={"name": {"type": "string"}, "day": {"type": "string", "default": "Monday"}},
    )
    night = body("Night line", "Nobody is in. Take a name and a number.", "We are closed now.")
    for found in (desk, reminders, night):
        for slot, given in slots.items():
            found["config"].setdefault(slot, {}).update(given)
    made = config_create(account=account, draft=draft_read(desk), actor=actor)
    _second_version(account, actor, made, desk)
    others = [
        config_create(account=account, draft=draft_read(found), actor=actor)
        for found in (reminders, night)
    ]
    made.refresh_from_db()
    return [made, *others]


def _second_version(
    account: Account, actor: Actor, config: TwilioConfig, desk: dict[str, Any]
) -> None:
    desk["config"]["turns"] = {"stop_secs": 0.4, "idle_secs": 12}
    desk["config"]["recording"] = {"enabled": True}
    desk["config"]["llm"]["prompt"] = f"{PROMPT} If somebody is in pain, offer today's first slot."
    desk["config"]["transfers"] = {
        "reception": {"to": "+14155550123", "description": "A person at the desk", "mode": "warm"}
    }
    config_replace(Write(account, config.id, actor), desk)


def history_make(configs: list[TwilioConfig], now: datetime, count: int = CALLS) -> None:
    """A day of calls that were not held: what lists and charts show."""
    chance = random.Random(7)
    calls: list[Call] = []
    turns: list[Turn] = []
    events: list[CallEvent] = []
    for number in range(count):
        # More by day than by night.
        hours = chance.triangular(0, 24, 9)
        call = _call(chance, configs, number, now - timedelta(hours=hours))
        calls.append(call)
        if call.status == "completed":
            turns.extend(_turns(chance, call))
        if call.end_reason == "provider_failure":
            data = {"provider": "openai", "reason": "unavailable"}
            at = call.started_at + timedelta(seconds=4)
            events.append(CallEvent(call=call, at=at, kind="provider.failed", data=data))
    Call.objects.bulk_create(calls)
    Turn.objects.bulk_create(turns)
    CallEvent.objects.bulk_create(events)


def _call(chance: random.Random, configs: list[TwilioConfig], number: int, began: datetime) -> Call:
    config = chance.choices(configs, (7, 2, 1))[0]
    assert config.current_id is not None
    status, reason, _ = chance.choices(ENDS, [weight for *_, weight in ENDS])[0]
    lasted = chance.uniform(25, 210) if status == "completed" else chance.uniform(0, 6)
    outbound = config.name == "Reminders"
    ours, theirs = "+14155550100", f"+1415555{chance.randrange(2000, 9999)}"
    return Call(
        id=uuid.UUID(int=chance.getrandbits(128), version=4),
        account_id=config.account_id,
        config=config,
        version_id=config.current_id,
        call_sid=f"CA{number:032x}",
        direction="outbound" if outbound else "inbound",
        from_number=ours if outbound else theirs,
        to_number=theirs if outbound else ours,
        status=status,
        twilio_status=status,
        end_reason=reason,
        started_at=began,
        answered_at=began if status == "completed" else None,
        stream_sid="MZ1" if status == "completed" else "",
        ended_at=began + timedelta(seconds=lasted),
        cost_usd=Decimal(str(round(lasted * 0.0004, 6))),
        cost_is_complete=True,
        first_word_ms=round(chance.gauss(340, 60)) if status == "completed" else None,
    )


def _turns(chance: random.Random, call: Call) -> Iterator[Turn]:
    at = call.started_at
    for index, (role, text) in enumerate(TALK):
        ended = at + timedelta(seconds=len(text) / 15)
        stages = {}
        if role == "bot" and index:
            stages = {
                "endpointing": 300.0,
                "transcription": round(chance.uniform(20, 90), 1),
                "model": round(chance.lognormvariate(5.6, 0.4), 1),
                "voice": round(chance.uniform(70, 190), 1),
                "line": round(chance.uniform(5, 20), 1),
            }
        yield Turn(
            call=call,
            stream_sid="MZ1",
            index=index,
            role=role,
            text_said=text,
            text_heard=text,
            started_at=at,
            ended_at=ended,
            stages_ms=stages,
            answer_ms=round(sum(stages.values())) or None,
        )
        at = ended + timedelta(seconds=1)


def webhooks_make(account: Account, actor: Actor, now: datetime) -> None:
    """An endpoint with deliveries, one of which is dead."""
    said = {"url": "https://hooks.example.com/calls", "description": "Practice software"}
    endpoint, _ = endpoint_create(
        account=account, actor=actor, kinds=["call.started", "call.ended"], enabled=True, **said
    )
    for number in range(14):
        at = now - timedelta(minutes=7 * number + 2)
        event = Event.objects.create(
            account=account, kind=("call.ended", "call.started")[number % 2], created_at=at
        )
        dead = number == 3
        delivery = Delivery.objects.create(
            event=event,
            endpoint=endpoint,
            kind=event.kind,
            status="dead" if dead else "delivered",
            due_at=at,
            attempts=8 if dead else 1,
            tries=8 if dead else 1,
            last_status=503 if dead else 200,
            created_at=at,
            finished_at=at,
        )
        DeliveryAttempt.objects.create(
            delivery=delivery, number=1, at=at, status=503 if dead else 200, duration_ms=84
        )


def main() -> None:
    """Make everything, and say what is needed to go on."""
    account = Account.objects.get(pk=sys.argv[1])
    Account.objects.filter(pk=account.pk).update(name="Harbor Dental")
    account.refresh_from_db()
    ada = User.objects.create_superuser("ada", password=PASSWORD, first_name="Ada")
    membership_put(account=account, user=ada, role="owner", actor=Actor(command="screenshots"))
    actor, now = Actor(user=ada), timezone.now()
    for name, role in (("grace", "operator"), ("linus", "viewer")):
        user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
        membership_put(account=account, user=user, role=role, actor=actor)
    configs = bots_make(account, actor)
    history_make(configs, now)
    webhooks_make(account, actor, now)
    api_key_create(account=account, actor=actor, name="Practice software")
    for provider in ("openai", "deepgram"):
        credential_put(account=account, provider=provider, api_key="sk-not-a-key-8f3a", actor=actor)
    if len(sys.argv) > 2:
        given = {"account_sid": sys.argv[2], "auth_token": sys.argv[3], "name": "Practice"}
        connection_create(account=account, given=given, actor=actor)
    print(json.dumps({"bot": str(configs[0].id), "user": "ada", "password": PASSWORD}))


if __name__ == "__main__":
    main()
