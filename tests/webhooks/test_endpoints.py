"""``/webhooks``: endpoints, their secrets, pings, the log of deliveries, and replays."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry
from apps.webhooks import endpoints, replaying
from apps.webhooks.delivering import deliveries_send
from apps.webhooks.kinds import KINDS, NAMES
from apps.webhooks.models import Delivery, Endpoint, Event
from apps.webhooks.services import event_publish
from apps.webhooks.signing import secret_new
from tests.support.receiver import Receiver, Serving, hangs, says
from tests.webhooks.conftest import Subscribe

URL = "https://hooks.example.com/in"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("PRIVATE_ADDRESSES", "127.0.0.1")
    with Serving(Receiver()) as found:
        yield found


def made(api: APIClient, url: str = URL, **more: Any) -> dict[str, Any]:
    answer = api.post("/webhooks", {"url": url, **more})
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def publish(account: Account, at: datetime | None = None, kind: str = "call.ended") -> Event:
    event_publish(account_id=account.id, kind=kind, data={"call": {"id": "one"}}, now=at)
    return Event.objects.order_by("-created_at")[0]


# --- endpoints ----------------------------------------------------------------------------------


def test_the_secret_is_shown_once(api: APIClient) -> None:
    answer = api.post("/webhooks", {"url": URL})
    assert answer.status_code == 201
    body = answer.json()
    secret = body.pop("secret")
    assert secret.startswith("whsec_")
    assert (answer["Location"], answer["Cache-Control"]) == (
        f"http://testserver/webhooks/{body['id']}",
        "no-store",
    )
    assert body["kinds"] == []
    assert body["enabled"] is True
    for path in ("/webhooks", f"/webhooks/{body['id']}", "/audit-log"):
        assert secret not in api.get(path).content.decode()
    assert api.get(f"/webhooks/{body['id']}").json() == body
    assert Endpoint.objects.get().secret == secret


def test_a_secret_may_be_the_clients_own(api: APIClient) -> None:
    own = secret_new()
    assert made(api, secret=own)["secret"] == own
    answer = api.post("/webhooks", {"url": URL, "secret": "whsec_short"})
    assert answer.json()["fields"] == {"secret": ["whsec_ and base64 of 24 to 64 bytes."]}


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("hooks.example.com", "A whole https URL"),
        ("ftp://hooks.example.com/", "A whole https URL"),
        ("https://", "A whole https URL"),
        ("https://user:password@hooks.example.com/", "A whole https URL"),
        ("https://hooks.example.com/#part", "A whole https URL"),
        ("https://hooks.example.com/a b", "A whole https URL"),
        ("https://hooks.example.com:0/", "A whole https URL"),
        ("http://hooks.example.com/", "http only to addresses that PRIVATE_ADDRESSES"),
        ("http://8.8.8.8/", "http only to addresses that PRIVATE_ADDRESSES"),
        ("https://127.0.0.1/", "127.0.0.1 leads to a private address"),
        ("https://2130706433/", "leads to a private address"),
        ("https://[::ffff:10.0.0.1]/", "leads to a private address"),
        ("https://localhost:8000/", "leads to a private address"),
        ("https://169.254.169.254/latest/meta-data", "leads to a private address"),
    ],
)
def test_a_url_that_nothing_may_be_sent_to_is_refused(
    api: APIClient, url: str, complaint: str
) -> None:
    endpoint = made(api)
    for answer in (
        api.post("/webhooks", {"url": url}),
        api.patch(f"/webhooks/{endpoint['id']}", {"url": url}),
    ):
        assert answer.status_code == 400
        assert complaint in answer.json()["fields"]["url"][0]
    assert Endpoint.objects.get().url == URL


def test_a_name_that_leads_inside_is_refused(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: inside)
    answer = api.post("/webhooks", {"url": URL})
    assert "private address" in answer.json()["fields"]["url"][0]


def test_the_operator_may_allow_http_within(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIVATE_ADDRESSES", "10.0.0.0/8")
    assert made(api, "http://10.0.0.7/in")["url"] == "http://10.0.0.7/in"
    assert api.post("/webhooks", {"url": "http://8.8.8.8/in"}).status_code == 400


def test_kinds_are_those_of_the_catalogue(api: APIClient) -> None:
    found = made(api, kinds=["config.published", "call.ended", "call.ended"])
    assert found["kinds"] == ["call.ended", "config.published"]
    answer = api.post("/webhooks", {"url": URL, "kinds": ["call.endd"]})
    assert "Valid: call.started, call.ended" in str(answer.json()["fields"]["kinds.0"])


def test_the_catalogue_has_an_example_of_each(api: APIClient) -> None:
    found = api.get("/webhooks/kinds").json()["results"]
    assert [kind["name"] for kind in found] == list(NAMES)
    for kind in found:
        assert kind["example"]["type"] == kind["name"]
        assert kind["example"]["data"] == KINDS[kind["name"]].example


def test_a_change_leaves_the_rest_and_an_entry(api: APIClient, account: Account) -> None:
    endpoint = made(api, description="CRM")
    changed = api.patch(f"/webhooks/{endpoint['id']}", {"kinds": ["call.ended"]}).json()
    assert (changed["description"], changed["kinds"]) == ("CRM", ["call.ended"])
    assert api.patch(f"/webhooks/{endpoint['id']}", {}).status_code == 200
    assert api.patch(f"/webhooks/{endpoint['id']}").status_code == 400
    assert api.patch(f"/webhooks/{endpoint['id']}", {"secret": secret_new()}).status_code == 400
    entry = AuditEntry.objects.filter(action="webhook.update").order_by("created_at")[0]
    assert (entry.account, entry.before, entry.after) == (
        account,
        {"kinds": []},
        {"kinds": ["call.ended"]},
    )
    assert api.delete(f"/webhooks/{endpoint['id']}").status_code == 204
    assert api.get(f"/webhooks/{endpoint['id']}").status_code == 404
    assert AuditEntry.objects.filter(action="webhook.delete").count() == 1


def test_a_disabled_endpoint_gets_nothing_until_it_is_enabled_and_replayed(
    api: APIClient, account: Account
) -> None:
    path = f"/webhooks/{made(api)['id']}"
    publish(account)
    assert api.patch(path, {"enabled": False}).json()["disabled_reason"] == "request"
    assert Delivery.objects.get().status == "dead"
    publish(account)
    assert Delivery.objects.count() == 1
    replay = {"since": "2026-01-01T00:00:00Z", "status": "all"}
    assert api.post(f"{path}/replay", replay).status_code == 409
    assert api.patch(path, {"enabled": True}).json()["disabled_reason"] == ""
    assert api.post(f"{path}/replay", replay).json()["count"] == 2
    assert set(Delivery.objects.values_list("status", flat=True)) == {"pending"}


def test_an_account_has_so_many_endpoints(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "ENDPOINTS", 1)
    made(api)
    answer = api.post("/webhooks", {"url": URL})
    assert (answer.status_code, answer.json()["error"]) == (409, "conflict-error")


def test_a_rotation_keeps_the_old_secret_for_its_grace(api: APIClient) -> None:
    endpoint = made(api)
    path = f"/webhooks/{endpoint['id']}/rotate-secret"
    rotated = api.post(path, {"grace_seconds": 3600})
    assert rotated["Cache-Control"] == "no-store"
    body, row = rotated.json(), Endpoint.objects.get()
    assert body["secret"] == row.secret != endpoint["secret"] == row.previous_secret
    assert row.previous_secret_until is not None
    assert row.previous_secret_until > timezone.now() + timedelta(minutes=59)
    own = secret_new()
    assert api.post(path, {"grace_seconds": 0, "secret": own}).json()["secret"] == own
    row = Endpoint.objects.get()
    assert (row.previous_secret, row.previous_secret_until) == ("", None)
    kept = str(list(AuditEntry.objects.filter(action="webhook.rotate_secret").values()))
    assert own not in kept
    assert api.post(path, {"grace_seconds": -1}).status_code == 400


def test_an_endpoint_whose_secret_cannot_be_read_can_be_mended(
    api: APIClient, settings: Settings
) -> None:
    endpoint = made(api)
    keys = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = ["bG9zdC1sb3N0LWxvc3QtbG9zdC1sb3N0LWxvc3QtbG8="]
    path = f"/webhooks/{endpoint['id']}"
    assert api.patch(path, {"description": "CRM"}).status_code == 200
    assert api.post(f"{path}/ping").json()["attempt"]["error"] == "secret"
    rotated = api.post(f"{path}/rotate-secret", {"grace_seconds": 60}).json()
    assert rotated["previous_secret_until"] is None
    assert Endpoint.objects.get().secret == rotated["secret"]
    settings.ENCRYPTION_KEYS = keys
    assert api.delete(path).status_code == 204


# --- pings --------------------------------------------------------------------------------------


def test_a_ping_is_sent_at_once_and_tells_what_came_of_it(
    api: APIClient, receiver: Receiver
) -> None:
    endpoint = made(api, f"{receiver.url}/in", kinds=["call.ended"])
    receiver.secrets["/in"] = [endpoint["secret"]]
    pinged = api.post(f"/webhooks/{endpoint['id']}/ping").json()
    assert (pinged["ok"], pinged["attempt"]["status"]) == (True, 204)
    assert [found["type"] for found in receiver.received] == ["ping"]
    assert receiver.refusals == []
    delivery = api.get(f"/webhooks/{endpoint['id']}/deliveries/{pinged['delivery_id']}").json()
    assert delivery["payload"] == receiver.received[0]
    assert delivery["status"] == "delivered"


def test_a_ping_that_fails_is_not_tried_again(api: APIClient, receiver: Receiver) -> None:
    endpoint = made(api, f"{receiver.url}/in", enabled=False)
    receiver.answers["/in"] = [says(503, b"down")]
    pinged = api.post(f"/webhooks/{endpoint['id']}/ping").json()
    assert pinged["ok"] is False
    assert (pinged["attempt"]["error"], pinged["attempt"]["answer"]) == ("status", "down")
    assert Delivery.objects.get().status == "dead"


def test_a_ping_to_a_private_address_says_why_not(
    api: APIClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = made(api, f"{receiver.url}/in")
    monkeypatch.setenv("PRIVATE_ADDRESSES", "")
    pinged = api.post(f"/webhooks/{endpoint['id']}/ping").json()
    assert (pinged["ok"], pinged["attempt"]["error"]) == (False, "address")
    assert receiver.seen == []


# --- the log ------------------------------------------------------------------------------------


def test_the_log_is_filtered_and_newest_first(api: APIClient, account: Account) -> None:
    path = f"/webhooks/{made(api)['id']}/deliveries"
    at = timezone.now()
    for second, kind in enumerate(["call.started", "call.ended", "call.ended"]):
        publish(account, at + timedelta(seconds=second), kind)
    Delivery.objects.filter(event__created_at=at + timedelta(seconds=2)).update(status="dead")
    shown = api.get(path).json()["results"]
    assert [row["kind"] for row in shown] == ["call.ended", "call.ended", "call.started"]
    assert len(api.get(path, {"kind": "call.ended"}).json()["results"]) == 2
    assert len(api.get(path, {"kind": "call.ended", "status": "dead"}).json()["results"]) == 1
    assert len(api.get(path, {"page_size": 2}).json()["results"]) == 2
    assert api.get(path, {"status": "lost"}).status_code == 400


def test_the_log_takes_as_many_queries_for_many(
    api: APIClient, account: Account, django_assert_max_num_queries: Any
) -> None:
    path = f"/webhooks/{made(api)['id']}/deliveries"
    for _ in range(20):
        publish(account)
    with django_assert_max_num_queries(3):
        assert len(api.get(path).json()["results"]) == 20


def test_a_deliverys_attempts_are_told(
    api: APIClient, account: Account, receiver: Receiver, django_assert_max_num_queries: Any
) -> None:
    endpoint = made(api, f"{receiver.url}/in")
    receiver.answers["/in"] = [says(500, b"oops"), says(200, b"thanks")]
    publish(account)
    deliveries_send()
    deliveries_send(now=Delivery.objects.get().due_at)
    path = f"/webhooks/{endpoint['id']}/deliveries/{Delivery.objects.get().id}"
    with django_assert_max_num_queries(3):
        found = api.get(path).json()
    assert found["attempt_count"] == 2
    told = [(one["number"], one["status"], one["answer"]) for one in found["attempts"]]
    assert told == [(1, 500, "oops"), (2, 200, "thanks")]
    assert found["event_id"] == found["payload"]["id"] == receiver.ids()[0]


# --- replays ------------------------------------------------------------------------------------


def test_a_dead_delivery_is_replayed_with_its_id_and_a_whole_schedule(
    api: APIClient, account: Account, receiver: Receiver
) -> None:
    endpoint = made(api, f"{receiver.url}/in")
    receiver.answers["/in"] = [says(500)]
    publish(account)
    while (delivery := Delivery.objects.get()).status == "pending":
        deliveries_send(now=delivery.due_at)
    path = f"/webhooks/{endpoint['id']}/deliveries/{delivery.id}/replay"
    answer = api.post(path)
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    receiver.answers["/in"] = [says(500), says(204)]
    deliveries_send()
    assert Delivery.objects.get().status == "pending"
    deliveries_send(now=Delivery.objects.get().due_at)
    assert Delivery.objects.get().status == "delivered"
    assert len(set(receiver.ids())) == 1
    assert Delivery.objects.get().log.count() == len(receiver.seen) == delivery.attempts + 2


def test_what_is_being_sent_is_not_replayed(api: APIClient, account: Account) -> None:
    endpoint = made(api)
    publish(account)
    Delivery.objects.update(status="sending")
    path = f"/webhooks/{endpoint['id']}/deliveries/{Delivery.objects.get().id}/replay"
    assert api.post(path).status_code == 409


def test_the_dead_of_a_time_are_replayed(api: APIClient, account: Account) -> None:
    path = f"/webhooks/{made(api)['id']}/replay"
    start = datetime(2026, 1, 31, tzinfo=UTC)
    for hour in range(4):
        publish(account, start + timedelta(hours=hour))
    Delivery.objects.update(status="dead", tries=11)
    Delivery.objects.filter(event__created_at=start + timedelta(hours=2)).update(status="delivered")
    body = {"since": "2026-01-31T01:00:00Z", "until": "2026-01-31T03:00:00Z"}
    assert api.post(path, body).json() == {"count": 1, "next_since": None}
    assert Delivery.objects.get(status="pending").tries == 0
    assert api.post(path, {**body, "status": "all"}).json()["count"] == 1
    assert Delivery.objects.filter(status="pending").count() == 2
    assert api.post(path, {**body, "until": body["since"]}).status_code == 400
    entry = AuditEntry.objects.filter(action="webhook.replay").order_by("created_at")[0]
    assert entry.after["count"] == 1


def test_a_new_endpoint_can_have_what_happened_before_it(
    api: APIClient, account: Account, stranger: Account, subscribe: Subscribe
) -> None:
    subscribe()
    subscribe(account=stranger)
    publish(account)
    publish(account, kind="config.published")
    publish(stranger)
    endpoint = made(api, kinds=["call.ended"])
    api.post(f"/webhooks/{endpoint['id']}/ping")
    body = {"since": "2026-01-01T00:00:00Z", "status": "all"}
    assert api.post(f"/webhooks/{endpoint['id']}/replay", body).json()["count"] == 1
    everything = made(api)
    api.post(f"/webhooks/{everything['id']}/ping")
    assert api.post(f"/webhooks/{everything['id']}/replay", body).json()["count"] == 2
    mine = Delivery.objects.filter(endpoint=endpoint["id"], status="pending")
    assert [row.event.account for row in mine] == [account]


def test_a_long_replay_says_where_to_go_on(
    account: Account, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "AT_MOST", 2)
    endpoint, start = subscribe(), datetime(2026, 1, 31, tzinfo=UTC)
    for hour in range(5):
        publish(account, start + timedelta(hours=hour))
    Delivery.objects.update(status="dead")
    since: datetime | None = start
    counts = []
    while since is not None:
        replayed = replaying.deliveries_replay(
            endpoint, actor=Actor(), since=since, until=None, status="dead"
        )
        counts.append(replayed.count)
        since = replayed.next_since
    assert counts == [2, 2, 1]


def test_a_slow_endpoints_ping_ends(
    api: APIClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.webhooks.delivering.DEADLINE_S", 0.2)
    endpoint = made(api, f"{receiver.url}/in")
    receiver.answers["/in"] = [hangs]
    pinged = api.post(f"/webhooks/{endpoint['id']}/ping").json()
    assert (pinged["attempt"]["error"], pinged["attempt"]["status"]) == ("timeout", None)
