"""GET /calls and /calls/{id}; Twilio's questions about a stream."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.calls.models import Call, CallEvent, Turn, call_id
from tests.conftest import ApiFor

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def make_call(config: TwilioConfig, sid: str = "CA1", **values: Any) -> Call:
    assert config.current is not None
    return Call.objects.create(
        id=call_id(account_id=config.account_id, call_sid=sid),
        account_id=config.account_id,
        config=config,
        version=config.current,
        call_sid=sid,
        **{"started_at": NOW, **values},
    )


@pytest.fixture
def call(config: TwilioConfig) -> Call:
    made = make_call(
        config, status="completed", end_reason="caller_hung_up", ended_at=NOW + timedelta(seconds=9)
    )
    stages = {"endpointing": 300.0, "model": 120.5, "voice": 80.0}
    said = [("bot", "Welcome.", {}), ("caller", "Hours?", {}), ("bot", "Nine to five.", stages)]
    for index, (role, text, parts) in enumerate(said):
        Turn.objects.create(
            call=made,
            stream_sid="MZ1",
            index=index,
            role=role,
            text_said=text,
            text_heard=text,
            started_at=NOW,
            ended_at=NOW,
            stages_ms=parts,
        )
    CallEvent.objects.create(call=made, at=NOW, kind="mark.lost")
    return made


def test_a_call_is_read_with_its_turns_and_events(api: APIClient, call: Call) -> None:
    found = api.get(f"/calls/{call.id}").json()
    assert (found["status"], found["end_reason"]) == ("completed", "caller_hung_up")
    assert found["duration_s"] == 9
    assert found["config_version"] == 1
    assert [turn["text_heard"] for turn in found["turns"]] == [
        "Welcome.",
        "Hours?",
        "Nine to five.",
    ]
    assert [turn["latency_ms"] for turn in found["turns"]] == [None, None, 500.5]
    assert found["events"][0]["kind"] == "mark.lost"


def test_a_call_says_what_it_used_and_cost(api: APIClient, config: TwilioConfig) -> None:
    line = {
        **{"stream_sid": "MZ1", "slot": "llm", "provider": "openai", "model": "gpt-5-mini"},
        **{"units": {"prompt_tokens": 420}, "cost_usd": "0.00011900", "is_complete": False},
    }
    call = make_call(config, cost_usd=Decimal("0.000119"), costs=[line])
    turn = {"call": call, "stream_sid": "MZ1", "started_at": NOW, "ended_at": NOW}
    Turn.objects.create(index=0, role="bot", cost_usd=Decimal("0.000119"), cached_tokens=7, **turn)
    Turn.objects.create(index=1, role="caller", stt_stream_s=1.5, **turn)
    found = api.get(f"/calls/{call.id}").json()
    assert (found["cost_usd"], found["cost_is_complete"]) == ("0.00011900", False)
    assert found["costs"] == [line]
    bot, caller = found["turns"]
    assert (bot["cost_usd"], bot["cached_tokens"]) == ("0.00011900", 7)
    assert (caller["cost_usd"], caller["cached_tokens"]) == (None, None)
    assert caller["stt_stream_s"] == 1.5


def test_a_call_that_runs_has_no_cost_yet(api: APIClient, config: TwilioConfig) -> None:
    make_call(config)
    (found,) = api.get("/calls").json()["results"]
    assert (found["cost_usd"], found["cost_is_complete"]) == (None, False)


def test_a_strangers_call_does_not_exist(api_for: ApiFor, stranger: Account, call: Call) -> None:
    api = api_for(stranger)
    assert api.get(f"/calls/{call.id}").status_code == 404
    assert api.get("/calls").json()["results"] == []


def test_without_a_key_there_is_nothing(client: Client, call: Call) -> None:
    assert client.get("/calls").status_code == 401
    assert client.get(f"/calls/{call.id}").status_code == 401


def test_calls_are_listed_newest_first_in_pages(api: APIClient, config: TwilioConfig) -> None:
    for number in range(5):
        make_call(config, f"CA{number}", started_at=NOW + timedelta(minutes=number))
    first = api.get("/calls?page_size=2").json()
    assert [call["call_sid"] for call in first["results"]] == ["CA4", "CA3"]
    second = api.get(first["next"]).json()
    assert [call["call_sid"] for call in second["results"]] == ["CA2", "CA1"]


def test_a_list_costs_the_same_queries_however_long_it_is(
    api: APIClient, config: TwilioConfig, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api.get("/calls")
    for number in range(30):
        make_call(config, f"CA{number}")
    with django_assert_num_queries(2):  # the key, the calls
        api.get("/calls")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=completed", 1),
        ("status=in-progress", 0),
        ("call_sid=CA1", 1),
        ("call_sid=CA2", 0),
        ("config_id=00000000-0000-0000-0000-000000000000", 0),
    ],
)
def test_calls_are_filtered(api: APIClient, call: Call, query: str, found: int) -> None:
    assert len(api.get(f"/calls?{query}").json()["results"]) == found


@pytest.mark.parametrize(
    ("query", "field"),
    [("status=lost", "status"), ("config_id=7", "config_id"), ("call_sid=%00", "call_sid")],
)
def test_a_wrong_filter_is_named(api: APIClient, query: str, field: str) -> None:
    answer = api.get(f"/calls?{query}")
    assert answer.status_code == 400
    assert field in answer.json()["fields"]


def test_news_of_a_stream_is_taken(client: Client) -> None:
    assert (
        client.post("/twilio/stream-status/", {"StreamEvent": "stream-started"}).status_code == 204
    )


def test_the_parts_of_a_gap_keep_their_order_in_every_database(config: TwilioConfig) -> None:
    parts = {"endpointing": 300.0, "tools": 9.0, "model": 120.5, "lead_in": 20.0, "later": 1.0}
    turn = Turn.objects.create(
        call=make_call(config),
        stream_sid="MZ1",
        index=0,
        role="bot",
        started_at=NOW,
        ended_at=NOW,
        stages_ms=dict(reversed(parts.items())),
    )
    turn.refresh_from_db()
    assert list(turn.stages.items()) == list(parts.items())
