"""Rate limits: counted right, told in headers, and no harm where the cache is down."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import cache
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings
from redis import RedisError
from rest_framework.permissions import BasePermission
from rest_framework.test import APIClient

from apps.accounts.models import Account
from apps.bots import viewsets
from apps.core import limits, throttling
from apps.core.limits import Limit, Meter, limit_read, standing
from tests.conftest import BODY, ApiFor

URL = "/providers"
# A window of a minute begins here.
START = 1_800_000_000.0


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    found = Clock()
    monkeypatch.setattr(throttling, "meter", Meter(found))
    yield found


@pytest.fixture
def who() -> str:
    """Somebody new, for the cache outlives a test."""
    return uuid.uuid4().hex


@pytest.fixture
def five_a_minute(settings: Settings, clock: Clock) -> None:
    settings.RATE_LIMIT = "5/minute"


# --- counting -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "0", "0/minute"])
def test_no_limit_is_no_limit(text: str) -> None:
    assert limit_read(text) is None


def test_a_limit_is_so_many_in_a_unit() -> None:
    assert limit_read("600/minute") == Limit(600, 60)
    assert limit_read("1/day") == Limit(1, 86_400)


@pytest.mark.parametrize("text", ["600", "x/minute", "-1/minute", "600/min", "1.5/hour"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no limit"):
        limit_read(text)


def test_a_burst_at_the_seam_of_two_windows_is_not_doubled(who: str) -> None:
    clock = Clock()
    meter, limit = Meter(clock), Limit(10, 60)
    clock.now += 59

    def several(count: int) -> int:
        asked = (meter.take(limit, who) for _ in range(count))
        return sum(found is not None and found.allowed for found in asked)

    assert several(20) == 10
    clock.now += 2
    assert several(20) == 0
    clock.now += 30
    assert several(20) == 5


@given(
    quota=st.integers(1, 50),
    before=st.integers(0, 50),
    current=st.integers(0, 50),
    elapsed_s=st.floats(0, 59.99),
)
def test_who_waits_as_long_as_told_gets_in_and_nobody_waits_for_nothing(
    quota: int, before: int, current: int, elapsed_s: float
) -> None:
    limit = Limit(quota, 60)
    before, current = min(before, quota), min(current, quota)
    found = standing(limit, before=before, current=current, elapsed_s=elapsed_s)
    assert found.reset_s >= 1
    if found.allowed:
        assert 0 <= found.remaining < quota
        return

    def later(by_s: float) -> bool:
        windows, later_s = divmod(elapsed_s + by_s, 60)
        had = [(before, current), (current, 0), (0, 0)][int(windows)]
        return standing(limit, before=had[0], current=had[1], elapsed_s=later_s).allowed

    # A hair's breadth, for the arithmetic; the wait is whole seconds, rounded up.
    assert later(found.reset_s + 0.001)
    assert not later(found.reset_s - 1.001)


def test_of_many_at_once_no_more_than_the_quota_are_let_in(who: str) -> None:
    meter, limit = Meter(Clock()), Limit(50, 60)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: meter.take(limit, who), range(200)))
    assert sum(one is not None and one.allowed for one in found) == 50


# --- of a key -----------------------------------------------------------------------------------


def test_every_answer_says_what_is_left(api: APIClient, five_a_minute: None) -> None:
    answer = api.get(URL)
    assert answer["RateLimit-Policy"] == '"default";q=5;w=60'
    assert answer["RateLimit"] == '"default";r=4;t=60'
    assert api.get(f"/calls/{uuid.uuid4()}")["RateLimit"] == '"default";r=3;t=60'
    assert api.post("/twilio-config", {})["RateLimit"] == '"default";r=2;t=60'
    assert api.delete(URL)["RateLimit"] == '"default";r=1;t=60'


def test_beyond_it_is_a_429_until_the_time_told(
    api: APIClient, clock: Clock, five_a_minute: None
) -> None:
    assert [api.get(URL).status_code for _ in range(6)] == [200] * 5 + [429]
    answer = api.get(URL)
    assert answer.json().keys() == {"error", "info", "fields", "request_id"}
    assert answer.json()["error"] == "rate-limit-error"
    assert answer["RateLimit"] == f'"default";r=0;t={answer["Retry-After"]}'
    clock.now += int(answer["Retry-After"])
    assert api.get(URL).status_code == 200


def test_each_key_has_its_own(account: Account, api_for: ApiFor, five_a_minute: None) -> None:
    for client in (api_for(account), api_for(account)):
        assert [client.get(URL).status_code for _ in range(6)] == [200] * 5 + [429]


def test_what_a_permission_refuses_counts_too(
    api: APIClient, five_a_minute: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nobody(BasePermission):
        def has_permission(self, request: Any, view: Any) -> bool:
            return False

    with monkeypatch.context() as patch:
        patch.setattr(viewsets.ProvidersView, "permission_classes", [Nobody])
        assert api.get(URL)["RateLimit"] == '"default";r=4;t=60'
    assert api.get(URL)["RateLimit"] == '"default";r=3;t=60'


def test_beyond_it_not_even_an_answer_is_repeated(api: APIClient, five_a_minute: None) -> None:
    headers = {"idempotency-key": "order-1"}
    codes = [api.post("/twilio-config", BODY, headers=headers).status_code for _ in range(6)]
    assert codes == [201] * 5 + [429]


def test_without_a_key_or_a_limit_nothing_is_told(api: APIClient, settings: Settings) -> None:
    assert "RateLimit" not in APIClient().get(URL)
    settings.RATE_LIMIT = "0"
    assert "RateLimit" not in api.get(URL)


def test_a_cache_that_is_down_stops_nobody_and_is_said_once(
    api: APIClient,
    clock: Clock,
    five_a_minute: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def down(*_: Any, **__: Any) -> Any:
        raise RedisError("nobody there")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(cache, "add", down)
        for _ in range(20):
            clock.now += 1
            answer = api.get(URL)
            assert (answer.status_code, "RateLimit" in answer) == (200, False)
    assert [record.name for record in caplog.records] == ["apps.core.limits"]
    clock.now += limits.REST_S
    assert api.get(URL)["RateLimit"].startswith('"default";r=4')


# --- of an address ------------------------------------------------------------------------------


def _from(address: str, key: str = "bc_00000000_" + "x" * 40) -> Any:
    client = APIClient(headers={"authorization": f"Bearer {key}"})
    return client.get(URL, REMOTE_ADDR=address)


@pytest.fixture
def three_failures(settings: Settings, clock: Clock) -> None:
    settings.AUTH_FAILURE_LIMIT = "3/minute"


def test_a_guesser_is_refused_before_the_database_is_asked(
    db: None, clock: Clock, three_failures: None, django_assert_num_queries: Any
) -> None:
    assert [_from("192.0.2.1").status_code for _ in range(3)] == [401] * 3
    with django_assert_num_queries(0):
        answer = _from("192.0.2.1")
    assert (answer.status_code, answer.json()["error"]) == (429, "rate-limit-error")
    assert int(answer["Retry-After"]) >= 1
    assert _from("192.0.2.2").status_code == 401
    clock.now += 120
    assert _from("192.0.2.1").status_code == 401


def test_all_addresses_of_a_customers_network_are_one(db: None, three_failures: None) -> None:
    codes = [_from(f"2001:db8::{n}").status_code for n in range(4)]
    assert codes == [401, 401, 401, 429]
    assert _from("2001:db8:0:1::1").status_code == 401


def test_good_keys_and_no_keys_are_no_failures(api: APIClient, three_failures: None) -> None:
    for _ in range(5):
        assert api.get(URL, REMOTE_ADDR="192.0.2.3").status_code == 200
        assert APIClient().get(URL, REMOTE_ADDR="192.0.2.3").status_code == 401
