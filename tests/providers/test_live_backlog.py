"""Recognisers that are sent seconds of audio at once, in virtual time: vendors take them slowly."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from apps.providers.base import ServiceSettings
from apps.providers.gladia import GladiaWire
from apps.providers.live_ears import LiveEars
from apps.voice.fallback import Link
from apps.voice.fallback_ears import EARS_PATIENCE_S, EarsChain
from apps.voice.ports import Final, Partial, ProviderError, TranscriptEvent, TranscriptionFailed
from tests.support.virtual_time import in_virtual_time
from tests.voice.far_end import FRAME, QUIET, SPEECH
from tests.voice.test_fallback_ears import Ears

# How fast a vendor takes audio, measured in its seconds; and how late it says what it has heard.
SPEED = 1.25
LATENCY_S = 0.35
WORDS = "one two three"
SERVICE = ServiceSettings("gladia", secrets={"api_key": "k" * 20})


class PacedSocket:
    """Gladia's WebSocket, as far as it is asked here. words: what is said in any sound."""

    close_code, close_reason = 1000, ""

    def __init__(self, words: str) -> None:
        self._words = words
        self._loop = asyncio.get_running_loop()
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._taken_at = self._loop.time()
        self._heard_s = self._voice_s = self._silent_s = 0.0

    async def send(self, message: bytes | str) -> None:
        if isinstance(message, str):
            return
        for at in range(0, len(message), FRAME):
            self._frame(message[at : at + FRAME])

    def _frame(self, frame: bytes) -> None:
        seconds = len(frame) / 8_000
        self._taken_at = max(self._taken_at, self._loop.time()) + seconds / SPEED
        self._heard_s += seconds
        if frame.count(QUIET[:1]) < len(frame):
            self._voice_s, self._silent_s = self._voice_s + seconds, 0.0
            if self._voice_s > 0.3:
                self._say(final=False)
        elif self._voice_s:
            self._silent_s += seconds
            if self._silent_s >= 0.1:
                self._say(final=True)
                self._voice_s = 0.0

    def _say(self, *, final: bool) -> None:
        if not self._words:
            return
        end = self._heard_s - self._silent_s
        place = {"text": self._words, "start": end - self._voice_s, "end": end}
        said = {"type": "transcript", "data": {"is_final": final, "utterance": place}}
        at = self._taken_at + LATENCY_S
        self._loop.call_at(at, self._messages.put_nowait, orjson.dumps(said))

    def __aiter__(self) -> PacedSocket:
        return self

    async def __anext__(self) -> bytes:
        message = await self._messages.get()
        if message is None:
            raise StopAsyncIteration
        return message

    async def close(self) -> None:
        self._messages.put_nowait(None)


class PacedWire(GladiaWire):
    """Gladia, without its network."""

    def __init__(self, words: str = WORDS) -> None:
        super().__init__(SERVICE)
        self._spoken = words

    async def connect(self, patience_s: float) -> Any:
        return PacedSocket(self._spoken)


async def poured(seconds: float, words: str, *more: Any) -> tuple[list[TranscriptEvent], float]:
    """Speak to a chain whose first breaks at the end, and go on with silence.

    Returns what it delivered, and how long after the end of the speech the last of it came.
    """
    wire = PacedWire(words)
    first = Ears(breaks_at=1, says_so=False)
    links: list[Link[Any]] = [Link("first", first), Link("gladia", LiveEars(SERVICE, wire), 1)]
    chain = EarsChain([*links, *(Link("more", one, 2) for one in more)])
    heard: list[TranscriptEvent] = []
    loop, last = asyncio.get_running_loop(), 0.0

    def deliver(event: TranscriptEvent) -> None:
        nonlocal last
        heard.append(event)
        last = loop.time()

    async def hear(frame: bytes, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            await asyncio.sleep(0.02)
            chain.hear(frame)

    await chain.open(deliver)
    await hear(QUIET, 0.6)
    await hear(SPEECH, 0.2)
    chain.begin(1)
    await hear(SPEECH, seconds - 0.2)
    await hear(QUIET, 0.3)
    chain.finish()
    ended = loop.time()
    first.deliver(TranscriptionFailed(1, ProviderError("first", "lost", reason="unavailable")))
    await hear(QUIET, 10)
    await chain.aclose()
    return [event for event in heard if not isinstance(event, Partial)], last - ended


@pytest.mark.parametrize("seconds", [0.6, 1.0, 3.0, 7.0])
def test_what_a_recogniser_is_told_again_at_once_is_not_taken_for_silence(seconds: float) -> None:
    @in_virtual_time
    async def run() -> None:
        heard, _ = await poured(seconds, WORDS)
        assert heard == [Final(1, WORDS)]

    run()


@in_virtual_time
async def test_where_there_are_no_words_that_is_known_when_all_of_it_was_heard() -> None:
    heard, after_s = await poured(1.0, "")
    assert heard == [Final(1, "")]
    assert after_s == pytest.approx(1.7 / SPEED + 0.8, abs=0.05)


@in_virtual_time
async def test_whoever_takes_over_has_its_patience_for_what_it_is_told_again_besides() -> None:
    third = Ears()
    heard, after_s = await poured(3.0, WORDS, third)
    assert heard == [Final(1, WORDS)]
    assert after_s > EARS_PATIENCE_S
    assert third.told == []


@in_virtual_time
async def test_a_caller_who_is_heard_live_waits_no_longer() -> None:
    ears = LiveEars(SERVICE, PacedWire(""))
    heard: list[TranscriptEvent] = []
    loop = asyncio.get_running_loop()
    came = asyncio.Event()

    def deliver(event: TranscriptEvent) -> None:
        heard.append(event)
        came.set()

    await ears.open(deliver)
    for number in range(250):
        await asyncio.sleep(0.02)
        ears.hear(QUIET if number < 200 else SPEECH)
        if number == 210:
            ears.begin(1)
    ears.finish()
    ended = loop.time()
    await came.wait()
    assert heard == [Final(1, "")]
    assert loop.time() - ended == pytest.approx(0.8, abs=0.05)
    await ears.aclose()
