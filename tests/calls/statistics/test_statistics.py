"""What happened in calls: today and by the hour, whoever counted it, and of nobody else's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from pytest_django import DjangoAssertNumQueries

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.accounts.services import account_create
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import config_create
from apps.calls.endings import call_close
from apps.calls.models import AccountHour, Call, CountedHour, Turn, call_id
from apps.calls.services import entries_write
from apps.calls.statistics.counting import hours_count
from apps.calls.statistics.figures import Ending, Figures, Outcome, figures_load, figures_store
from apps.calls.statistics.selectors import Statistics, live_calls, statistics
from apps.calls.statistics.spread import bucket
from tests.calls.test_call_ends import journal_of
from tests.conftest import BODY

NOW = datetime(2026, 1, 2, 15, 20, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def _in_utc() -> Iterator[None]:
    with timezone.override("UTC"):
        yield


@pytest.fixture
def theirs(stranger: Account) -> TwilioConfig:
    return config_create(account=stranger, draft=draft_read(BODY), actor=Actor())


def ended(config: TwilioConfig, at: datetime, *answers_ms: int, **values: Any) -> Call:
    """A call that was over at that time; completed, unless told otherwise."""
    sid = f"CA{Call.objects.count()}"
    assert config.current is not None
    call = Call.objects.create(
        id=call_id(account_id=config.account_id, call_sid=sid),
        account_id=config.account_id,
        config=config,
        version=config.current,
        call_sid=sid,
        **{
            **{"started_at": at - MINUTE, "ended_at": at, "status": "completed"},
            **{"end_reason": "caller_hung_up", "stream_sid": "MZ1", "cost_is_complete": True},
            **values,
        },
    )
    for index, ms in enumerate(answers_ms):
        turn = {"stream_sid": "MZ1", "index": index, "role": "bot", "answer_ms": ms}
        Turn.objects.create(call=call, started_at=at - MINUTE, ended_at=at, **turn)
    return call


def of(*configs: TwilioConfig) -> Statistics:
    return statistics([config.account_id for config in configs], now=NOW)


# --- what is counted ------------------------------------------------------------------------------


def test_a_call_counts_in_the_hour_and_on_the_day_of_its_end(config: TwilioConfig) -> None:
    for at in (NOW, NOW - HOUR, NOW - 15 * HOUR, NOW - 16 * HOUR):
        ended(config, at)
    found = of(config)
    by_hour = {hour.begins.hour: hour.figures.calls for hour in found.hours}
    assert [hour for hour, calls in by_hour.items() if calls] == [23, 0, 14, 15]
    assert len(found.hours) == 24
    assert (found.today.calls, found.day.calls) == (3, 4)


@pytest.mark.parametrize(
    ("zone", "calls"), [("UTC", 3), ("Asia/Kolkata", 4), ("America/New_York", 1)]
)
def test_today_is_the_viewers_day(config: TwilioConfig, zone: str, calls: int) -> None:
    for at in (datetime(2026, 1, 2, hour, 45, tzinfo=UTC) for hour in (0, 2, 14)):
        ended(config, at)
    ended(config, datetime(2026, 1, 1, 19, 0, tzinfo=UTC))
    with timezone.override(zone):
        assert of(config).today.calls == calls


def test_a_day_begins_amid_an_hour_where_it_does(config: TwilioConfig) -> None:
    before, after = (datetime(2026, 1, 1, 18, minute, tzinfo=UTC) for minute in (29, 31))
    ended(config, before)
    ended(config, after)
    hours_count(now=NOW)
    with timezone.override("Asia/Kolkata"):
        found = of(config)
    assert found.today.calls == 1
    assert sum(hour.figures.calls for hour in found.hours) == 2


def test_what_is_not_over_does_not_count(config: TwilioConfig) -> None:
    ended(config, NOW, ended_at=None, status="in-progress")
    assert of(config).day == Figures()


def test_another_accounts_calls_never_count(config: TwilioConfig, theirs: TwilioConfig) -> None:
    for at in (NOW, NOW - 5 * HOUR):
        ended(theirs, at, 500, first_word_ms=300, status="failed", cost_usd=Decimal(1))
    hours_count(now=NOW)
    ended(theirs, NOW, ended_at=None, status="in-progress")
    assert of(config).day == Figures()
    assert live_calls([config.account_id]).count == 0
    assert statistics([], now=NOW).day == Figures()
    assert statistics(None, now=NOW).day.calls == 2
    assert live_calls(None).count == 1


@pytest.mark.parametrize(
    ("status", "reason", "outcome"),
    [
        ("completed", "caller_hung_up", Outcome.HELD),
        ("completed", "gateway_lost", Outcome.FAILED),
        ("failed", "provider_failure", Outcome.FAILED),
        ("busy", "busy", Outcome.UNANSWERED),
        ("no-answer", "no_answer", Outcome.UNANSWERED),
        ("canceled", "canceled", Outcome.CANCELED),
    ],
)
def test_how_a_call_went(status: str, reason: str, outcome: Outcome) -> None:
    assert Ending(status, reason, "").outcome is outcome


def test_failures_are_told_apart_by_their_reason(config: TwilioConfig) -> None:
    for reason, code in (("twilio_failed", "13224"), ("twilio_failed", "13224"), ("x", "")):
        ended(config, NOW, status="failed", end_reason=reason, error_code=code)
    ended(config, NOW)
    assert of(config).today.failures == [
        (Ending("failed", "twilio_failed", "13224"), 2),
        (Ending("failed", "x", ""), 1),
    ]


def test_costs_add_up_and_say_what_is_missing(config: TwilioConfig) -> None:
    ended(config, NOW, cost_usd=Decimal("0.01234567"))
    ended(config, NOW, cost_usd=Decimal("0.1"), cost_is_complete=False)
    ended(config, NOW, cost_usd=None, cost_is_complete=False)
    # Nobody took it, so nothing was used.
    ended(config, NOW, status="busy", stream_sid="", cost_is_complete=False)
    today = of(config).today
    assert (today.cost_usd, today.unpriced) == (Decimal("0.11234567"), 2)


# --- where it comes from --------------------------------------------------------------------------


def test_a_call_that_ends_knows_how_soon_its_bot_spoke(config: TwilioConfig) -> None:
    call = call_id(account_id=config.account_id, call_sid="CA1")
    entries_write(journal_of(config, call))
    assert Call.objects.get(pk=call).first_word_ms == 1000
    assert Turn.objects.get(call=call).answer_ms == 640


def test_where_the_bot_said_nothing_there_is_no_first_word(config: TwilioConfig) -> None:
    call = ended(config, NOW, ended_at=None, status="in-progress")
    call_close(call, status="completed", reason="x", at=NOW)
    call.refresh_from_db()
    assert call.first_word_ms is None


# --- counted and kept -----------------------------------------------------------------------------


def test_an_hour_that_was_counted_is_read_as_it_was_counted(
    config: TwilioConfig, theirs: TwilioConfig
) -> None:
    for at in (NOW, NOW - 3 * HOUR, NOW - 20 * HOUR):
        ended(config, at, 400, 900, first_word_ms=120, cost_usd=Decimal("0.5"))
        ended(theirs, at, status="failed", cost_is_complete=False)
    before = of(config), of(config, theirs), statistics(None, now=NOW)
    hours_count(now=NOW)
    assert (of(config), of(config, theirs), statistics(None, now=NOW)) == before
    Call.objects.filter(ended_at__lt=NOW - HOUR).update(status="busy")
    assert (of(config), of(config, theirs), statistics(None, now=NOW)) == before


def test_what_is_read_from_kept_hours_takes_few_queries(
    config: TwilioConfig, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ended(config, NOW - 3 * HOUR, 400)
    ended(config, NOW, 400)
    hours_count(now=NOW)
    with django_assert_num_queries(5):
        of(config)
    with django_assert_num_queries(4):
        statistics(None, now=NOW)


def test_late_news_of_an_hour_is_in_it_an_hour_later(config: TwilioConfig) -> None:
    hours_count(now=NOW)
    ended(config, NOW - 5 * HOUR)
    assert of(config).day.calls == 0
    hours_count(now=NOW + HOUR)
    assert of(config).day.calls == 1


def test_the_newest_hour_that_is_over_is_counted_every_time(config: TwilioConfig) -> None:
    assert hours_count(now=NOW) > 24
    ended(config, NOW - HOUR)
    assert hours_count(now=NOW + MINUTE) == 1
    assert CountedHour.objects.order_by("-counted_at").values_list("counted_at", flat=True)[0] == (
        NOW + MINUTE
    )
    assert of(config).day.calls == 1


def test_an_hour_is_not_kept_before_late_news_may_have_come(config: TwilioConfig) -> None:
    hours_count(now=NOW.replace(minute=9))
    assert not CountedHour.objects.filter(hour=datetime(2026, 1, 2, 14, tzinfo=UTC)).exists()


def test_old_hours_are_forgotten(config: TwilioConfig) -> None:
    ended(config, NOW - HOUR)
    hours_count(now=NOW)
    hours_count(now=NOW + timedelta(days=3))
    assert not AccountHour.objects.exists()
    assert CountedHour.objects.count() < 30


def test_figures_come_back_as_they_were_kept(config: TwilioConfig) -> None:
    ended(config, NOW, 40, 4000, first_word_ms=7, cost_usd=Decimal("0.00000001"))
    figures = of(config).today
    assert figures_load(figures_store(figures)) == figures


# --- against a plain computation ------------------------------------------------------------------

CALLS = st.lists(
    st.tuples(
        st.integers(0, 23 * 60),
        st.sampled_from([("completed", "idle"), ("failed", "line_lost"), ("busy", "busy")]),
        st.one_of(st.none(), st.integers(0, 20_000)),
        st.lists(st.integers(0, 20_000), max_size=3),
        st.one_of(st.none(), st.integers(0, 10**9)),
    ),
    max_size=8,
)


class TestAgainstAPlainComputation(TestCase):
    @given(CALLS, st.booleans())
    @settings(max_examples=30)
    def test_the_figures_are_those_of_the_calls(self, calls: Any, kept: bool) -> None:
        account = account_create(name="Hotel", actor=Actor())
        config = config_create(account=account, draft=draft_read(BODY), actor=Actor())
        for minutes, (status, reason), first_ms, answers, cost in calls:
            ended(
                config,
                NOW - minutes * MINUTE,
                *answers,
                status=status,
                end_reason=reason,
                first_word_ms=first_ms,
                cost_usd=None if cost is None else Decimal(cost).scaleb(-8),
            )
        if kept:
            hours_count(now=NOW)
        found = of(config).day
        answers = sorted(ms for call in calls for ms in call[3])
        firsts = sorted(call[2] for call in calls if call[2] is not None)
        assert found.calls == len(calls)
        assert found.outcomes[Outcome.HELD] == sum(call[1][0] == "completed" for call in calls)
        assert found.cost_usd == sum((Decimal(c[4] or 0).scaleb(-8) for c in calls), Decimal(0))
        assert (found.answers.p50, found.answers.p95) == (
            ranked(answers, 0.5),
            ranked(answers, 0.95),
        )
        assert found.first_words.p95 == ranked(firsts, 0.95)


def ranked(values: list[int], share: float) -> int | None:
    """The value by nearest rank, as its bucket; how far that may be off is shown elsewhere."""
    return bucket(values[math.ceil(share * len(values)) - 1]) if values else None


# --- now ------------------------------------------------------------------------------------------


def test_what_is_live_is_told_newest_first_with_its_latest_answer(config: TwilioConfig) -> None:
    on = {"ended_at": None, "status": "in-progress"}
    older = ended(config, NOW, 900, 450, **on)
    newer = ended(config, NOW + MINUTE, **{**on, "status": "ringing"})
    found = live_calls([config.account_id])
    assert [call.id for call in found.newest] == [newer.id, older.id]
    assert [call.answer_ms for call in found.newest] == [None, 450]
    assert found.by_status == {"ringing": 1, "in-progress": 1}


def test_of_many_live_calls_all_are_counted_and_the_newest_told(
    config: TwilioConfig, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(5):
        ended(config, NOW + n * MINUTE, ended_at=None, status="in-progress")
    with django_assert_num_queries(2):
        found = live_calls([config.account_id], at_most=2)
    assert (found.count, len(found.newest)) == (5, 2)
