"""A call from Chromium's microphone to a bot that hears, thinks and speaks on this machine.

What the page played and sent is the recording that it offers, so that it is checked by listening.
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from django.db import connection
from playwright.sync_api import Browser, BrowserContext, Page

from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.calls.models import Call, Turn
from apps.providers import registry
from apps.providers.local_ears import recognise
from apps.providers.workers import EARS
from apps.voice import g711
from tests.browser.conftest import CHROMIUM, DESKTOP, FLAGS, Visitor, VisitorFor
from tests.gateway.conftest import BotWith, bot_with
from tests.providers.local_speech import plain, spoken

__all__ = ("bot_with",)  # a fixture

PROMPT = (
    "You are the front desk of Harbor Dental. We are open Monday to Friday from nine to five. "
    "A check-up costs sixty dollars. Parking is free behind the building."
)
GREETING = "Welcome to Harbor Dental. How can I help you today?"
RATE = g711.SAMPLE_RATE

Samples = npt.NDArray[np.float32]


def elsewhere(work: Callable[[], Any]) -> Any:
    """Do something in a thread without a loop: this one's is Playwright's."""
    with ThreadPoolExecutor(1) as thread:
        try:
            return thread.submit(work).result()
        finally:
            thread.submit(lambda: connection.close()).result()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run something asynchronous."""
    return elsewhere(lambda: asyncio.run(work))


@pytest.fixture(scope="module")
def models() -> None:
    run(registry.warm_up())


@pytest.fixture
def desk(bot_with: BotWith) -> TwilioConfig:
    local = {"provider": "local"}
    greeting = {"mode": "text", "text": GREETING}
    parts = {"llm": {**local, "prompt": PROMPT}, "stt": local, "tts": local}
    found: TwilioConfig = elsewhere(lambda: bot_with(**parts, greeting=greeting))
    return found


@pytest.fixture
def size() -> tuple[int, int]:
    return DESKTOP


Microphone = Callable[..., None]


@pytest.fixture
def spoken_into(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """Start a browser into whose microphone something is said, after some silence."""
    started: list[Browser] = []

    def start(*said: tuple[float, str]) -> Browser:
        audio = b""
        for quiet_s, text in said:
            audio += g711.SILENCE * int(quiet_s * RATE) + run(spoken(text))
        # Chromium plays the file again from its start: nobody waits for that.
        audio += g711.SILENCE * 90 * RATE
        path = tmp_path / "microphone.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(g711.decode(audio))
        flags = [*FLAGS, f"--use-file-for-fake-audio-capture={path}"]
        found = browser.browser_type.launch(executable_path=CHROMIUM, args=flags)
        started.append(found)
        return found

    yield start
    for found in started:
        found.close()


def visit(browser: Browser, visitor: Visitor) -> Visitor:
    """Have the same person visit by another browser."""
    context: BrowserContext = browser.new_context(
        viewport={"width": DESKTOP[0], "height": DESKTOP[1]},
        storage_state=visitor.context.storage_state(),
    )
    context.set_default_timeout(20_000)
    return Visitor(context, visitor.origin)


def talk_to(bot: TwilioConfig) -> str:
    return f"/admin/bots/twilioconfig/{bot.pk}/talk/"


def recording(page: Page) -> tuple[Samples, Samples]:
    """Save what was heard, as a person would; returns what was sent and what was played."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save what was heard").click()
    data = Path(download.value.path()).read_bytes()
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, RATE)
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    both = (pcm / 32_768).astype(np.float32).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def spurts(
    track: Samples, *, quiet_s: float = 0.4, floor: float = 0.003
) -> list[tuple[float, float]]:
    """Return from when to when something is heard, in s: sounds closer than quiet_s are one."""
    loud = np.flatnonzero(np.abs(track) > floor)
    if not len(loud):
        return []
    edges = np.flatnonzero(np.diff(loud) > quiet_s * RATE)
    starts = [loud[0], *loud[edges + 1]]
    ends = [*loud[edges], loud[-1]]
    return [(start / RATE, end / RATE) for start, end in zip(starts, ends, strict=True)]


def heard(track: Samples, span: tuple[float, float]) -> list[str]:
    """Transcribe a part of a track."""
    cut = track[int(span[0] * RATE) : int((span[1] + 0.3) * RATE)]
    return plain(run(EARS.run(recognise, g711.encode_float(cut))))


def whole(audio: bytes) -> bytes:
    """Mu-law has two codes for nothing."""
    return audio.replace(b"\x7f", b"\xff")


@pytest.mark.local_models
def test_a_call_from_the_page_is_understood_on_both_sides(
    visitor_for: VisitorFor,
    account: Account,
    desk: TwilioConfig,
    models: None,
    spoken_into: Callable[..., Browser],
) -> None:
    browser = spoken_into((7.0, "What are your opening hours?"))
    visitor = visit(browser, visitor_for("operator", account))
    visitor.open(talk_to(desk))
    page = visitor.page
    page.get_by_role("button", name="Call", exact=True).click()
    page.locator("li.bc-turn").nth(2).wait_for(timeout=60_000)
    texts = page.locator("li.bc-turn .bc-turn-text").all_inner_texts()
    visitor.accessible()
    page.get_by_role("button", name="Hang up").click()
    page.get_by_text("You hung up.").wait_for()
    sent, played = recording(page)
    assert texts[0] == GREETING
    assert "hours" in texts[1].lower()
    assert {"monday", "friday"} & set(plain(texts[2]))
    assert {"welcome", "help"} <= set(heard(played, spurts(played)[0]))
    assert "hours" in heard(sent, spurts(sent)[0])
    # Not a sample of what the bot said was lost, repeated or changed, and none came late.
    assert whole(run(spoken(GREETING))) in whole(g711.encode_float(played))
    assert page.locator('[data-talk="gaps"]').inner_text() == "0"
    visitor.clean()
    call = Call.objects.get()
    assert (call.medium, call.status) == ("browser", "completed")
    assert Turn.objects.filter(call=call).count() >= 3


@pytest.mark.local_models
def test_a_caller_who_speaks_over_the_bot_silences_it_and_sees_what_was_not_heard(
    visitor_for: VisitorFor,
    account: Account,
    desk: TwilioConfig,
    models: None,
    spoken_into: Callable[..., Browser],
) -> None:
    browser = spoken_into((1.2, "Excuse me, where can I park my car?"))
    visitor = visit(browser, visitor_for("operator", account))
    visitor.open(talk_to(desk))
    page = visitor.page
    page.get_by_role("button", name="Call", exact=True).click()
    page.locator("li.bc-turn").nth(2).wait_for(timeout=60_000)
    greeting = page.locator("li.bc-turn").first
    assert greeting.get_by_text("interrupted").is_visible()
    unheard = greeting.locator("del").inner_text()
    answer = page.locator("li.bc-turn-bot").nth(1).locator(".bc-turn-text").inner_text()
    page.get_by_role("button", name="Hang up").click()
    sent, played = recording(page)
    visitor.clean()
    assert GREETING.endswith(unheard)
    assert unheard
    assert "parking" in answer.lower()
    # Its recorded place is where the page's audio thread played it, and took the caller's voice.
    onset, silent = spurts(sent)[0][0], spurts(played)[0][1]
    assert 0 < silent - onset < 0.6
    assert spurts(played)[1][0] > spurts(sent)[0][1]
