"""What every text-to-speech adapter does, against its vendor's stand-in.

Run with a vendor's key in the environment and ``-m live``, the last case asks the vendor itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from apps.voice import g711
from apps.voice.ports import ProviderError, TextToSpeech, WordAt, sound_of
from tests.vendors.kinds import Subject, VoiceStandIn, tasks_running
from tests.vendors.serving import KEY, SECRET, WRONG_KEY, Fault, FaultKind, serving
from tests.vendors.subjects import VOICES

TEXT = "We are open until half past nine."
NEXT = "Is there anything else?"
MEANT = {
    "markup": "Is 3 < 5 & 7 > 6?",
    "quotes": "She said \"it's fine\", didn't she?",
    "umlauts": "Grüße aus Köln, schöne Straße – à bientôt!",
    "emoji": "That went well 👍🏽 didn't it?",
    "digits": "It costs 4711.50 at 9:30, room 12-B.",
}


@dataclass
class Call:
    """A call's view of one subject: its vendor, and the voices that were built for it."""

    subject: Subject
    vendor: VoiceStandIn
    stack: AsyncExitStack

    def voice(self, **more: Any) -> Any:
        """Build the adapter; it is closed when the test ends."""
        voice = self.subject.build(self.subject.service(self.vendor.url, **more))
        self.stack.push_async_callback(voice.aclose)
        return voice

    def goes_wrong(self, kind: FaultKind, *, status: int = 500, times: int = 1_000) -> None:
        self.vendor.fault = Fault(kind, status, times)


@pytest.fixture
async def call(
    subject: Subject, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[Call]:
    for name, value in subject.environment.items():
        monkeypatch.setenv(name, value)
    vendor = subject.stand_in()
    async with serving(vendor), AsyncExitStack() as stack:
        yield Call(subject, vendor, stack)
    if vendor.refusals:
        request.node.add_report_section("call", "refusals", "\n".join(vendor.refusals))


def every(*variants: Any, **named: Any) -> pytest.MarkDecorator:
    """Parametrise over the subjects, and over variants if there are any."""
    subjects = [pytest.param(subject, id=subject.id) for subject in VOICES]
    if not variants and not named:
        return pytest.mark.parametrize("subject", subjects)
    pairs = {str(variant): variant for variant in variants} | named
    return pytest.mark.parametrize(
        ("subject", "variant"),
        [
            pytest.param(subject, variant, id=f"{subject.id}:{name}")
            for subject in VOICES
            for name, variant in pairs.items()
        ],
    )


async def heard(voice: TextToSpeech, text: str) -> bytes:
    async with asyncio.timeout(10):
        return b"".join([piece async for piece in sound_of(voice, text)])


async def failure(
    voice: TextToSpeech, text: str = TEXT, told: VoiceStandIn | None = None
) -> tuple[bytes, ProviderError]:
    """Speak what must fail; return what came before, and the error. told: counts what comes."""
    came = b""
    async with asyncio.timeout(10):
        try:
            async for piece in sound_of(voice, text):
                came += piece
                if told is not None:
                    told.heard = len(came)
        except ProviderError as error:
            return came, error
    raise AssertionError(f"It did not fail; {len(came)} bytes came.")


def assert_is_tone(vendor: VoiceStandIn, sound: bytes, text: str) -> None:
    """The sound is the vendor's tone: its length, its level, its pitch, and no click."""
    found, due = g711.decode_float(sound), vendor.tone(text, g711.SAMPLE_RATE)
    assert abs(len(found) - len(due)) <= 20 * g711.BYTES_PER_MS, f"{len(found)} / {len(due)}"
    level = 20 * np.log10(np.sqrt(np.mean(found**2)) / np.sqrt(np.mean(due**2)))
    assert abs(level) <= 1, f"{level:.1f} dB"
    spectrum = np.abs(np.fft.rfft(found * np.hanning(len(found))))
    loudest = float(np.argmax(spectrum)) * g711.SAMPLE_RATE / len(found)
    assert abs(loudest - 250) <= 5, f"{loudest:.0f} Hz"
    # A sine bends by no more than its peak times (2 pi f / rate) squared; a click bends at once.
    bend = np.abs(np.diff(found, 2))[16:-16]
    assert bend.max() <= 0.035, f"a click of {bend.max():.3f}"


# --- speaking ---------------------------------------------------------------------------------


@every()
async def test_it_speaks_the_text(call: Call) -> None:
    sound = await heard(call.voice(), TEXT)
    assert_is_tone(call.vendor, sound, TEXT)
    assert call.vendor.spoken == [TEXT]
    assert not call.vendor.refusals


@every()
async def test_it_asks_for_the_voice_and_the_model(call: Call) -> None:
    await heard(call.voice(), TEXT)
    assert call.vendor.asked == [call.subject.heard_as]


@every(**MEANT)
async def test_text_arrives_as_it_was_meant(call: Call, variant: str) -> None:
    sound = await heard(call.voice(), variant)
    assert call.vendor.spoken == [variant]
    assert_is_tone(call.vendor, sound, variant)


@every()
async def test_it_streams_as_pieces_come(call: Call) -> None:
    call.vendor.hold = asyncio.Event()
    async with aclosing(sound_of(call.voice(), TEXT)) as pieces, asyncio.timeout(5):
        first = await anext(pieces)
        call.vendor.hold.set()
        rest = b"".join([piece async for piece in pieces])
    assert 0 < len(first) <= 110 * g711.BYTES_PER_MS
    assert_is_tone(call.vendor, first + rest, TEXT)


@every()
async def test_sentences_share_a_connection(call: Call) -> None:
    voice = call.voice()
    for text in (TEXT, NEXT, TEXT):
        assert_is_tone(call.vendor, await heard(voice, text), text)
    assert call.vendor.spoken == [TEXT, NEXT, TEXT]
    assert len({seen.port for seen in call.vendor.seen}) == 1


@every()
async def test_words_come_with_their_times(call: Call) -> None:
    if not call.subject.times_words:
        pytest.skip("This vendor does not time words.")
    voice = call.voice()
    for text in (TEXT, NEXT):  # the second counts from its own beginning
        words = [piece async for piece in voice.speak(text) if isinstance(piece, WordAt)]
        assert [word.word.strip(".?") for word in words] == text.rstrip(".?").split()
        ends = [word.end_ms for word in words]
        assert ends == sorted(ends)
        length = len(text) * call.vendor.MS_PER_CHARACTER
        assert 0 < ends[0] < length / 2
        assert length - 100 <= ends[-1] <= length + 20


# --- being interrupted ------------------------------------------------------------------------


@every("closed", "cancelled")
async def test_interrupted_it_stops_and_the_next_sentence_is_clean(
    call: Call, variant: str
) -> None:
    voice, vendor = call.voice(), call.vendor
    vendor.hold = asyncio.Event()
    if variant == "closed":
        async with aclosing(voice.speak(TEXT)) as pieces, asyncio.timeout(5):
            await anext(pieces)
    else:
        await _cancelled_in_mid_sentence(voice)
    if call.subject.stops_in_words:
        await vendor.until(lambda: vendor.cancels == 1)
    elif not call.subject.shares_socket:
        await vendor.until(lambda: vendor.live == 0)
    vendor.hold.set()
    assert_is_tone(vendor, await heard(voice, NEXT), NEXT)
    assert not vendor.refusals


async def _cancelled_in_mid_sentence(voice: TextToSpeech) -> None:
    begun = asyncio.Event()

    async def listen() -> None:
        async with aclosing(voice.speak(TEXT)) as pieces:
            async for _ in pieces:
                begun.set()

    task = asyncio.create_task(listen())
    async with asyncio.timeout(5):
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@every()
async def test_interrupted_again_and_again_it_still_speaks(call: Call) -> None:
    voice = call.voice()
    for _ in range(12):
        async with aclosing(voice.speak(TEXT)) as pieces, asyncio.timeout(5):
            await anext(pieces)
    assert_is_tone(call.vendor, await heard(voice, NEXT), NEXT)
    assert not call.vendor.refusals


# --- failures ---------------------------------------------------------------------------------


@every()
async def test_cut_off_it_fails_after_what_came_and_speaks_again(call: Call) -> None:
    call.goes_wrong("cut", times=1)
    voice = call.voice()
    call.vendor.heard = 0
    came, error = await failure(voice, told=call.vendor)
    assert len(came) >= 20 * g711.BYTES_PER_MS
    assert (error.reason, error.retryable) == ("unavailable", True)
    assert_is_tone(call.vendor, await heard(voice, NEXT), NEXT)


REASONS = {
    401: "auth",
    402: "quota",
    403: "auth",
    429: "quota",
    400: "bad_request",
    404: "bad_request",
    422: "bad_request",
    500: "unavailable",
    503: "unavailable",
}


@every(*REASONS)
async def test_a_refusal_says_what_is_wrong(call: Call, variant: int) -> None:
    call.goes_wrong("status", status=variant)
    came, error = await failure(call.voice())
    assert came == b""
    assert error.provider == call.subject.provider
    assert error.reason == REASONS[variant]
    assert error.retryable == (variant in (429, 500, 503))


@every()
async def test_a_wrong_key_is_told_as_such(call: Call) -> None:
    _, error = await failure(call.voice(key=WRONG_KEY))
    assert (error.reason, error.retryable) == ("auth", False)


@every(none="", newline=f"{KEY}\nX-Evil: 1", letters="schlüssel-ß")
async def test_a_key_that_cannot_be_sent_is_not_sent(call: Call, variant: str) -> None:
    _, error = await failure(call.voice(key=variant))
    assert error.reason == "auth"
    assert call.vendor.seen == []


@every()
async def test_a_mute_vendor_is_given_up(call: Call) -> None:
    call.goes_wrong("mute")
    came, error = await failure(call.voice(patience_s=0.2))
    assert came == b""
    assert (error.reason, error.retryable) == ("timeout", True)


@every()
async def test_a_vendor_that_falls_mute_is_given_up(call: Call) -> None:
    call.vendor.hold = asyncio.Event()
    came, error = await failure(call.voice(patience_s=0.3))
    assert came
    assert error.reason == "timeout"


@every("empty", "silence", "error_body", "garbage")
async def test_an_answer_without_sound_is_a_failure(call: Call, variant: FaultKind) -> None:
    call.goes_wrong(variant)
    came, error = await failure(call.voice())
    assert g711.level_db(came) <= -60, "What is no sound must not be played."
    assert error.reason in ("unavailable", "bad_request")


@every()
async def test_after_a_failure_it_speaks_again(call: Call) -> None:
    voice = call.voice()
    kinds: tuple[FaultKind, ...] = ("status", "empty", "error_body", "garbage")
    for kind in kinds:
        call.goes_wrong(kind, times=1)
        with contextlib.suppress(ProviderError):
            await heard(voice, TEXT)
        call.goes_wrong("none")
        assert_is_tone(call.vendor, await heard(voice, NEXT), NEXT)


# --- connections ------------------------------------------------------------------------------


@every()
async def test_warmth_saves_the_handshake(call: Call) -> None:
    voice = call.voice()
    await voice.warm()
    connected = set(call.vendor.connections)
    assert len(connected) == 1
    assert_is_tone(call.vendor, await heard(voice, TEXT), TEXT)
    assert set(call.vendor.connections) == connected


@every()
async def test_a_warm_up_that_fails_is_silent(call: Call) -> None:
    call.goes_wrong("status", status=503, times=1)
    voice = call.voice()
    await voice.warm()
    call.goes_wrong("none")
    assert_is_tone(call.vendor, await heard(voice, TEXT), TEXT)
    nobody = call.subject.build(call.subject.service("http://127.0.0.1:9"))
    await nobody.warm()
    await nobody.aclose()


@every()
async def test_a_connection_that_went_stale_is_replaced(call: Call) -> None:
    voice = call.voice()
    await heard(voice, TEXT)
    for _ in range(2):
        call.vendor.hang_up()
        assert_is_tone(call.vendor, await heard(voice, NEXT), NEXT)
    assert call.vendor.spoken == [TEXT, NEXT, NEXT]


@every()
async def test_nothing_is_left_behind(call: Call) -> None:
    await _whole_call(call)
    tasks = tasks_running() - len(call.vendor.connections)
    for _ in range(100):
        await _whole_call(call)
    await call.vendor.until(lambda: call.vendor.live == 0)
    assert len(call.vendor.connections) <= 1
    # gRPC's own tasks end some turns of the loop after their call.
    await call.vendor.until(lambda: tasks_running() - len(call.vendor.connections) <= tasks + 1)


async def _whole_call(call: Call) -> None:
    voice = call.subject.build(call.subject.service(call.vendor.url))
    await heard(voice, "Yes.")
    async with aclosing(voice.speak("No.")) as pieces:
        await anext(pieces)
    await voice.aclose()


@every()
async def test_it_can_be_closed_at_any_moment(call: Call) -> None:
    unused = call.voice()
    await unused.aclose()
    await unused.aclose()
    call.vendor.hold = asyncio.Event()
    voice = call.voice()
    async with aclosing(voice.speak(TEXT)) as pieces, asyncio.timeout(5):
        await anext(pieces)
        await voice.aclose()
    await voice.aclose()
    call.vendor.hold.set()
    await call.vendor.until(lambda: call.vendor.live == 0)


# --- secrets ----------------------------------------------------------------------------------


@every("none", "cut", "status", "error_body", "garbage", "wrong_key")
async def test_neither_key_nor_text_is_told(
    call: Call, variant: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = WRONG_KEY if variant == "wrong_key" else KEY
    if variant != "wrong_key":
        call.goes_wrong(variant, status=401)  # type: ignore[arg-type]
    said = ""
    with caplog.at_level(logging.DEBUG):
        voice = call.voice(key=key)
        try:
            await heard(voice, TEXT)
        except ProviderError as error:
            said = f"{error} {error!r} {error.__cause__!r} {error.message}"
        await voice.aclose()
    told = [r.getMessage() for r in caplog.records if not _is_the_vendors(r)]
    for line in (*told, said):
        assert not SECRET.search(line)
        assert "half past nine" not in line


def _is_the_vendors(record: logging.LogRecord) -> bool:
    """Whether the stand-in's own server wrote it: it runs in the same process."""
    return record.name.startswith(("uvicorn", "websockets.server"))


# --- the vendor itself ------------------------------------------------------------------------
