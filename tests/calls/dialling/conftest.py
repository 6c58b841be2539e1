"""An account that can dial: a Twilio connection to the stand-in, a number, a bot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts import twilio as asking
from apps.accounts.models import Account, TwilioConnection
from apps.bots.models import TwilioConfig
from apps.calls.models import Call
from tests.support.twilio import TwilioStandIn

OURS, THEIRS = "+14155550100", "+14158675309"
NOW = datetime(2026, 1, 2, 18, 4, 5, tzinfo=UTC)
# How long our client waits for the stand-in where it never answers.
PATIENCE_S = 0.3

Post = Callable[..., Any]


class StandingClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def connection(
    account: Account, twilio: TwilioStandIn, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TwilioConnection]:
    """Ours, to the stand-in, which has one number of ours."""
    settings.TWILIO_API_URL = twilio.url
    twilio.add_number(OURS)
    with httpx.Client(timeout=10, trust_env=False) as client:
        monkeypatch.setattr(asking, "_client", client)
        yield TwilioConnection.objects.create(
            account=account, account_sid=twilio.sid, auth_token=twilio.token
        )


@pytest.fixture
def impatient(connection: TwilioConnection) -> None:
    """Our client waits for Twilio, but not for 15 s."""
    asking._http().timeout = httpx.Timeout(PATIENCE_S)


@pytest.fixture
def body(config: TwilioConfig) -> dict[str, Any]:
    """The smallest request that dials."""
    return {"config_id": str(config.id), "to": THEIRS, "from": OURS}


@pytest.fixture
def dial(api: APIClient, body: dict[str, Any], connection: TwilioConnection) -> Post:
    """Dials over REST: members go into the body, an idempotency_key into its header."""

    def post(*, idempotency_key: str = "", **members: Any) -> Any:
        headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
        return api.post("/calls", {**body, **members}, headers=headers)

    return post


@contextmanager
def before_the_answer(act: Callable[[httpx.Response], None]) -> Iterator[None]:
    """Do something when Twilio has a request and our side has not read its answer yet."""
    hooks = asking._http().event_hooks
    asking._http().event_hooks = {**hooks, "response": [act]}
    try:
        yield
    finally:
        asking._http().event_hooks = hooks


def the_call() -> Call:
    """Return the only one there is."""
    return Call.objects.get()
