"""Calls in a real browser: the list, the player in step with the transcript, and a live call."""

from __future__ import annotations

import asyncio
import csv
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import config_create
from apps.calls.models import Call
from apps.simulator.caller import Speech
from apps.simulator.far_end import CallOptions
from apps.simulator.observer import Observer
from apps.simulator.record import CallRecord
from apps.simulator.script import Script, conversation
from apps.simulator.stream import SimulatedCall
from apps.simulator.wire import Dial
from apps.telephony import inbound
from apps.voice.clock import LoopClock
from tests.browser.conftest import DESKTOP, VisitorFor, until
from tests.conftest import BODY
from tests.gateway.conftest import speech
from tests.support.recorded_call import LENGTH_S, SAID, recorded_call, recordings_in

LIST = "/admin/calls/call/"


@pytest.fixture(autouse=True)
def _stored(settings: Settings, tmp_path: Path) -> None:
    recordings_in(settings, tmp_path / "stored")


@pytest.fixture
def call(config: TwilioConfig) -> Call:
    """A recorded call of ours."""
    return recorded_call(config)


def page_of(call: Call) -> str:
    return f"{LIST}{call.pk}/change/"


def now_at(page: Page) -> float:
    found: float = page.evaluate("document.querySelector('[data-audio]').currentTime")
    return found


# --- the list -------------------------------------------------------------------------------------


def test_calls_are_found_and_taken_away(
    visitor_for: VisitorFor, account: Account, config: TwilioConfig, call: Call
) -> None:
    failed = {"status": "failed", "end_reason": "provider_failure", "call_sid": "CAfailed"}
    recorded_call(config, sound=False, **failed)
    visitor = visitor_for("viewer", account)
    page = visitor.page
    visitor.open(LIST)
    rows = page.locator(".bc-calls tbody tr")
    expect(rows).to_have_count(2)
    visitor.clean()
    page.get_by_role("link", name="Failed", exact=True).click()
    expect(rows).to_have_count(1)
    page.get_by_label("Status").select_option("completed")
    page.get_by_label("When").select_option("custom")
    page.get_by_label("From", exact=True).fill("2026-01-01T00:00")
    page.get_by_role("button", name="Find").click()
    expect(rows).to_have_count(1)
    expect(page.get_by_label("From", exact=True)).to_have_value("2026-01-01T00:00")
    visitor.clean()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    with open(download.value.path(), encoding="utf-8-sig", newline="") as file:
        assert [row["call_sid"] for row in csv.DictReader(file)] == [call.call_sid]
    rows.first.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Transcript")).to_be_visible()


def test_a_list_without_calls_says_what_to_do(visitor_for: VisitorFor, account: Account) -> None:
    visitor = visitor_for("viewer", account)
    visitor.open(LIST)
    expect(visitor.page.get_by_role("heading", name="No calls yet")).to_be_visible()
    visitor.clean()


# --- a call's page --------------------------------------------------------------------------------


def test_the_transcript_and_the_sound_are_in_step(
    visitor_for: VisitorFor, account: Account, call: Call
) -> None:
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open(page_of(call))
    page.locator("[data-wave][data-drawn]").wait_for()
    # A click on a turn's time is heard from there, and shown as what is heard.
    page.locator("#turn-6 button").click()
    until(page, "!document.querySelector('[data-audio]').paused")
    assert SAID[5][1] - 0.2 <= now_at(page) <= SAID[5][1] + 2
    until(page, "document.querySelector('#turn-6').getAttribute('aria-current') === 'true'")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    # It plays on, and the next turn is shown in its time.
    until(page, "document.querySelector('#turn-7').getAttribute('aria-current') === 'true'")
    assert now_at(page) >= SAID[6][1] - 0.2
    page.get_by_role("button", name="Pause").click()
    until(page, "document.querySelector('[data-audio]').paused")
    visitor.clean()


def test_the_place_is_moved_by_keys_and_by_a_click(
    visitor_for: VisitorFor, account: Account, call: Call
) -> None:
    visitor = visitor_for("viewer", account)
    page = visitor.page
    visitor.open(page_of(call))
    slider = page.get_by_role("slider", name="Place in the recording")
    until(page, "document.querySelector('[data-audio]').readyState > 0")
    slider.focus()
    for key, place in (
        ("End", LENGTH_S),
        ("ArrowLeft", LENGTH_S - 5),
        ("Home", 0),
        ("ArrowRight", 5),
    ):
        page.keyboard.press(key)
        expect(slider).to_have_attribute("aria-valuenow", str(round(place)))
        assert now_at(page) == pytest.approx(place, abs=0.1)
    expect(slider).to_have_attribute("aria-valuetext", "0:05 of 0:34")
    box = slider.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert now_at(page) == pytest.approx(LENGTH_S / 2, abs=0.3)
    page.keyboard.press("Space")
    until(page, "!document.querySelector('[data-audio]').paused")
    visitor.clean()


def test_both_voices_are_drawn_where_they_spoke(
    visitor_for: VisitorFor, account: Account, call: Call
) -> None:
    visitor = visitor_for("viewer", account, device_scale_factor=2)
    page = visitor.page
    visitor.open(page_of(call))
    page.locator("[data-wave][data-drawn]").wait_for()
    height = """([seconds, half]) => {
        const canvas = document.querySelector('[data-canvas]'), pen = canvas.getContext('2d');
        const x = Math.round(seconds / 34 * canvas.width);
        const middle = Math.round(canvas.height * half);
        const { data } = pen.getImageData(x, 0, 1, canvas.height);
        let count = 0;
        for (let y = 0; y < canvas.height; y++) {
          if (Math.abs(y - middle) < canvas.height / 4 - 4 && data[4 * y + 3]) count++;
        }
        return count / canvas.height;
    }"""
    caller, bot = 0.25, 0.75
    assert page.evaluate(height, [1.0, bot]) > 0.05 > page.evaluate(height, [1.0, caller])
    assert page.evaluate(height, [5.4, caller]) > 0.05 > page.evaluate(height, [5.4, bot])
    canvas = "document.querySelector('[data-canvas]')"
    sharp = f"Math.abs({canvas}.width / {canvas}.clientWidth - 2) < 0.02"
    until(page, sharp)
    page.set_viewport_size({"width": 700, "height": 700})
    until(page, sharp)


def test_a_recording_that_cannot_be_loaded_is_told_as_such(
    visitor_for: VisitorFor, account: Account, call: Call
) -> None:
    visitor = visitor_for("viewer", account)
    page = visitor.page
    page.route("**/recording/", lambda route: route.fulfill(status=503))
    visitor.open(page_of(call))
    told = page.get_by_role("status").filter(has_text="The recording cannot be loaded now")
    expect(told).to_be_visible()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_disabled()
    page.locator("#turn-6 button").click()
    # Nothing is thrown by that: what came after it has been refused, too.
    page.evaluate("document.querySelector('[data-audio]').play().catch(() => {})")
    visitor.clean(forgive="503")


def test_a_recording_that_breaks_off_is_told_as_such(
    visitor_for: VisitorFor, account: Account, call: Call
) -> None:
    visitor = visitor_for("viewer", account)
    page = visitor.page
    visitor.open(page_of(call))
    until(page, "document.querySelector('[data-audio]').readyState > 0")
    # As where the storage goes away in between.
    page.route("**/recording/", lambda route: route.abort())
    page.evaluate("document.querySelector('[data-audio]').load()")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_disabled()
    visitor.clean(forgive="ERR_FAILED")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_calls_page_is_sound_whatever_it_has(
    visitor_for: VisitorFor, account: Account, config: TwilioConfig, call: Call, scheme: str
) -> None:
    silent = recorded_call(config, sound=False, call_sid="CAsilent", status="failed")
    visitor = visitor_for("operator", account, color_scheme=scheme)
    for found in (call, silent):
        visitor.open(page_of(found))
        visitor.page.get_by_text("As a table").click()
        visitor.clean()


def test_a_recording_is_erased_after_a_question(
    visitor_for: VisitorFor, account: Account, call: Call
) -> None:
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open(page_of(call))
    page.get_by_role("button", name="Erase").click()
    expect(page.get_by_role("dialog")).to_contain_text("This cannot be undone.")
    visitor.accessible()
    page.get_by_role("dialog").get_by_role("button", name="Erase").click()
    expect(page.get_by_text("The recording has been erased.")).to_be_visible()
    visitor.clean()


# --- a call that is on ----------------------------------------------------------------------------


class _Ear(Observer):
    def __init__(self, heard: threading.Event) -> None:
        self._heard = heard

    def bot_started(self, at_s: float) -> None:
        self._heard.set()


class Caller:
    """A phone in a thread of its own, that calls a bot and talks until somebody hangs up."""

    def __init__(self, origin: str, bot: TwilioConfig) -> None:
        parameters = {"account": str(bot.account_id), "bot": str(bot.id), "token": bot.stream_token}
        stream = inbound.Stream("MZ" + "1" * 32, "CA" + "1" * 32, "AC" + "1" * 32, parameters)
        self._dial = Dial(origin.replace("http", "ws", 1) + "/media/twilio", stream)
        self.record: CallRecord | None = None
        self.heard = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._call()), daemon=True)
        self._thread.start()

    async def _call(self) -> None:
        phone = SimulatedCall(
            self._dial,
            Script(conversation([Speech.of(speech())] * 8)),
            clock=LoopClock(asyncio.get_running_loop()),
            options=CallOptions(max_s=60),
            observer=_Ear(self.heard),
        )
        self.record = await phone.run()

    def join(self) -> None:
        self._thread.join(60)


@pytest.fixture
def caller(site: str, account: Account, settings: Settings, tmp_path: Path) -> Iterator[Caller]:
    """Somebody is talking to a bot of ours."""
    settings.RECORDINGS_SPOOL = str(tmp_path / "spool")
    config: dict[str, Any] = {
        **BODY["config"],
        "greeting": {"mode": "text", "text": "Welcome to the hotel, how can I help you?"},
    }
    bot = config_create(
        account=account, draft=draft_read({**BODY, "config": config}), actor=Actor()
    )
    found = Caller(site, bot)
    assert found.heard.wait(30)
    for _ in range(200):  # the journal is behind by its batch
        if Call.objects.exists():
            break
        threading.Event().wait(0.05)
    yield found
    found.join()


def test_a_live_call_is_followed_heard_and_hung_up(
    visitor_for: VisitorFor, account: Account, caller: Caller
) -> None:
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open(LIST)
    page.get_by_role("row").filter(has_text="Live").get_by_role("link").first.click()
    turns = page.locator(".bc-turn")
    expect(turns.nth(2)).to_contain_text("Bot", timeout=30_000)  # greeting, question, answer
    expect(page.locator(".bc-fall").first).to_be_visible()
    page.get_by_role("button", name="Listen in").click()
    expect(page.get_by_role("button", name="Stop listening")).to_be_visible()
    until(page, "[...document.querySelectorAll('meter')].some((meter) => meter.value > 0.05)")
    for form in ("Transfer", "Say something"):
        page.locator("summary", has_text=form).click()
    visitor.clean()
    page.get_by_role("button", name="Hang up").click()
    page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
    told = re.compile(r"The call is (being hung up|over)\.")
    expect(page.get_by_role("listitem").filter(has_text=told)).to_be_visible()
    expect(page.get_by_text("Hung up by us")).to_be_visible()
    caller.join()
    assert caller.record is not None and caller.record.ended_by == "server"
    expect(page.get_by_role("button", name="Hang up")).to_have_count(0)
    visitor.clean()


@pytest.mark.parametrize("size", [DESKTOP], ids=["desktop"])
def test_a_viewer_sees_a_live_call_and_is_offered_no_sound(
    visitor_for: VisitorFor, account: Account, caller: Caller
) -> None:
    visitor = visitor_for("viewer", account)
    page = visitor.page
    visitor.open(LIST)
    page.get_by_role("row").filter(has_text="Live").get_by_role("link").first.click()
    expect(page.locator(".bc-turn").first).to_contain_text("Welcome", timeout=30_000)
    expect(page.get_by_role("button", name="Listen in")).to_have_count(0)
    visitor.clean()
