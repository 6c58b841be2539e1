"""The page of an endpoint: its secret is shown once, and its deliveries are sent again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Account, AuditEntry
from apps.webhooks.delivering import deliveries_send
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.services import event_publish
from apps.webhooks.signing import secret_new
from tests.dashboard.people import ROLES, WRITERS, Login, form_in, shown_secret, text
from tests.support.receiver import Receiver, Serving, says

LIST = "/admin/webhooks/endpoint/"
ADD = f"{LIST}add/"
DELIVERIES = "/admin/webhooks/delivery/"
URL = "https://hooks.example.com/in"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("PRIVATE_ADDRESSES", "127.0.0.1")
    with Serving(Receiver()) as found:
        yield found


@pytest.fixture
def endpoint(account: Account) -> Endpoint:
    return Endpoint.objects.create(account=account, url=URL, secret=secret_new())


@pytest.fixture
def dead(endpoint: Endpoint) -> Delivery:
    """What could not be delivered."""
    event_publish(account_id=endpoint.account_id, kind="call.ended", data={"call": {"id": "one"}})
    found = Delivery.objects.get()
    Delivery.objects.update(status="dead", last_error="timeout", finished_at=timezone.now())
    return found


def url(name: str, row: Endpoint | Delivery) -> str:
    return reverse(f"admin:webhooks_{row._meta.model_name}_{name}", args=[row.pk])


def is_kept_nowhere(client: Client, secret: str) -> bool:
    held = str(client.cookies) + str(dict(client.session))
    pages = [LIST, "/admin/accounts/auditentry/", url("change", Endpoint.objects.get())]
    return secret not in held and not [path for path in pages if secret in text(client.get(path))]


def test_who_saves_an_older_page_undoes_nothing_of_what_others_set(
    as_: Login, account: Account, endpoint: Endpoint
) -> None:
    client = as_(account, "operator")
    mine = form_in(text(client.get(url("change", endpoint))), url("edit", endpoint))
    theirs = {"url": f"{URL}2", "kinds": ["call.ended"]}
    client.post(url("edit", endpoint), mine | theirs)
    client.post(url("edit", endpoint), mine | {"description": "Ours"})
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.kinds) == (f"{URL}2", ["call.ended"])
    assert endpoint.description == "Ours"


@pytest.mark.parametrize("role", ROLES)
def test_an_endpoint_is_added_by_whom_the_api_would_let(
    as_: Login, account: Account, role: str
) -> None:
    client = as_(account, role)
    answer = client.post(ADD, {"account": str(account.pk), "url": URL, "kinds": "call.ended"})
    assert answer.status_code == (200 if role in WRITERS else 403)
    assert Endpoint.objects.filter(url=URL, kinds=["call.ended"]).exists() is (role in WRITERS)


def test_its_secret_is_shown_once_and_kept_nowhere(as_: Login, account: Account) -> None:
    client = as_(account, "owner")
    answer = client.post(ADD, {"account": str(account.pk), "url": URL})
    secret = shown_secret(answer)
    assert secret == Endpoint.objects.get().secret
    assert "no-store" in answer["Cache-Control"]
    assert is_kept_nowhere(client, secret)


def test_another_secret_is_shown_once_and_kept_nowhere(as_: Login, endpoint: Endpoint) -> None:
    client = as_(endpoint.account, "owner")
    old = endpoint.secret
    answer = client.post(url("rotate", endpoint), {"grace_seconds": "3600"})
    endpoint.refresh_from_db()
    secret = shown_secret(answer)
    assert secret == endpoint.secret != old
    assert endpoint.previous_secret == old
    assert "no-store" in answer["Cache-Control"]
    assert is_kept_nowhere(client, secret)


def test_a_url_that_nothing_is_sent_to_is_refused_at_its_field(
    as_: Login, account: Account
) -> None:
    answer = as_(account, "owner").post(ADD, {"account": str(account.pk), "url": "ftp://x.org/"})
    assert "A whole https URL" in text(answer)
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("act", ["edit", "disable", "ping", "replay", "rotate", "delete"])
def test_what_the_api_forbids_is_forbidden(
    as_: Login, endpoint: Endpoint, role: str, act: str
) -> None:
    answer = as_(endpoint.account, role).post(url(act, endpoint), {})
    assert answer.status_code in ((200, 302) if role in WRITERS else (403,))


@pytest.mark.parametrize("act", ["change", "edit", "enable", "disable", "ping", "replay", "delete"])
def test_another_accounts_endpoint_is_not_there(
    as_: Login, endpoint: Endpoint, stranger: Account, act: str
) -> None:
    client = as_(stranger, "owner")
    ask = client.get if act == "change" else client.post
    assert ask(url(act, endpoint), {}).status_code == 404
    assert URL not in text(client.get(LIST))


def test_it_is_disabled_and_enabled_again(as_: Login, endpoint: Endpoint) -> None:
    client = as_(endpoint.account, "operator")
    client.post(url("disable", endpoint))
    endpoint.refresh_from_db()
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, "request")
    answer = client.post(url("enable", endpoint), follow=True)
    endpoint.refresh_from_db()
    assert endpoint.enabled is True
    assert "What it has missed can be replayed." in text(answer)


def test_a_ping_says_what_became_of_it(as_: Login, endpoint: Endpoint, receiver: Receiver) -> None:
    Endpoint.objects.update(url=f"{receiver.url}/in")
    client = as_(endpoint.account, "operator")
    page = text(client.post(url("ping", endpoint), follow=True))
    assert "The ping was accepted: 204 after" in page
    receiver.answers["/in"] = [says(500)]
    page = text(client.post(url("ping", endpoint), follow=True))
    assert "The ping was not accepted:" in page
    assert page.count(">ping</a>") == 2


def test_a_delivery_shows_each_attempt_and_what_was_sent(
    as_: Login, endpoint: Endpoint, receiver: Receiver
) -> None:
    receiver.answers["/in"] = [says(503, b"<b>not today</b>")]
    Endpoint.objects.update(url=f"{receiver.url}/in")
    event_publish(account_id=endpoint.account_id, kind="call.ended", data={"call": {"id": "one"}})
    deliveries_send()
    delivery = Delivery.objects.get()
    page = text(as_(endpoint.account, "viewer").get(url("change", delivery)))
    attempt = page.partition("<tbody>")[2].partition("</tbody>")[0]
    assert "503" in attempt
    assert " ms" in attempt
    assert "&lt;b&gt;not today" in attempt
    assert "&quot;id&quot;: &quot;one&quot;" in page
    assert url("replay", delivery) not in page


@pytest.mark.parametrize("role", ROLES)
def test_a_delivery_is_sent_again_by_whom_the_api_would_let(
    as_: Login, dead: Delivery, role: str
) -> None:
    client = as_(dead.endpoint.account, role)
    assert client.post(url("replay", dead)).status_code == (302 if role in WRITERS else 403)
    dead.refresh_from_db()
    assert (dead.status == "pending") is (role in WRITERS)


def test_a_delivery_of_a_disabled_endpoint_is_not_sent_and_the_page_says_why(
    as_: Login, dead: Delivery
) -> None:
    Endpoint.objects.update(enabled=False)
    answer = as_(dead.endpoint.account, "operator").post(url("replay", dead), follow=True)
    assert "The endpoint is disabled. Enable it first." in text(answer)
    dead.refresh_from_db()
    assert dead.status == "dead"


def test_what_failed_in_a_time_is_sent_again(as_: Login, dead: Delivery) -> None:
    client = as_(dead.endpoint.account, "operator")
    since = f"{timezone.localtime() - timedelta(hours=1):%Y-%m-%dT%H:%M}"
    form = {"since": since, "status": "dead"}
    page = text(client.post(url("replay", dead.endpoint), form, follow=True))
    assert "1 event will be sent again." in page
    dead.refresh_from_db()
    assert dead.status == "pending"
    assert AuditEntry.objects.filter(action="webhook.replay").exists()


def test_a_time_that_ends_before_it_begins_is_refused(as_: Login, endpoint: Endpoint) -> None:
    form = {"since": "2026-01-02T10:00", "until": "2026-01-02T09:00", "status": "all"}
    page = text(as_(endpoint.account, "operator").post(url("replay", endpoint), form))
    assert "Not after since." in page


def test_another_accounts_delivery_is_not_there(
    as_: Login, dead: Delivery, stranger: Account
) -> None:
    client = as_(stranger, "owner")
    assert client.get(url("change", dead)).status_code == 404
    assert client.post(url("replay", dead)).status_code == 404
    assert "call.ended</a>" not in text(client.get(DELIVERIES))


def test_deliveries_are_filtered_by_endpoint_state_and_event(as_: Login, dead: Delivery) -> None:
    client = as_(dead.endpoint.account, "viewer")
    other = Endpoint.objects.create(account=dead.endpoint.account, url=f"{URL}/2", secret="whsec_")
    for query, count in (
        (f"endpoint={dead.endpoint_id}", 1),
        (f"endpoint={other.pk}", 0),
        (f"endpoint={dead.endpoint_id}&status__exact=dead", 1),
        (f"endpoint={dead.endpoint_id}&status__exact=delivered", 0),
        (f"endpoint={dead.endpoint_id}&kind=call.started", 0),
    ):
        page = text(client.get(f"{DELIVERIES}?{query}"))
        assert page.count(url("change", dead)) == count, query


def test_deliveries_are_shown_of_one_endpoint_at_a_time(as_: Login, dead: Delivery) -> None:
    client = as_(dead.endpoint.account, "viewer")
    assert url("change", dead) in text(client.get(DELIVERIES))
    newest = Endpoint.objects.create(account=dead.endpoint.account, url=f"{URL}/2", secret="whsec_")
    for query in ("", "?endpoint=none", f"?endpoint={newest.pk}"):
        assert url("change", dead) not in text(client.get(f"{DELIVERIES}{query}"))
    assert url("change", dead) in text(client.get(f"{DELIVERIES}?endpoint={dead.endpoint_id}"))


def test_a_disabled_endpoint_says_to_enable_it_before_anything_is_sent_again(
    as_: Login, endpoint: Endpoint
) -> None:
    Endpoint.objects.update(enabled=False)
    page = text(as_(endpoint.account, "operator").get(url("change", endpoint)))
    assert "Enable the endpoint first" in page


def test_pages_cost_the_same_for_many(
    as_: Login, endpoint: Endpoint, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(30):
        event_publish(account_id=endpoint.account_id, kind="call.ended", data={})
    client = as_(endpoint.account, "viewer")
    for path in (LIST, url("change", endpoint), f"{DELIVERIES}?endpoint={endpoint.pk}"):
        with django_assert_max_num_queries(9):
            client.get(path)
