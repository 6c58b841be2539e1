"""Several workers and publishers at once, on a database where they really are."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import close_old_connections, connection, transaction

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.accounts.services import account_create
from apps.webhooks import delivering, sweeps
from apps.webhooks.delivering import deliveries_send
from apps.webhooks.models import Delivery, DeliveryAttempt, Endpoint, Event
from apps.webhooks.outbox import LEASE, deliveries_claim
from apps.webhooks.services import event_publish
from apps.webhooks.signing import secret_new
from tests.support.receiver import Receiver, Serving, hangs

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer"),
]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("PRIVATE_ADDRESSES", "127.0.0.1")
    with Serving(Receiver()) as found:
        yield found


@pytest.fixture
def ours(transactional_db: None) -> Account:
    return account_create(name="Hotel", actor=Actor())


def listening(account: Account, url: str) -> Endpoint:
    return Endpoint.objects.create(account=account, url=url, secret=secret_new())


def publish(account: Account, count: int) -> None:
    for _ in range(count):
        event_publish(account_id=account.id, kind="call.ended", data={"call": {}}, now=NOW)


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """Do things in threads that begin together; return what they did."""
    together = threading.Barrier(len(work))

    def begun(one: Callable[[], Any]) -> Any:
        close_old_connections()
        together.wait(5)
        try:
            return one()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(begun, work))


def test_two_sweeps_send_everything_once(ours: Account, receiver: Receiver) -> None:
    for path in ("/one", "/two", "/three"):
        receiver.secrets[path] = [listening(ours, receiver.url + path).secret]
    publish(ours, 60)
    counts = at_once(*[lambda: deliveries_send(now=NOW)] * 4)
    counts.append(deliveries_send(now=NOW))  # on a slow machine their time may be up before
    assert sum(counts) == 180
    assert Counter(Counter((s.path, s.headers["webhook-id"]) for s in receiver.seen).values()) == {
        1: 180
    }
    assert set(Delivery.objects.values_list("status", flat=True)) == {"delivered"}
    assert receiver.refusals == []


def test_claims_at_once_share_nothing(ours: Account) -> None:
    for path in range(30):
        listening(ours, f"https://hooks.example.com/{path}")
    publish(ours, 2)
    claimed = at_once(*[lambda: deliveries_claim(now=NOW, limit=100)] * 4)
    ids = [row.id for rows in claimed for row in rows]
    assert len(ids) == len(set(ids)) == 60


def test_what_a_dying_worker_held_is_sent_by_the_other(ours: Account, receiver: Receiver) -> None:
    receiver.secrets["/in"] = [listening(ours, f"{receiver.url}/in").secret]
    publish(ours, 4)
    dead = deliveries_claim(now=NOW, limit=2)  # and no more is heard of it
    assert deliveries_send(now=NOW) == 2
    assert deliveries_send(now=NOW + LEASE + timedelta(seconds=1)) == len(dead) == 2
    assert len(set(receiver.ids())) == 4
    assert set(Delivery.objects.values_list("status", flat=True)) == {"delivered"}
    assert DeliveryAttempt.objects.filter(error="lost").count() == 2


def test_a_fact_told_by_many_at_once_is_one_event(ours: Account) -> None:
    listening(ours, "https://hooks.example.com/")

    def tell() -> None:
        event_publish(account_id=ours.id, kind="call.ended", data={}, key="one")

    at_once(*[tell] * 8)
    assert Event.objects.count() == Delivery.objects.count() == 1


def test_a_fact_whose_first_teller_takes_it_back_is_told_by_the_second(ours: Account) -> None:
    listening(ours, "https://hooks.example.com/")
    told, second = threading.Event(), threading.Event()

    def tell() -> None:
        event_publish(account_id=ours.id, kind="call.ended", data={}, key="one")

    def first() -> None:
        with transaction.atomic():
            tell()
            told.set()
            second.wait(0.2)  # until the other one waits for us
            transaction.set_rollback(True)

    def other() -> None:
        told.wait(5)
        tell()
        second.set()

    at_once(first, other)
    assert Delivery.objects.get().status == "pending"


def test_the_workers_sweep_waits_for_nobody(
    ours: Account, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "DEADLINE_S", 1.0)
    for path in ("/slow", "/quick"):
        receiver.secrets[path] = [listening(ours, receiver.url + path).secret]
    receiver.answers["/slow"] = [hangs]
    publish(ours, 5)
    assert sweeps.deliveries_start() > 0
    publish(ours, 5)
    sweeps.deliveries_start()
    assert receiver.received == [] or sweeps.threads()  # it came back before the slow one did
    for thread in sweeps.threads():
        thread.join(10)
    quick = Delivery.objects.filter(endpoint__url__endswith="/quick")
    assert set(quick.values_list("status", flat=True)) == {"delivered"}
    assert len(receiver.ids("/quick")) == len(set(receiver.ids("/quick"))) == 10
    assert len(set(receiver.ids("/slow"))) == 10
