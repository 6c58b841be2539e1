"""Events are written with the fact that they tell of, once a fact, for whoever wants them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import Write, config_create, config_patch, config_publish, config_restore
from apps.core.facts import happened
from apps.webhooks.kinds import KINDS
from apps.webhooks.models import Delivery, Event
from apps.webhooks.services import event_publish
from tests.conftest import BODY
from tests.webhooks.conftest import Subscribe

DATA = {"call": {"id": "one"}}


def publish(account: Account, kind: str = "call.ended", key: str | None = "one") -> None:
    event_publish(account_id=account.id, kind=kind, data=DATA, key=key)


def test_an_event_waits_for_each_endpoint_that_wants_it(
    account: Account, subscribe: Subscribe
) -> None:
    everything, calls = subscribe(), subscribe(kinds=["call.ended"])
    subscribe(kinds=["config.published"])
    subscribe(enabled=False)
    publish(account)
    assert {row.endpoint for row in Delivery.objects.all()} == {everything, calls}
    event = Event.objects.get()
    assert (event.kind, event.data) == ("call.ended", DATA)
    assert {(row.event, row.kind, row.status) for row in Delivery.objects.all()} == {
        (event, "call.ended", "pending")
    }


def test_nobody_elses_endpoint_gets_it(
    account: Account, stranger: Account, subscribe: Subscribe
) -> None:
    subscribe()
    subscribe(account=stranger)
    publish(account)
    assert Delivery.objects.get().endpoint.account == account


def test_without_endpoints_it_is_one_query_and_nothing_is_kept(
    account: Account, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        publish(account)
    assert not Event.objects.exists()


def test_with_endpoints_it_is_three(
    account: Account, subscribe: Subscribe, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        subscribe()
    with django_assert_num_queries(3):
        publish(account)


def test_an_endpoint_that_is_disabled_can_have_it_replayed(
    account: Account, subscribe: Subscribe
) -> None:
    subscribe(enabled=False)
    publish(account)
    assert Event.objects.count() == 1
    assert not Delivery.objects.exists()


def test_a_fact_that_is_told_twice_is_one_event(account: Account, subscribe: Subscribe) -> None:
    subscribe()
    publish(account)
    Delivery.objects.update(status=Delivery.Status.DELIVERED)
    publish(account)
    assert Event.objects.count() == 1
    assert Delivery.objects.get().status == Delivery.Status.DELIVERED


def test_facts_of_other_keys_kinds_and_accounts_are_others(
    account: Account, stranger: Account, subscribe: Subscribe
) -> None:
    subscribe()
    subscribe(account=stranger)
    publish(account)
    publish(stranger)
    publish(account, kind="call.started")
    publish(account, key="two")
    publish(account, key=None)
    publish(account, key=None)
    assert Event.objects.count() == Delivery.objects.count() == 6


def test_it_goes_with_the_transaction_that_it_was_told_in(
    account: Account, subscribe: Subscribe
) -> None:
    subscribe()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        publish(account)
        raise ZeroDivisionError
    assert not Event.objects.exists()
    publish(account)
    assert Delivery.objects.count() == 1


def test_it_takes_times_ids_and_decimals(account: Account, subscribe: Subscribe) -> None:
    subscribe()
    data = {
        "at": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "id": uuid.UUID(int=7),
        "cost_usd": Decimal("0.00163900"),
    }
    event_publish(account_id=str(account.id), kind="call.ended", data=data)
    assert Event.objects.get().data == {
        "at": "2026-01-31T12:00:00Z",
        "id": str(uuid.UUID(int=7)),
        "cost_usd": "0.00163900",
    }


def test_an_unknown_kind_is_our_own_mistake(account: Account) -> None:
    with pytest.raises(ValueError, match=r"call\.ended"):
        publish(account, kind="call.endd")


def test_an_app_that_does_not_know_us_tells_a_signal(
    account: Account, subscribe: Subscribe
) -> None:
    subscribe()
    happened.send(sender=None, account_id=account.id, kind="number.drifted", data=DATA, key="PN1/1")
    assert Event.objects.get().kind == "number.drifted"


def test_each_version_that_takes_calls_is_told_once(account: Account, subscribe: Subscribe) -> None:
    subscribe()
    config = config_create(account=account, draft=draft_read(BODY), actor=Actor(command="test"))
    write = Write(account, config.id, Actor(command="test"))
    config_patch(write, {"name": "Day desk"})
    draft = config_patch(Write(account, config.id, Actor(), publish=False), {"name": "Night desk"})
    assert versions_told(config) == [1, 2]
    config_publish(write, draft.version.number)
    config_publish(write, draft.version.number)
    config_restore(write, 1)
    assert versions_told(config) == [1, 2, 3, 4]
    told = Event.objects.order_by("created_at")[2]
    assert told.data.keys() == KINDS["config.published"].example.keys()
    assert (told.data["config_id"], told.data["name"]) == (str(config.id), "Night desk")
    assert told.data["by"] == {"kind": "command", "id": "", "name": "test"}


def versions_told(config: TwilioConfig) -> list[int]:
    events = Event.objects.filter(account=config.account, kind="config.published")
    return [event.data["version"] for event in events.order_by("created_at")]
