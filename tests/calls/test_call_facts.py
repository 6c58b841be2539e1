"""What webhooks were told of a call is found by the call, without looking into any event's data."""

from __future__ import annotations

from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.calls.endings import call_close, call_started
from apps.calls.models import Call, Transfer
from apps.calls.recordings.services import spooled_store
from apps.calls.selectors import call_facts
from apps.calls.transfer_ends import transfer_fail
from apps.webhooks.models import Event
from apps.webhooks.selectors import deliveries_about
from tests.calls.recordings.conftest import Spool, spool
from tests.calls.test_call_ends import listens
from tests.calls.test_calls_api import NOW, make_call

__all__ = ("spool",)


def test_all_that_was_told_of_a_call_is_found_by_it(
    config: TwilioConfig, spool: Spool, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    listens(config.account_id)
    spooled_store(spool.stream(sid="MZ1", seconds=1.0))
    late = spool.stream(sid="MZ2", after_s=3.0, seconds=1.0)
    transfer = Transfer.objects.create(call=Call.objects.get(), to="+14155550101", started_at=NOW)
    transfer_fail(transfer, "no-answer", NOW)
    spool.finish(sid="MZ2")
    spooled_store(late)
    another = make_call(config, "CA2")
    call_started(another)
    call_close(another, status="completed", reason="idle", at=NOW)
    call = Call.objects.select_related("recording").get(call_sid="CA1")
    with django_assert_num_queries(2):  # transfers, deliveries
        found = list(deliveries_about(call.account_id, call_facts(call)))
    told = {"call.started", "call.ended", "call.recording_ready", "call.transfer_failed"}
    assert {one.kind for one in found} == told
    assert len(found) == Event.objects.count() - 2  # the other one began and ended


def test_another_accounts_deliveries_are_not_found(config: TwilioConfig, stranger: Account) -> None:
    listens(config.account_id)
    call = make_call(config)
    call_started(call)
    assert not deliveries_about(stranger.pk, call_facts(call)).exists()
