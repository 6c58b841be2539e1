"""Deliveries against a strict receiver on loopback; the clock of retries is the tests' own."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from apps.accounts.models import Account, AuditEntry
from apps.webhooks import outbox
from apps.webhooks.delivering import deliveries_send
from apps.webhooks.models import Delivery, DeliveryAttempt, Endpoint, Event
from apps.webhooks.outbox import LEASE, PER_ENDPOINT, SCHEDULE_S, TRIES, deliveries_claim
from apps.webhooks.retention import events_purge
from apps.webhooks.sending import DEADLINE_S, Outcome
from apps.webhooks.services import event_publish
from tests.support.receiver import Receiver, Serving, cuts, floods, hangs, says
from tests.webhooks.conftest import Subscribe

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DATA = {"call": {"id": "one", "turns": [{"role": "caller", "text_said": "Größe? 🙂"}]}}


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVATE_ADDRESSES", "127.0.0.1")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Serving(Receiver()) as found:
        yield found


def listening(receiver: Receiver, subscribe: Subscribe, path: str = "/in", **more: Any) -> Endpoint:
    endpoint = subscribe(receiver.url + path, **more)
    receiver.secrets[path] = [endpoint.secret]
    return endpoint


def publish(account: Account, count: int = 1, *, kind: str = "call.ended") -> None:
    for _ in range(count):
        event_publish(account_id=account.id, kind=kind, data=DATA, now=NOW)


def one() -> Delivery:
    return Delivery.objects.get()


def attempt(delivery: Delivery) -> DeliveryAttempt:
    return delivery.log.order_by("-number")[0]


# --- what is sent -------------------------------------------------------------------------------


def test_it_arrives_signed_and_as_it_was_published(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    listening(receiver, subscribe)
    publish(account)
    assert deliveries_send(now=NOW + timedelta(seconds=3)) == 1
    event = Event.objects.get()
    assert receiver.received == [
        {
            "id": str(event.id),
            "type": "call.ended",
            "timestamp": "2026-01-31T12:00:00.000Z",
            "data": DATA,
        }
    ]
    (seen,) = receiver.seen
    assert seen.headers["webhook-timestamp"] == str(int(NOW.timestamp()) + 3)
    assert (one().status, one().last_status, one().last_error) == ("delivered", 204, "")
    assert one().finished_at == NOW + timedelta(seconds=3)
    assert receiver.refusals == []


def test_what_is_delivered_is_not_sent_again(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    listening(receiver, subscribe)
    publish(account)
    assert [deliveries_send(now=NOW) for _ in range(3)] == [1, 0, 0]
    assert len(receiver.seen) == 1


def test_in_a_rotation_both_secrets_sign_until_the_grace_is_over(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    old = listening(receiver, subscribe).secret
    endpoint = Endpoint.objects.get()
    endpoint.previous_secret, endpoint.secret = old, "whsec_" + "QUJDREVGR0g" * 4
    endpoint.previous_secret_until = NOW + timedelta(hours=1)
    endpoint.save()
    publish(account)
    deliveries_send(now=NOW)
    receiver.secrets["/in"] = [endpoint.secret]
    publish(account)
    deliveries_send(now=NOW)
    assert receiver.refusals == []
    assert [len(seen.headers["webhook-signature"].split()) for seen in receiver.seen] == [2, 2]
    publish(account)
    deliveries_send(now=NOW + timedelta(hours=1))
    assert len(receiver.seen[-1].headers["webhook-signature"].split()) == 1
    assert receiver.refusals == []


# --- what goes wrong ----------------------------------------------------------------------------


def test_a_failure_is_tried_again_by_the_schedule_with_the_same_id_and_a_new_time(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    listening(receiver, subscribe)
    receiver.answers["/in"] = [says(500, b"oops"), says(500), says(200)]
    publish(account)
    now = NOW
    for wait_s in SCHEDULE_S[:2]:
        deliveries_send(now=now)
        assert one().status == "pending"
        assert wait_s * 0.9 <= (one().due_at - now).total_seconds() <= wait_s * 1.1
        assert deliveries_send(now=one().due_at - timedelta(milliseconds=1)) == 0
        now = one().due_at
    deliveries_send(now=now)
    assert one().status == "delivered"
    assert len(set(receiver.ids())) == 1
    stamps = [int(seen.headers["webhook-timestamp"]) for seen in receiver.seen]
    assert stamps == sorted(set(stamps))
    log = list(one().log.values_list("number", "status", "error", "answer"))
    assert log == [(1, 500, "status", "oops"), (2, 500, "status", ""), (3, 200, "", "")]
    assert len({seen.body for seen in receiver.seen}) == 1


def test_after_a_day_of_failures_it_is_dead(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    listening(receiver, subscribe)
    receiver.answers["/in"] = [says(503)]
    publish(account)
    tried = []
    while one().status == "pending":
        tried.append(one().due_at)
        deliveries_send(now=tried[-1])
    assert (one().status, len(tried)) == ("dead", TRIES)
    assert timedelta(hours=21) < tried[-1] - tried[0] < timedelta(hours=27)
    assert Endpoint.objects.get().enabled


@pytest.mark.parametrize(
    ("answer", "error"), [(cuts, "broken"), (says(400), "status"), (says(299), "")]
)
def test_only_2xx_is_accepted(
    account: Account, subscribe: Subscribe, receiver: Receiver, answer: Any, error: str
) -> None:
    listening(receiver, subscribe)
    receiver.answers["/in"] = [answer]
    publish(account)
    deliveries_send(now=NOW)
    assert attempt(one()).error == one().last_error == error
    assert one().status == ("pending" if error else "delivered")


def test_a_redirect_is_not_followed(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    listening(receiver, subscribe)
    receiver.answers["/in"] = [says(307, location=f"{receiver.url}/elsewhere")]
    publish(account)
    deliveries_send(now=NOW)
    assert [seen.path for seen in receiver.seen] == ["/in"]
    assert "Redirects are not followed" in attempt(one()).info


def test_who_does_not_answer_in_time_is_given_up(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    listening(receiver, subscribe)
    receiver.answers["/in"] = [hangs]
    publish(account)
    deliveries_send(now=NOW, deadline_s=0.2)
    assert (attempt(one()).error, attempt(one()).status) == ("timeout", None)
    assert one().status == "pending"


def test_of_an_endless_answer_little_is_read(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    listening(receiver, subscribe)
    receiver.answers["/in"] = [floods]
    publish(account)
    deliveries_send(now=NOW)
    assert one().status == "delivered"
    assert attempt(one()).answer == "x" * 500
    assert (attempt(one()).duration_ms or 0) < DEADLINE_S * 1_000


def test_nobody_at_home_is_an_error_like_others(account: Account, subscribe: Subscribe) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        subscribe(f"http://127.0.0.1:{taken.getsockname()[1]}/")
        publish(account)
        deliveries_send(now=NOW)
    assert attempt(one()).error == "unreachable"
    assert one().status == "pending"


def test_gone_disables_the_endpoint_and_says_so(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    listening(receiver, subscribe)
    receiver.answers["/in"] = [says(500), says(410)]
    publish(account)
    deliveries_send(now=NOW)  # waits for its second try
    publish(account)
    deliveries_send(now=NOW)
    endpoint = Endpoint.objects.get()
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, "gone")
    assert set(Delivery.objects.values_list("status", "last_error")) == {
        ("dead", "status"),
        ("dead", "disabled"),
    }
    entry = AuditEntry.objects.get(action="webhook.disable")
    assert (entry.account, entry.actor_kind, entry.target_id) == (
        account,
        "system",
        str(endpoint.id),
    )
    publish(account)
    assert Delivery.objects.count() == 2


def test_retry_after_is_honoured_within_bounds(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    listening(receiver, subscribe)
    asked = ["120", "86400", "1", "nonsense", "Sat, 31 Jan 1970 12:00:00 GMT"]
    waits = []
    for value in asked:
        receiver.answers["/in"] = [says(429, retry_after=value)]
        publish(account)
        deliveries_send(now=NOW)
        found = Delivery.objects.get(log__number=1, due_at__gt=NOW, tries=1)
        waits.append((found.due_at - NOW).total_seconds())
        Delivery.objects.all().delete()
    assert waits[:2] == [120, 3600]
    assert all(4.5 <= wait <= 5.5 for wait in waits[2:])


def test_a_secret_that_cannot_be_read_holds_up_nobody_else(
    account: Account, subscribe: Subscribe, receiver: Receiver, settings: Settings
) -> None:
    settings.ENCRYPTION_KEYS = ["bG9zdC1sb3N0LWxvc3QtbG9zdC1sb3N0LWxvc3QtbG8="]
    lost = subscribe("http://127.0.0.1:9/lost")
    settings.ENCRYPTION_KEYS = ["dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGU="]
    listening(receiver, subscribe)
    publish(account)
    deliveries_send(now=NOW)
    assert Delivery.objects.get(endpoint=lost.pk).last_error == "secret"
    assert Delivery.objects.exclude(endpoint=lost.pk).get().status == "delivered"


# --- addresses ----------------------------------------------------------------------------------


def named(monkeypatch: pytest.MonkeyPatch, name: str, *addresses: str) -> list[str]:
    """Answer a name with one address after another; the last stays. Returns what is asked."""
    asked: list[str] = []
    left, real = list(addresses), socket.getaddrinfo

    def ask(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != name:
            return real(host, port, *args, **kwargs)
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, port))]

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    return asked


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_leads_inside_is_not_asked(
    account: Account,
    subscribe: Subscribe,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:
    monkeypatch.setenv("PRIVATE_ADDRESSES", "")
    named(monkeypatch, "hooks.example.com", "127.0.0.1")
    port = receiver.url.rpartition(":")[2]
    subscribe(f"{scheme}://hooks.example.com:{port}/in")
    publish(account)
    deliveries_send(now=NOW)
    assert attempt(one()).error == "address"
    assert "PRIVATE_ADDRESSES" in attempt(one()).info
    assert receiver.seen == []


def test_a_name_whose_answer_changes_gains_nothing(
    account: Account, subscribe: Subscribe, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first look finds what is allowed; the connection looks again, and goes where that leads.
    named(monkeypatch, "hooks.example.com", "127.0.0.1", "127.0.0.2")
    subscribe(f"http://hooks.example.com:{receiver.url.rpartition(':')[2]}/in")
    publish(account)
    deliveries_send(now=NOW)
    assert attempt(one()).error == "address"
    assert receiver.seen == []


def test_http_does_not_leave_for_the_internet(
    account: Account, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(monkeypatch, "hooks.example.com", "8.8.8.8")
    subscribe("http://hooks.example.com/in")
    publish(account)
    deliveries_send(now=NOW)
    assert attempt(one()).error == "address"


# --- side by side -------------------------------------------------------------------------------


def test_a_slow_endpoint_holds_up_no_other(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    listening(receiver, subscribe, "/slow")
    listening(receiver, subscribe, "/quick")
    receiver.answers["/slow"] = [hangs]
    publish(account, 10)
    deliveries_send(now=NOW, deadline_s=0.5)
    assert len(set(receiver.ids("/quick"))) == len(receiver.ids("/quick")) == 10
    quick = Delivery.objects.filter(endpoint__url__endswith="/quick")
    assert {row.status for row in quick} == {"delivered"}


def test_an_endpoint_is_asked_by_a_few_at_once(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    listening(receiver, subscribe)
    publish(account, 3 * PER_ENDPOINT)
    assert deliveries_send(now=NOW) == 3 * PER_ENDPOINT
    assert receiver.most_at_once["/in"] <= PER_ENDPOINT
    assert len(set(receiver.ids())) == 3 * PER_ENDPOINT


def test_what_others_are_sending_counts(account: Account, subscribe: Subscribe) -> None:
    subscribe()
    publish(account, 10)
    assert len(deliveries_claim(now=NOW, limit=3)) == 3
    assert len(deliveries_claim(now=NOW, limit=100)) == PER_ENDPOINT - 3
    assert deliveries_claim(now=NOW, limit=100) == []


def test_a_long_queue_crowds_nobody_out(account: Account, subscribe: Subscribe) -> None:
    subscribe(kinds=["call.ended"])
    other = subscribe(kinds=["config.published"])
    publish(account, 20)
    publish(account, kind="config.published")
    claimed = deliveries_claim(now=NOW, limit=PER_ENDPOINT + 1)
    assert [row.endpoint_id for row in claimed].count(other.id) == 1


def test_who_has_all_its_requests_under_way_takes_nobodys_place(
    account: Account, subscribe: Subscribe
) -> None:
    subscribe(kinds=["call.ended"])
    publish(account, 20)
    deliveries_claim(now=NOW, limit=PER_ENDPOINT)
    other = subscribe(kinds=["config.published"])
    publish(account, kind="config.published")
    assert [row.endpoint_id for row in deliveries_claim(now=NOW, limit=1)] == [other.id]


# --- workers that die ---------------------------------------------------------------------------


def test_what_a_dead_worker_was_sending_is_sent_again_when_its_lease_ends(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    listening(receiver, subscribe)
    publish(account)
    assert len(deliveries_claim(now=NOW, limit=10)) == 1  # and no more is heard of that worker
    assert deliveries_send(now=NOW + LEASE - timedelta(seconds=1)) == 0
    assert deliveries_send(now=NOW + LEASE) == 1
    assert one().status == "delivered"
    assert list(one().log.values_list("number", "error")) == [(1, "lost"), (2, "")]


def test_who_comes_too_late_changes_nothing(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    listening(receiver, subscribe)
    publish(account)
    (late,) = deliveries_claim(now=NOW, limit=10)
    deliveries_claim(now=NOW + LEASE, limit=10)
    outcome = Outcome(status=500, error="status", info="HTTP 500.")
    outbox.attempt_finish(late, outcome, now=NOW + LEASE)
    assert (one().status, one().attempts) == ("sending", 2)
    assert one().log.get(number=1).status == 500


def test_a_worker_that_always_dies_does_not_try_for_ever(
    account: Account, subscribe: Subscribe
) -> None:
    subscribe()
    publish(account)
    now, claims = NOW, 0
    while deliveries_claim(now=now, limit=10):
        claims += 1
        now += LEASE
    assert (claims, one().status, one().last_error) == (TRIES, "dead", "lost")


def test_an_endpoint_that_goes_in_the_middle_takes_its_log_along(
    account: Account, subscribe: Subscribe
) -> None:
    endpoint = subscribe()
    publish(account)
    (claimed,) = deliveries_claim(now=NOW, limit=10)
    endpoint.delete()
    outbox.attempt_finish(claimed, Outcome(status=200), now=NOW)
    assert not DeliveryAttempt.objects.exists()


def test_an_idle_sweep_is_one_query(
    account: Account, subscribe: Subscribe, django_assert_num_queries: Any
) -> None:
    subscribe()
    with django_assert_num_queries(1):
        assert deliveries_send(now=NOW) == 0


def test_a_batch_is_claimed_by_few_queries(
    account: Account, subscribe: Subscribe, django_assert_max_num_queries: Any
) -> None:
    for _ in range(10):
        subscribe()
    publish(account, 4)
    with django_assert_max_num_queries(7):  # two are the savepoint's
        assert len(deliveries_claim(now=NOW, limit=100)) == 40


# --- what is kept -------------------------------------------------------------------------------


def test_old_events_go_but_for_what_is_still_to_be_sent(
    account: Account, subscribe: Subscribe, receiver: Receiver, settings: Settings
) -> None:
    settings.WEBHOOK_LOG_DAYS = 30
    listening(receiver, subscribe)
    publish(account, 2)
    deliveries_send(now=NOW)
    publish(account)
    assert events_purge(now=NOW + timedelta(days=30)) == 0
    assert events_purge(now=NOW + timedelta(days=30, seconds=1)) == 2
    assert one().status == "pending"
    assert not DeliveryAttempt.objects.exists()


def test_the_log_holds_no_secrets(
    account: Account, subscribe: Subscribe, receiver: Receiver
) -> None:
    secret = listening(receiver, subscribe).secret
    receiver.answers["/in"] = [says(500, json.dumps({"your": secret}).encode())]
    publish(account)
    deliveries_send(now=NOW)
    assert secret not in attempt(one()).answer
    assert attempt(one()).answer.startswith('{"your": "')
