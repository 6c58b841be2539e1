"""Reaching the gateway that holds a call: directly, and over Redis."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any

import pytest
from django.conf import settings as configured
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.bots.models import TwilioConfig
from apps.calls import control
from apps.calls.control import GatewayNotReached, OrderRefused
from apps.calls.models import Call
from apps.gateway.controlling import ControlDesk
from tests.calls.test_calls_api import make_call

GATEWAY = uuid.UUID(int=77)


@pytest.fixture
def call(config: TwilioConfig) -> Call:
    return make_call(config, status="in-progress", ended_at=None, gateway=GATEWAY)


class Holder:
    """A gateway of this process that answers what it is told to, or not at all."""

    def __init__(self, answer: Mapping[str, Any] | None) -> None:
        self.answer = answer
        self.orders: list[dict[str, Any]] = []

    def __call__(self, order: Mapping[str, Any], done: Future[Mapping[str, Any]]) -> None:
        self.orders.append(dict(order))
        if self.answer is not None:
            done.set_result(self.answer)
        self.done = done


@pytest.fixture
def holder() -> Iterator[Holder]:
    found = Holder({"ok": True, "attempt": 3})
    deaf = control.listen(GATEWAY, found)
    yield found
    deaf()


def test_an_order_is_small_and_says_which_call(call: Call, holder: Holder) -> None:
    control.say(call, "Hello.", interrupt=True)
    (order,) = holder.orders
    assert order.pop("at") == pytest.approx(time.time(), abs=5)
    assert order == {"kind": "say", "call": str(call.pk), "text": "Hello.", "interrupt": True}
    assert control.pause(call) == 3
    with pytest.raises(ValueError, match="bytes"):
        control.say(call, "x" * control.LARGEST)


@pytest.mark.parametrize(
    ("reason", "text"), [("ending", "is ending"), ("full", "Too many"), ("odd", "No conversation")]
)
def test_what_the_gateway_refuses_is_said(
    call: Call, holder: Holder, reason: str, text: str
) -> None:
    holder.answer = {"ok": False, "reason": reason}
    with pytest.raises(OrderRefused, match=text):
        control.say(call, "Hello.")


def test_a_gateway_that_is_silent_is_not_waited_for_and_does_it_no_more(
    call: Call, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "PATIENCE_S", 0.01)
    holder.answer = None
    with pytest.raises(GatewayNotReached, match="did not answer"):
        control.say(call, "Hello.")
    assert holder.done.cancelled()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"status": "completed"}, "is over"),
        ({"gateway": None}, "No conversation"),
    ],
)
def test_without_a_conversation_nobody_is_asked(
    call: Call, holder: Holder, changes: dict[str, Any], text: str
) -> None:
    for name, value in changes.items():
        setattr(call, name, value)
    with pytest.raises(OrderRefused, match=text):
        control.say(call, "Hello.")
    assert holder.orders == []


async def test_a_desk_ignores_what_it_does_not_know() -> None:
    desk = ControlDesk(GATEWAY, lambda _: None)
    for order in ({}, {"call": "x"}, {"call": str(GATEWAY), "kind": "say"}):
        assert desk.take(order) == {"ok": False, "reason": "unknown"}
    await desk.aclose()


@pytest.mark.skipif(not configured.REDIS_URL, reason="needs REDIS_URL")
def test_a_gateway_of_another_process_is_reached_over_redis(call: Call) -> None:
    gateway = call.gateway = uuid.uuid4()
    ready, over = threading.Event(), threading.Event()

    async def elsewhere() -> None:
        desk = ControlDesk(gateway, lambda _: None)
        desk._deaf()  # another process has no part of this one's memory
        ready.set()
        while not over.is_set():  # noqa: ASYNC110 - of another thread
            await asyncio.sleep(0.01)
        await desk.aclose()

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    ready.wait(5)
    try:
        with pytest.raises(OrderRefused, match="No conversation of this call is running"):
            control.say(call, "Hello.")
    finally:
        over.set()
        thread.join()
    with pytest.raises(GatewayNotReached, match="did not answer"):
        control.say(call, "Hello.")


@pytest.fixture
def away(settings: Settings) -> None:
    """Redis is set up, and is not there."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    layer = {"BACKEND": "channels_redis.core.RedisChannelLayer"}
    settings.CHANNEL_LAYERS = {"default": {**layer, "CONFIG": {"hosts": [settings.REDIS_URL]}}}


def test_where_redis_is_away_the_gateway_is_not_reached(call: Call, away: None) -> None:
    with pytest.raises(GatewayNotReached, match=r"was not reached \(ConnectionError\)"):
        control.say(call, "Hello.")


@pytest.mark.parametrize(("path", "body"), [("say", {"text": "Hello."}), ("hangup", {})])
def test_the_api_says_that_it_may_be_asked_again(
    api: APIClient, call: Call, away: None, path: str, body: dict[str, str]
) -> None:
    answer = api.post(f"/calls/{call.pk}/{path}", body)
    assert answer.status_code == 503
    assert "was not reached" in answer.json()["info"]
    assert answer["Retry-After"]
