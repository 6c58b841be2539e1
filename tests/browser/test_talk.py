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
from django.conf import settings
from django.db import connection
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.calls.hangup import call_hang_up
from apps.calls.models import Call, Turn
from apps.providers import registry
from apps.providers.local_ears import recognise
from apps.providers.workers import EARS
from apps.voice import g711
from tests.browser.conftest import CHROMIUM, DESKTOP, FLAGS, PHONE, Visitor, VisitorFor, until
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
    answer = Turn.objects.filter(call=call).order_by("id")[2]
    waited_s = spurts(played)[1][0] - spurts(sent)[0][1]
    # What the platform says of the gap is what was heard of it, to the length of a syllable's end.
    assert answer.latency_ms == pytest.approx(waited_s * 1_000, abs=150)


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


# --- with scripted providers: what the page does ------------------------------------------------


@pytest.fixture
def scripted(bot_with: BotWith) -> TwilioConfig:
    return bot_with(
        stt={"lines": ["A room for two, please."]},
        llm={"replies": ["Of course."]},
        greeting={"mode": "text", "text": "Welcome, {{guest}}."},
        variables={"guest": {"default": "stranger"}},
    )


@pytest.mark.local_models
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_somebody_without_a_microphone_types_presses_keys_and_reads(
    visitor_for: VisitorFor, account: Account, scripted: TwilioConfig, models: None
) -> None:
    visitor = visitor_for("operator", account)
    visitor.open(talk_to(scripted))
    page = visitor.page
    assert page.get_by_role("button", name="Say").is_disabled()
    page.get_by_label("guest").fill("Ada")
    page.get_by_role("button", name="Without a microphone").click()
    turns = page.locator("li.bc-turn .bc-turn-text")
    turns.first.wait_for()
    assert turns.first.inner_text() == "Welcome, Ada."
    page.get_by_text("Keypad").click()
    page.get_by_role("button", name="5", exact=True).click()
    page.get_by_text("A key was pressed.").wait_for()
    page.get_by_label("Type what the caller says").fill("I would like a room for two.")
    page.keyboard.press("Enter")
    turns.nth(2).wait_for(timeout=30_000)
    assert turns.all_inner_texts()[1:] == ["A room for two, please.", "Of course."]
    page.get_by_role("button", name="Hang up").click()
    sent, _ = recording(page)
    # The bot heard the words themselves, and silence before and after them.
    assert whole(run(spoken("I would like a room for two."))) in whole(g711.encode_float(sent))
    page.get_by_role("link", name="Look at the call").click()
    page.wait_for_url("**/admin/calls/call/*/change/")


def test_the_bot_hangs_up_and_the_page_says_so(
    visitor_for: VisitorFor, account: Account, bot_with: BotWith
) -> None:
    bot = bot_with(greeting={"mode": "text", "text": "Bye."}, turns={"idle_secs": 5})
    visitor = visitor_for("operator", account)
    visitor.open(talk_to(bot))
    page = visitor.page
    page.get_by_role("button", name="Without a microphone").click()
    page.locator("li.bc-turn").first.wait_for()
    call = Call.objects.get()
    call_hang_up(account=account, call_id=call.pk, actor=Actor())
    page.get_by_text("The bot has ended the call.").wait_for()
    assert page.get_by_role("button", name="Call", exact=True).is_visible()
    visitor.clean()


def test_a_page_that_is_not_ready_takes_no_click(
    visitor_for: VisitorFor, account: Account, scripted: TwilioConfig
) -> None:
    visitor = visitor_for("operator", account)
    held: list[Route] = []
    visitor.page.route("**/js/talk.js", lambda route: held.append(route))
    with visitor.page.expect_request("**/js/talk.js"):
        visitor.page.goto(visitor.origin + talk_to(scripted), wait_until="commit")
    button = visitor.page.get_by_role("button", name="Call", exact=True)
    expect(button).to_be_disabled()
    held[0].continue_()
    expect(button).to_be_enabled()
    visitor.clean()


def test_a_call_that_does_not_fit_is_refused_in_words(
    visitor_for: VisitorFor, account: Account, scripted: TwilioConfig
) -> None:
    account.max_live_calls = 0
    account.save()
    visitor = visitor_for("operator", account)
    visitor.open(talk_to(scripted))
    visitor.page.get_by_role("button", name="Call", exact=True).click()
    visitor.page.get_by_role("alert").filter(has_text="a call must end first").wait_for()
    assert visitor.page.get_by_role("status").filter(has_text="No call").is_visible()
    assert visitor.page.get_by_role("button", name="Call", exact=True).is_visible()
    visitor.clean(forgive="409")


def test_no_permission_and_no_microphone_are_said_in_words(
    browser: Browser, visitor_for: VisitorFor, account: Account, scripted: TwilioConfig
) -> None:
    visitor = visitor_for("operator", account)
    # As Chromium would have it without the flag that allows it.
    visitor.page.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () => {"
        " throw new DOMException('no', window.why ?? 'NotAllowedError'); };"
    )
    visitor.open(talk_to(scripted))
    page = visitor.page
    page.get_by_role("button", name="Call", exact=True).click()
    page.get_by_role("alert").filter(has_text="Allow it beside the address").wait_for()
    page.evaluate("window.why = 'NotFoundError'")
    page.get_by_role("button", name="Call", exact=True).click()
    page.get_by_role("alert").filter(has_text="No microphone was found").wait_for()
    assert not Call.objects.exists()
    visitor.clean()


def test_a_page_over_http_from_elsewhere_says_that_it_needs_https(
    visitor_for: VisitorFor, account: Account, scripted: TwilioConfig
) -> None:
    visitor = visitor_for("operator", account)
    visitor.page.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
    visitor.open(talk_to(scripted))
    visitor.page.get_by_role("button", name="Call", exact=True).click()
    visitor.page.get_by_role("alert").filter(has_text="https address").wait_for()
    visitor.clean()


def test_the_pages_mu_law_is_the_servers(visitor_for: VisitorFor, account: Account) -> None:
    visitor = visitor_for("operator", account)
    visitor.open("/admin/")
    expand, codes = visitor.page.evaluate(
        """async () => {
             const { EXPAND, compress } = await import("/static/dashboard/js/mulaw.js");
             const codes = [];
             for (let pcm = -32768; pcm < 32768; pcm += 7) codes.push(compress(pcm / 32768));
             return [[...EXPAND], codes];
        }"""
    )
    assert np.array_equal(np.float32(expand), g711.EXPAND_FLOAT)
    pcm = np.arange(-32_768, 32_768, 7, dtype="<i2")
    assert bytes(codes) == g711.encode(pcm.tobytes())


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_the_microphones_band_is_cut_before_it_folds_back(
    visitor_for: VisitorFor, account: Account, rate: int
) -> None:
    """A tone that a phone carries passes; one above half its rate would be heard as another."""
    visitor = visitor_for("operator", account)
    visitor.open("/admin/")
    levels = visitor.page.evaluate(
        """async (rate) => {
             const { Resampler } = await import("/static/dashboard/js/resampler.js");
             const level = (hz, from, to) => {
               const turn = (2 * Math.PI * hz) / from;
               const tone = Float32Array.from({ length: from }, (_, n) => Math.sin(turn * n));
               const resampler = new Resampler(from, to);
               const out = [];
               for (let at = 0; at < from; at += 128) {
                 out.push(...resampler.push(tone.subarray(at, at + 128)));
               }
               const middle = out.slice(to / 4, (3 * to) / 4);
               const rms = Math.sqrt(middle.reduce((sum, x) => sum + x * x, 0) / middle.length);
               return 20 * Math.log10(rms * Math.SQRT2 + 1e-9);
             };
             return [300, 1000, 3000].map((hz) => level(hz, rate, 8000))
               .concat([4400, 5000, 7000, 12000].map((hz) => level(hz, rate, 8000)))
               .concat([level(1000, 8000, rate)]);
        }""",
        rate,
    )
    passed, folded, played = levels[:3], levels[3:7], levels[7]
    assert all(abs(db) < 0.5 for db in [*passed, played]), levels
    assert all(db < -50 for db in folded), levels


def test_a_typed_sentence_is_sent_whole_however_long_it_is(
    visitor_for: VisitorFor, account: Account
) -> None:
    visitor = visitor_for("operator", account)
    visitor.open("/admin/")
    # Three hundred characters take some twenty seconds to say, and two may wait in line.
    first, second = (bytes(range(start, start + 100)) * 1_601 for start in (10, 130))
    sent = bytes(visitor.page.evaluate(_TYPE, [list(first), list(second)]))
    said = sent[sent.index(first[:500]) :]
    assert said.startswith(first + second)
    assert set(said[len(first + second) :]) <= set(g711.SILENCE)


# Has the page's audio thread say what was typed, faster than in real time; returns what it sent.
_TYPE = """async (typed) => {
  const context = new OfflineAudioContext(1, 8000 * 60, 8000);
  await context.audioWorklet.addModule("/static/dashboard/js/phone-worklet.js");
  const node = new AudioWorkletNode(context, "phone", { outputChannelCount: [1] });
  node.connect(context.destination);
  const sent = [];
  const taken = new Promise((resolve) => {
    node.port.onmessage = ({ data }) => {
      if (data.mark) resolve();
      if (data.sent) sent.push(...data.sent);
    };
  });
  for (const bytes of typed) node.port.postMessage({ typed: Uint8Array.from(bytes) });
  node.port.postMessage({ mark: "taken" });
  await taken;
  await context.startRendering();
  while (sent.length < 8000 * 59) await new Promise((next) => setTimeout(next, 10));
  return sent;
}"""


@pytest.mark.local_models
def test_a_call_is_listened_to_with_each_voice_on_its_side(
    visitor_for: VisitorFor, account: Account, bot_with: BotWith, models: None
) -> None:
    greeting = {"mode": "text", "text": "This greeting is long enough to be listened to. " * 8}
    bot = bot_with(greeting=greeting, turns={"interruptible": False})
    visitor = visitor_for("operator", account)
    visitor.open(talk_to(bot))
    page = visitor.page
    page.get_by_role("button", name="Without a microphone").click()
    page.locator(".bc-turn-now.bc-turn-bot .bc-heard").get_by_text("This greeting").wait_for()
    page.get_by_label("Type what the caller says").fill("I say something while it speaks. " * 2)
    page.keyboard.press("Enter")
    other = visitor_for("operator", account)
    other.open("/admin/")
    left, right, events = other.page.evaluate(_LISTEN, str(Call.objects.get().pk))
    assert left > -40, "the caller is heard on the left"
    assert right > -40, "the bot is heard on the right"
    assert {"listening", "call", "watching"} <= set(events)
    page.get_by_role("button", name="Hang up").click()
    other.clean()


# Listens for a few seconds; returns how loud it was at most on each side, in dB, and the events.
_LISTEN = """async (call) => {
  const { CallWatch } = await import("/static/dashboard/js/call-watch.js");
  const { CallAudio } = await import("/static/dashboard/js/call-audio.js");
  const watch = new CallWatch(call, { audio: true });
  const kinds = [];
  watch.addEventListener("event", ({ detail }) => kinds.push(detail.kind));
  const audio = new CallAudio(watch);
  await audio.playing;
  watch.open();
  const splitter = new ChannelSplitterNode(audio.context);
  audio.node.connect(splitter);
  const ears = [0, 1].map((side) => {
    const ear = new AnalyserNode(audio.context, { fftSize: 2048 });
    splitter.connect(ear, side);
    return ear;
  });
  const loudest = [-100, -100];
  const samples = new Float32Array(2048);
  const until = performance.now() + 20000;
  while (performance.now() < until && Math.min(...loudest) < -40) {
    await new Promise((next) => setTimeout(next, 40));
    ears.forEach((ear, side) => {
      ear.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
      loudest[side] = Math.max(loudest[side], 10 * Math.log10(power + 1e-10));
    });
  }
  watch.close();
  await audio.close();
  return [...loudest, kinds];
}"""


def test_a_broken_watch_that_is_opened_anew_is_one_watch(
    visitor_for: VisitorFor, account: Account
) -> None:
    visitor = visitor_for("operator", account)
    visitor.open("/admin/")
    sockets, heard, left_open = visitor.page.evaluate(_BREAK_AND_LISTEN)
    # The one that broke, the one that was asked to listen, and none by the timer of the first.
    assert sockets == ["closed", "open", "none"]
    assert heard == ["second"]
    assert left_open == 0


# A watch breaks, is asked for sound before it is made again, and the time to make it again comes.
_BREAK_AND_LISTEN = """async () => {
  const { CallWatch } = await import("/static/dashboard/js/call-watch.js");
  const sockets = [], timers = [], heard = [];
  const { WebSocket, setTimeout } = window;
  window.WebSocket = class {
    constructor() { this.is = "open"; sockets.push(this); }
    close() { this.is = "closed"; }
  };
  window.setTimeout = (work) => timers.push(work);
  window.clearTimeout = (number) => { if (number) timers[number - 1] = () => {}; };
  const watch = new CallWatch("a-call");
  watch.addEventListener("event", ({ detail }) => heard.push(detail.text));
  watch.open();
  sockets[0].onopen();
  sockets[0].is = "closed";
  sockets[0].onclose({ code: 1006 });
  watch.listen(true);
  timers.forEach((work) => work());
  sockets[0].onmessage?.({ data: '{"kind": "x", "text": "first"}' });
  sockets[1].onmessage({ data: '{"kind": "x", "text": "second"}' });
  const open = [0, 1, 2].map((at) => sockets[at]?.is ?? "none");
  watch.close();
  Object.assign(window, { WebSocket, setTimeout });
  return [open, heard, sockets.filter(({ is }) => is === "open").length];
}"""


# --- hanging up before anybody has answered -------------------------------------------------------

# The microphone is given when the test says so.
SLOW_MICROPHONE = """
window.bcTracks = [];
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wish) => {
  await new Promise((give) => { window.bcGive = give; });
  const stream = await real(wish);
  window.bcTracks.push(...stream.getTracks());
  return stream;
};
"""
SOCKETS = """
window.bcSockets = [];
window.WebSocket = class extends WebSocket {
  constructor(url) { super(url); window.bcSockets.push(this); }
};
"""
# Once a socket is on its way, "Hang up" is clicked.
HANGS_UP = """
window.bcSockets.push = function (socket) {
  queueMicrotask(() => document.querySelector('[data-talk="hang-up"]').click());
  return Array.prototype.push.call(this, socket);
};
"""


def hang_up(page: Page) -> None:
    page.get_by_role("button", name="Hang up").click()
    page.get_by_text("You hung up.").wait_for()


def test_who_hangs_up_before_the_microphone_is_allowed_makes_no_call_and_is_not_heard(
    visitor_for: VisitorFor, account: Account, scripted: TwilioConfig
) -> None:
    visitor = visitor_for("operator", account)
    visitor.page.add_init_script(SLOW_MICROPHONE + SOCKETS)
    visitor.open(talk_to(scripted))
    page = visitor.page
    page.get_by_role("button", name="Call", exact=True).click()
    until(page, "!!window.bcGive")
    hang_up(page)
    page.evaluate("window.bcGive()")
    until(page, "window.bcTracks.length && window.bcTracks.every((t) => t.readyState === 'ended')")
    page.get_by_text("You hung up.").wait_for()
    assert page.get_by_role("button", name="Call", exact=True).is_visible()
    assert page.evaluate("window.bcSockets.length") == 0
    assert not Call.objects.exists()
    visitor.clean()


def test_who_hangs_up_while_the_call_is_prepared_leaves_none_behind(
    visitor_for: VisitorFor, account: Account, scripted: TwilioConfig
) -> None:
    visitor = visitor_for("operator", account)
    visitor.page.add_init_script(SOCKETS)
    visitor.open(talk_to(scripted))
    page = visitor.page
    held: list[Route] = []
    page.route("**/talk/begin/", lambda route: held.append(route))
    with page.expect_request("**/talk/begin/"):
        page.get_by_role("button", name="Without a microphone").click()
    hang_up(page)
    with page.expect_response("**/talk/abandon/"):
        held[0].continue_()
    assert page.evaluate("window.bcSockets.length") == 0
    assert Call.objects.get().status == "canceled"
    page.get_by_text("You hung up.").wait_for()
    assert not page.get_by_role("button", name="Save what was heard").is_visible()
    visitor.clean()


def test_who_hangs_up_while_the_line_is_opened_is_let_go(
    visitor_for: VisitorFor, account: Account, scripted: TwilioConfig
) -> None:
    visitor = visitor_for("operator", account)
    visitor.page.add_init_script(SOCKETS + HANGS_UP)
    visitor.open(talk_to(scripted))
    page = visitor.page
    with page.expect_response("**/talk/abandon/"):
        page.get_by_role("button", name="Without a microphone").click()
    until(page, "window.bcSockets[0].readyState === WebSocket.CLOSED")
    page.get_by_text("You hung up.").wait_for()
    assert Call.objects.get().status == "canceled"
    # The browser says of a socket that is given up what it says of one that broke.
    visitor.clean(forgive="WebSocket is closed before the connection is established")


# --- one call after the other ---------------------------------------------------------------------

# What a watch still says of a call that has ended.
LAST_WORDS = [
    {"kind": "phase", "phase": "ended"},
    {
        **{"kind": "turn", "stream": "MZ1", "index": 9, "role": "bot", "source": "model"},
        **{"said": "Words from before.", "heard": "Words from before.", "interrupted": False},
        **{"stages_ms": {}, "latency_ms": 4321.0},
    },
]


def say_late(page: Page, socket: int) -> None:
    page.evaluate(
        """([at, events]) => {
             for (const event of events) {
               const data = JSON.stringify(event);
               window.bcSockets[at].dispatchEvent(new MessageEvent("message", { data }));
             }
        }""",
        [socket, LAST_WORDS],
    )


def test_the_last_words_of_a_call_stay_out_of_the_next(
    visitor_for: VisitorFor, account: Account, scripted: TwilioConfig
) -> None:
    visitor = visitor_for("operator", account)
    visitor.page.add_init_script(SOCKETS)
    visitor.open(talk_to(scripted))
    page = visitor.page
    begin = page.get_by_role("button", name="Without a microphone")
    turns = page.locator("li.bc-turn .bc-turn-text")
    begin.click()
    turns.first.wait_for()
    hang_up(page)
    held: list[Route] = []
    page.route("**/talk/begin/", lambda route: held.append(route))
    with page.expect_request("**/talk/begin/"):
        begin.click()
    say_late(page, 1)
    # The call before ends as it is to; how the next one is doing is not for it to say.
    assert turns.last.inner_text() == "Words from before."
    assert page.locator('[data-talk="status"]').inner_text() == "Connecting…"
    assert page.locator('[data-talk="latency"]').inner_text() == "–"
    held[0].continue_()
    until(page, "window.bcSockets.length === 4")
    turns.first.wait_for()
    say_late(page, 1)
    assert turns.all_inner_texts() == ["Welcome, stranger."]
    hang_up(page)
    visitor.clean()


@pytest.mark.parametrize("how", ["without a server", "logged out"])
def test_why_a_call_could_not_begin_is_told_as_it_is(
    visitor_for: VisitorFor, account: Account, scripted: TwilioConfig, how: str
) -> None:
    visitor = visitor_for("operator", account)
    visitor.open(talk_to(scripted))
    page = visitor.page
    words = "could not be reached" if how == "without a server" else "logged out"
    if how == "without a server":
        page.route("**/talk/begin/", lambda route: route.abort())
    else:
        visitor.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
    page.get_by_role("button", name="Without a microphone").click()
    page.get_by_role("alert").filter(has_text=words).wait_for()
    visitor.clean(forgive="ERR_FAILED")
