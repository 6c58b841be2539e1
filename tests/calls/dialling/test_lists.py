"""GET /calls: what the list may be narrowed to, and what a dialled call shows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.bots.models import TwilioConfig
from apps.calls.models import Call
from tests.calls.test_calls_api import NOW, make_call

HOUR = timedelta(hours=1)


@pytest.fixture
def calls(config: TwilioConfig) -> None:
    """One that came in, and one that was dialled an hour later."""
    make_call(config, "CA1", from_number="+4930123456", to_number="+14155550100")
    make_call(
        config,
        "CA2",
        direction="outbound",
        from_number="+14155550100",
        to_number="+4930123456",
        metadata={"order": "4711", "floor": 3, "vip": True},
        started_at=NOW + HOUR,
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"direction": "inbound"}, ["CA1"]),
        ({"direction": "outbound"}, ["CA2"]),
        ({"from": "+4930123456"}, ["CA1"]),
        ({"to": "+4930123456"}, ["CA2"]),
        ({"to": "+49301234"}, []),
        ({"metadata.order": "4711"}, ["CA2"]),
        ({"metadata[floor]": "3", "metadata.vip": "true"}, ["CA2"]),
        ({"metadata.order": "4712"}, []),
        ({"started_after": NOW.isoformat()}, ["CA2"]),
        ({"started_before": (NOW + HOUR).isoformat()}, ["CA1"]),
        ({"started_after": "2026-01-02T03:04:04+00:00", "direction": "inbound"}, ["CA1"]),
    ],
)
def test_a_list_is_narrowed(
    api: APIClient, calls: None, query: dict[str, str], found: list[str]
) -> None:
    rows = api.get("/calls", query).json()["results"]
    assert [row["call_sid"] for row in rows] == found


def test_a_plus_that_nobody_escaped_is_one(api: APIClient, calls: None) -> None:
    rows = api.get("/calls?to=+4930123456&started_after=2026-01-02T03:04:05+00:00").json()
    assert [row["call_sid"] for row in rows["results"]] == ["CA2"]


@pytest.mark.parametrize(
    ("query", "field", "complaint"),
    [
        ({"direction": "sideways"}, "direction", "One of inbound, outbound."),
        ({"started_after": "yesterday"}, "started_after", "ISO 8601 with an offset"),
        ({"started_after": "2026-01-02T03:04:05"}, "started_after", "ISO 8601 with an offset"),
        ({"started_before": "2026-13-02T03:04:05Z"}, "started_before", "ISO 8601"),
        ({"to": "x" * 201}, "to", "Up to 200 characters"),
        ({f"metadata.{n}": "x" for n in range(6)}, "metadata", "No more than 5 keys."),
    ],
)
def test_a_filter_that_cannot_be_is_named(
    api: APIClient, query: dict[str, str], field: str, complaint: str
) -> None:
    answer = api.get("/calls", query)
    assert answer.status_code == 400
    assert complaint in answer.json()["fields"][field][0]


@pytest.mark.parametrize(
    ("values", "duration_s"),
    [
        ({}, 9.0),
        ({"answered_at": NOW + timedelta(seconds=4)}, 5.0),
        ({"direction": "outbound", "answered_at": NOW + timedelta(seconds=4)}, 5.0),
        ({"direction": "outbound", "stream_sid": "MZ1"}, 9.0),
        # Nobody took it: that it rang is no duration.
        ({"direction": "outbound"}, 0.0),
        ({"ended_at": None}, None),
    ],
)
def test_a_duration_counts_from_when_somebody_could_speak(
    api: APIClient, config: TwilioConfig, values: dict[str, Any], duration_s: float | None
) -> None:
    call = make_call(config, **{"ended_at": NOW + timedelta(seconds=9), **values})
    assert api.get(f"/calls/{call.id}").json()["duration_s"] == duration_s


def test_a_dialled_call_shows_what_was_asked_for(api: APIClient, config: TwilioConfig) -> None:
    at = timezone.now().replace(microsecond=0)
    values = {"status": Call.Status.SCHEDULED, "scheduled_at": at, "variables": {"guest": "Ann"}}
    call = make_call(config, "", direction="outbound", **values)
    shown = api.get(f"/calls/{call.id}").json()
    assert shown["scheduled_at"] == at.isoformat().replace("+00:00", "Z")
    assert shown["variables"] == {"guest": "Ann"}
    assert (shown["error"], shown["answered_by"], shown["billed_s"]) == (None, "", None)
    (listed,) = api.get("/calls").json()["results"]
    assert "variables" not in listed
