"""Kills gateways and workers at random under calls, and then accounts for everything.

    .venv/bin/python -m tests.drills.chaos [--seconds 300] [--seed 1] [--json]

Inbound and outbound calls over Twilio's stand-in, on real PostgreSQL and Redis. Every few seconds
a process is killed, with SIGKILL or SIGTERM. In the end every call of Twilio's must have one row,
over and saying what Twilio says; no create may have been sent twice; every callback that was
answered with success must be stored once and applied; and every call must have told of its end by
one event, which has arrived.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from apps.simulator.twilio.people import Person
from tests.drills.fleet import Fleet, database_of, fleet_of
from tests.drills.kill import BOT, NUMBER, made
from tests.drills.receiver import Receiver
from tests.support.twilio import TwilioStandIn, twilio_in_thread

CALLERS = [f"+1202555{number:04d}" for number in range(100, 200)]
SETTLED_S = 240.0
# Outbound calls that are asked for at once.
DIALLERS = 3
KINDS = ["call.started", "call.ended"]
_TERMINAL = ("completed", "busy", "failed", "no-answer", "canceled")


@dataclass(slots=True)
class Ledger:
    """What the drill has done. asked: idempotency keys of outbound calls; ids: their answers."""

    inbound: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    refused: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0


class Drill:
    """One run. Everything random comes from the seed, but for what the machine adds."""

    def __init__(self, fleet: Fleet, twilio: TwilioStandIn, receiver: Receiver, seed: int) -> None:
        self.fleet = fleet
        self.twilio = twilio
        self.receiver = receiver
        self.ledger = Ledger()
        self._random = random.Random(seed)
        self._over = threading.Event()
        self.key = self.bot = ""

    def prepare(self) -> None:
        """An account with a bot, a connection, a number, and an endpoint for events."""
        made_account = json.loads(self.fleet.manage("createaccount", "Drill", "--json"))
        self.key = made_account["api_key"]
        self._post("/twilio-config", _talkative(), into="bot")
        connection = {"account_sid": self.twilio.sid, "auth_token": self.twilio.token}
        self._post("/twilio-connections", connection)
        limits = {"calls_per_second": 100}
        made(self.fleet.ask("PATCH", "/account", key=self.key, body=limits))
        number = self.twilio.add_number(NUMBER)
        made(self.fleet.ask("GET", "/phone-numbers?refresh=true", key=self.key))
        assigned = {"config_id": self.bot}
        made(self.fleet.ask("PUT", f"/phone-numbers/{number.sid}", key=self.key, body=assigned))
        endpoint = {"url": self.receiver.url, "kinds": KINDS}
        self.receiver.secret = made(
            self.fleet.ask("POST", "/webhooks", key=self.key, body=endpoint)
        )["secret"]
        self._people()
        self.twilio.account.limits.calls_per_s = 50

    def run(self, seconds: float) -> None:
        """Call, dial and kill for so long; then let everybody go on, and wait for the end."""
        actors = [
            threading.Thread(target=self._again, args=(act, *pause))
            for act, pause in (
                (self._dial_in, (0.3, 1.2)),
                *((self._dial_out, (0.5, 2.5)) for _ in range(DIALLERS)),
                (self._kill, (3.0, 8.0)),
            )
        ]
        for actor in actors:
            actor.start()
        time.sleep(seconds)
        self._over.set()
        for actor in actors:
            actor.join()

    def settle(self) -> float:
        """Wait until nothing is open any more; returns how long that took."""
        began = time.monotonic()
        while time.monotonic() - began < SETTLED_S:
            if all(call.ended for call in self.twilio.calls) and not self._open():
                break
            time.sleep(0.5)
        return time.monotonic() - began

    def _open(self) -> bool:
        with database_of(self.fleet) as database:
            known = {sid for (sid,) in database.execute("SELECT call_sid FROM calls_call")}
            if any(call.sid not in known for call in self.twilio.calls):
                return True
            open_calls = "SELECT count(*) FROM calls_call WHERE NOT status = ANY(%s)"
            open_callbacks = "SELECT count(*) FROM calls_twiliocallback WHERE applied_at IS NULL"
            open_events = (
                "SELECT count(*) FROM webhooks_delivery WHERE status IN ('pending', 'sending')"
            )
            counts = [
                database.execute(open_calls, [list(_TERMINAL)]).fetchone(),
                database.execute(open_callbacks).fetchone(),
                database.execute(open_events).fetchone(),
            ]
        return any(row and row[0] for row in counts)

    # --- what happens -----------------------------------------------------------------------------

    def _dial_in(self) -> None:
        person = Person(hang_up_after_s=self._random.uniform(1, 12))
        call = self.twilio.dial_in(NUMBER, self._random.choice(CALLERS), person)
        self.ledger.inbound.append(call.sid)

    def _dial_out(self) -> None:
        """Ask for a call as a careful script does: with the same key, until it is answered."""
        token = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        self.ledger.asked.append(token)
        body = {"config_id": self.bot, "to": self._random.choice(CALLERS), "from": NUMBER}
        for _ in range(20):
            try:
                status, answer = self.fleet.ask(
                    "POST",
                    "/calls",
                    key=self.key,
                    body=body,
                    headers={"Idempotency-Key": token},
                )
            except (OSError, ValueError):
                time.sleep(0.3)
                continue
            if status in (200, 201, 202):
                self.ledger.ids[token] = answer["id"]
                return
            self.ledger.refused[status] += 1
            if status not in (409, 429, 500, 502, 503):
                return
            time.sleep(0.5)
        self.ledger.unanswered += 1

    def _kill(self) -> None:
        role: Any = self._random.choices(["gateway", "worker"], [2, 1])[0]
        living = self.fleet.living(role)
        if living:
            self.fleet.kill(self._random.choice(living), gently=self._random.random() < 0.2)

    def _again(self, act: Any, shortest_s: float, longest_s: float) -> None:
        while not self._over.wait(self._random.uniform(shortest_s, longest_s)):
            act()

    def _people(self) -> None:
        for number in CALLERS:
            temper: Any = self._random.choices(
                ["answers", "busy", "silent", "unreachable"], [7, 1, 1, 1]
            )[0]
            self.twilio.people[number] = Person(
                temper,
                after_s=self._random.uniform(0, 2),
                hang_up_after_s=self._random.uniform(1, 10),
            )

    def _post(self, path: str, body: Any, into: str = "") -> None:
        answer = made(self.fleet.ask("POST", path, key=self.key, body=body))
        if into:
            setattr(self, into, answer["id"])


def _talkative() -> dict[str, Any]:
    return {**BOT, "max_duration": 120}


# --- the reckoning ------------------------------------------------------------------------------


def faults_of(drill: Drill) -> list[str]:
    """Account for every call, callback and event; returns what is lost, doubled or wrong."""
    with database_of(drill.fleet) as database:
        rows = database.execute(
            "SELECT id, call_sid, status, twilio_status, direction FROM calls_call"
        ).fetchall()
        stored = database.execute(
            "SELECT fields, applied_at IS NOT NULL FROM calls_twiliocallback"
        ).fetchall()
        events = database.execute("SELECT id, kind, data FROM webhooks_event").fetchall()
    return [
        *_faults_of_calls(drill, rows),
        *_faults_of_creates(drill),
        *_faults_of_callbacks(drill, stored),
        *_faults_of_events(drill, rows, events),
    ]


def _faults_of_calls(drill: Drill, rows: list[Any]) -> list[str]:
    found = []
    by_sid = Counter(row[1] for row in rows if row[1])
    statuses = {row[1]: (row[2], row[3]) for row in rows}
    for call in drill.twilio.calls:
        if by_sid[call.sid] != 1:
            found.append(f"{call.sid} ({call.direction}, {call.history}): {by_sid[call.sid]} rows")
            continue
        ours, theirs = statuses[call.sid]
        if theirs and theirs != call.status:
            found.append(f"{call.sid}: Twilio says {call.status}, the row {theirs}")
        if ours != call.status and not (call.status == "completed" and ours == "failed"):
            found.append(f"{call.sid}: {ours}, but it was {call.status}")
    found += [f"{row[0]}: still {row[2]}" for row in rows if row[2] not in _TERMINAL]
    known = {str(row[0]) for row in rows}
    found += [
        f"{one}: answered, but not there" for one in drill.ledger.ids.values() if one not in known
    ]
    return found


def _faults_of_creates(drill: Drill) -> list[str]:
    """No call may have been asked of Twilio twice. Its callback's URL says which it is."""
    placed = Counter(
        parse_qs(urlsplit(str(asked["StatusCallback"])).query)["call"][0]
        for asked in drill.twilio.asked("calls.create")
    )
    found = [f"{call}: posted {count} times" for call, count in placed.items() if count > 1]
    if len(placed) > len(drill.ledger.asked):
        found.append(f"{len(placed)} calls placed, {len(drill.ledger.asked)} asked for")
    return found


def _faults_of_callbacks(drill: Drill, stored: list[Any]) -> list[str]:
    found = [f"a callback was not applied: {row[0]}" for row in stored if not row[1]]
    there = Counter(_told(row[0]) for row in stored)
    answered = {
        _told(sent.fields)
        for sent in drill.twilio.sent
        if urlsplit(sent.url).path in _CALLBACKS and 200 <= sent.status < 300
    }
    found += [f"a callback was answered and is lost: {one}" for one in answered if not there[one]]
    found += [
        f"a callback is there {count} times: {one}" for one, count in there.items() if count > 1
    ]
    return found


_CALLBACKS = ("/twilio/status", "/twilio/stream-status")


def _told(fields: Any) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in dict(fields).items()))


def _faults_of_events(drill: Drill, rows: list[Any], events: list[Any]) -> list[str]:
    found = []
    ended = Counter(str(data["call"]["id"]) for _, kind, data in events if kind == "call.ended")
    for row in rows:
        if ended[str(row[0])] != 1:
            found.append(f"{row[0]} ({row[2]}): {ended[str(row[0])]} events of its end")
    for identifier, kind, _ in events:
        if not drill.receiver.ids[str(identifier)]:
            found.append(f"{kind} {identifier} did not arrive")
    if drill.receiver.forged:
        found.append(f"{drill.receiver.forged} events were signed wrongly")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    receiver = Receiver(faulty=0.1, seed=asked.seed)
    try:
        with twilio_in_thread() as twilio:
            twilio.live(speed=1)
            environment = {"TWILIO_API_URL": twilio.url}
            with fleet_of(gateways=2, workers=2, environment=environment) as fleet:
                drill = Drill(fleet, twilio, receiver, asked.seed)
                drill.prepare()
                drill.run(asked.seconds)
                settled_s = drill.settle()
                report = _report(drill, asked.seed, settled_s)
    finally:
        receiver.close()
    _print(report, as_json=asked.json)
    if report["faults"]:
        sys.exit(1)


def _report(drill: Drill, seed: int, settled_s: float) -> dict[str, Any]:
    kills = Counter(role for role, _ in drill.fleet.kills)
    statuses = Counter(call.status for call in drill.twilio.calls)
    streams = sum(len(one.streams) for one in drill.twilio.network.live.values())
    return {
        "seed": seed,
        "inbound": len(drill.ledger.inbound),
        "outbound_asked": len(drill.ledger.asked),
        "outbound_refused": dict(drill.ledger.refused),
        "outbound_unanswered": drill.ledger.unanswered,
        "calls": len(drill.twilio.calls),
        "streams": streams,
        "statuses": dict(statuses),
        "callbacks": len(drill.twilio.sent),
        "events_received": len(drill.receiver.ids),
        "events_repeated": sum(count - 1 for count in drill.receiver.ids.values()),
        "kills": dict(kills),
        "settled_s": round(settled_s, 1),
        "faults": faults_of(drill),
    }


def _print(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report))
        return
    for name, value in report.items():
        if name != "faults":
            print(f"{name.replace('_', ' ')}: {value}")
    for fault in report["faults"][:50]:
        print(f"FAULT {fault}")
    print(f"{len(report['faults'])} lost, doubled or wrong")


if __name__ == "__main__":
    main()
