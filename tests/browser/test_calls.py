"""Calls in a real browser: the list, the player in step with the transcript, and a live call."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from apps.bots.models import TwilioConfig
from apps.calls.models import Call
from tests.browser.conftest import VisitorFor
from tests.support.recorded_call import recorded_call, recordings_in


@pytest.fixture
def call(config: TwilioConfig, settings: Settings, tmp_path: Path) -> Call:
    """A recorded call of ours."""
    recordings_in(settings, tmp_path / "stored")
    return recorded_call(config)


def page_of(call: Call) -> str:
    return f"/admin/calls/call/{call.pk}/change/"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_look(visitor_for: VisitorFor, call: Call, config: TwilioConfig, scheme: str, size: tuple[int, int]) -> None:
    live = recorded_call(config, sound=False, call_sid="CA2", status="in-progress", ended_at=None, cost_usd=None, end_reason="")
    for n in range(12):
        st = ["completed", "failed", "busy", "no-answer"][n % 4]
        recorded_call(config, sound=False, call_sid=f"CA3{n}", status=st, end_reason={"completed":"caller_hung_up","failed":"provider_failure"}.get(st, ""))
    visitor = visitor_for("operator", config.account, color_scheme=scheme)
    for name, path in (("list", "/admin/calls/call/"), ("filters", "/admin/calls/call/?status=completed&when=custom"), ("call", page_of(call)), ("live", page_of(live)), ("unrecorded", f"/admin/calls/call/{Call.objects.filter(call_sid='CA30').get().pk}/change/")):
        visitor.open(path)
        visitor.page.wait_for_timeout(500)
        visitor.page.screenshot(path=f"/tmp/shots-calls/{name}-{size[0]}-{scheme}.png", full_page=True)
        visitor.clean()
