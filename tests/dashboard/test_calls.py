"""A call's page in the admin site: what it cost, and how sure that is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.bots.models import TwilioConfig
from apps.calls.models import Call, Turn, call_id

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LIST = "/admin/calls/call/"


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create(username="operator", is_staff=True, is_superuser=True))
    return client


def make_call(config: TwilioConfig, **values: Any) -> Call:
    assert config.current is not None
    return Call.objects.create(
        id=call_id(account_id=config.account_id, call_sid="CA1"),
        account_id=config.account_id,
        config=config,
        version=config.current,
        call_sid="CA1",
        **{"started_at": NOW, "ended_at": NOW, **values},
    )


def cell(page: str) -> str:
    """Return what the list says of the only call's cost."""
    return column(page, "cost")


def column(page: str, name: str) -> str:
    """Return the text of the first cell of a list's column."""
    found = page.partition(f"field-{name} ")[2].partition(">")[2].partition("</td>")[0]
    return re.sub(r"<[^>]*>|\s+", " ", found).strip()


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"cost_usd": Decimal("0.01234"), "cost_is_complete": True}, "$0.0123"),
        ({"cost_usd": Decimal("0.01234")}, "at least $0.0123"),
        ({"cost_usd": Decimal("0.00000001"), "cost_is_complete": True}, "$0.0001"),
        ({"cost_usd": Decimal(0), "cost_is_complete": True}, "$0"),
        ({}, "unknown"),
        ({"ended_at": None}, "live"),
    ],
)
def test_the_list_says_what_a_call_cost_and_how_sure_that_is(
    operator: Client, config: TwilioConfig, values: dict[str, Any], shown: str
) -> None:
    make_call(config, **values)
    assert cell(operator.get(LIST).content.decode()) == shown


def test_the_page_says_what_each_slot_and_turn_cost(operator: Client, config: TwilioConfig) -> None:
    line = {"stream_sid": "MZ1", "provider": "openai", "model": "<gpt>", "is_complete": True}
    known = {"slot": "llm", "units": {"prompt_tokens": 420, "cached_tokens": 0}, "cost_usd": "0.5"}
    unknown = {"slot": "tts", "units": {"tts_characters": 16}, "cost_usd": None}
    costs = [{**line, **known}, {**line, **unknown, "is_complete": False}]
    call = make_call(config, cost_usd=Decimal("0.5"), costs=costs)
    turn = {"call": call, "stream_sid": "MZ1", "started_at": NOW, "ended_at": NOW}
    Turn.objects.create(index=0, role="bot", cost_usd=Decimal("0.25"), **turn)
    Turn.objects.create(index=1, role="caller", **turn)
    page = operator.get(f"{LIST}{call.pk}/change/").content.decode()
    assert "llm: openai &lt;gpt&gt;: $0.5000 (prompt_tokens 420)" in page
    assert "tts: openai &lt;gpt&gt;: unknown (tts_characters 16)" in page
    assert "at least $0.5000" in page
    assert "$0.2500" in page


def test_a_dialled_call_is_found_before_twilio_has_named_it(
    operator: Client, config: TwilioConfig
) -> None:
    call = make_call(config, direction="outbound", to_number="+14155550101", ended_at=None)
    Call.objects.update(call_sid="")
    page = operator.get(LIST, {"q": "5550101"}).content.decode()
    assert f"{LIST}{call.pk}/change/" in page
    assert "+14155550101" in page


def test_a_calls_length_is_from_when_somebody_could_speak(
    operator: Client, config: TwilioConfig
) -> None:
    answered, ended = NOW + timedelta(seconds=30), NOW + timedelta(seconds=95)
    make_call(config, direction="outbound", answered_at=answered, ended_at=ended)
    page = operator.get(LIST).content.decode()
    assert column(page, "length") == "1:05"


def test_what_the_platform_notes_for_itself_is_not_shown(
    operator: Client, config: TwilioConfig
) -> None:
    call = make_call(config, attempts=7)
    page = operator.get(f"{LIST}{call.pk}/change/").content.decode()
    assert "Call sid" in page
    for bookkeeping in ("Attempts", "Reap at", "Sequence", "Gateway", "Retry at"):
        assert bookkeeping not in page
