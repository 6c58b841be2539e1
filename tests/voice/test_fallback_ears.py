"""A recogniser that has successors, in virtual time: no word is lost between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from apps.voice.fallback import Link, Switch
from apps.voice.fallback_ears import EARS_PATIENCE_S, KEPT_BYTES, EarsChain
from apps.voice.ports import Final, ProviderError, TranscriptEvent, TranscriptionFailed
from tests.support.virtual_time import in_virtual_time
from tests.voice.far_end import SPEECH, Call

BROKEN = ProviderError("ears", "lost", reason="unavailable")


class Ears:
    """Says how many seconds of speech it heard in an utterance and shortly before it.

    opens_s: how long it takes to open; None: it is refused. breaks_at: the utterance in which it
    breaks, in the middle of it (``says_so``) or by saying nothing ever again.
    """

    def __init__(
        self, *, opens_s: float | None = 0.0, breaks_at: int = 0, says_so: bool = True
    ) -> None:
        self._opens_s = opens_s
        self._breaks_at = breaks_at
        self._says_so = says_so
        self._utterance = 0
        self._heard: list[bytes] = []
        self._before: list[bytes] = []
        self._open = False
        self.deliver: Callable[[TranscriptEvent], None] = lambda event: None
        self.told: list[str] = []
        self.closed = 0

    async def open(self, deliver: Callable[[TranscriptEvent], None]) -> None:
        if self._opens_s is None:
            raise BROKEN
        await asyncio.sleep(self._opens_s)
        self.deliver = deliver

    def hear(self, audio: bytes) -> None:
        (self._heard if self._open else self._before).append(audio)

    def begin(self, utterance: int) -> None:
        self.told.append(f"begin {utterance}")
        self._utterance, self._open = utterance, True
        before = b"".join(self._before)[-4_800:]
        self._heard, self._before = [before], []
        if self._breaks_at == utterance and self._says_so:
            asyncio.get_running_loop().call_later(
                0.5, self.deliver, TranscriptionFailed(utterance, BROKEN)
            )

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")

    def finish(self) -> None:
        self.told.append("finish")
        self._open = False
        if not 0 < self._breaks_at <= self._utterance:
            spoken = b"".join(self._heard).count(SPEECH[:2]) * 2 / 8_000
            self.deliver(Final(self._utterance, f"Heard {spoken:.1f} seconds."))

    async def aclose(self) -> None:
        self.closed += 1


def chain_of(*members: Any) -> tuple[EarsChain, list[Switch]]:
    chain = EarsChain([Link(f"e{place}", one, place) for place, one in enumerate(members)])
    switches: list[Switch] = []
    chain.ring.on_switch = switches.append
    return chain, switches


def caller_said(call: Call) -> list[str]:
    return [turn.said for turn in call.notebook.turns if turn.role == "caller"]


def sources(call: Call) -> list[str]:
    return [turn.source for turn in call.notebook.turns if turn.role == "bot"]


@in_virtual_time
async def test_the_first_hears_alone_while_it_is_well() -> None:
    first, second = Ears(), Ears()
    chain, switches = chain_of(first, second)
    async with Call(ears=chain) as call:
        await call.speak(2)
        await call.quiet(5)
    assert caller_said(call) == ["Heard 2.0 seconds."]
    assert not second.told
    assert not switches


@in_virtual_time
async def test_a_recogniser_that_does_not_open_is_replaced_and_nothing_is_said_of_it() -> None:
    chain, switches = chain_of(Ears(opens_s=None), Ears())
    async with Call(ears=chain) as call:
        await call.speak(2)
        await call.quiet(5)
    assert caller_said(call) == ["Heard 2.0 seconds."]
    assert sources(call) == ["model"]
    assert [(found.after, found.error.reason) for found in switches] == [("e1", "unavailable")]


@in_virtual_time
async def test_one_that_breaks_in_mid_utterance_loses_nothing_of_it() -> None:
    first, second = Ears(breaks_at=1), Ears(opens_s=0.4)
    chain, switches = chain_of(first, second)
    async with Call(ears=chain) as call:
        await call.speak(3)
        await call.quiet(5)
    assert caller_said(call) == ["Heard 3.0 seconds."]
    assert sources(call) == ["model"]
    assert call.notebook.events == []
    assert first.closed >= 1
    assert [found.after for found in switches] == ["e1"]


@in_virtual_time
async def test_the_words_come_even_if_the_utterance_ends_before_the_next_one_is_open() -> None:
    chain, _ = chain_of(Ears(breaks_at=1), Ears(opens_s=1.2))
    async with Call(ears=chain) as call:
        await call.speak(1)
        await call.quiet(5)
    assert caller_said(call) == ["Heard 1.0 seconds."]
    assert sources(call) == ["model"]


@in_virtual_time
async def test_one_that_never_finds_the_words_is_replaced_within_its_patience() -> None:
    second = Ears(opens_s=0.3)
    chain, switches = chain_of(Ears(breaks_at=1, says_so=False), second)
    async with Call(ears=chain) as call:
        await call.speak(2)
        ended = call.clock.now()
        await call.quiet(6)
        assert call.ear.pieces[0][0] - ended <= 0.3 + EARS_PATIENCE_S + 0.3 + 0.05
    assert caller_said(call) == ["Heard 2.0 seconds."]
    assert sources(call) == ["model"]
    assert [found.error.reason for found in switches] == ["timeout"]
    assert second.told[0] == "begin 1"
    assert second.told[-1] == "finish"


@in_virtual_time
async def test_whoever_took_over_hears_the_rest_of_the_call_and_nothing_twice() -> None:
    second = Ears()
    chain, switches = chain_of(Ears(breaks_at=2), second)
    async with Call(ears=chain) as call:
        for _ in range(3):
            await call.speak(1)
            await call.quiet(5)
    assert caller_said(call) == ["Heard 1.0 seconds."] * 3
    assert second.told[0] == "begin 2"
    assert len(switches) == 1


@in_virtual_time
async def test_one_that_takes_forever_to_open_is_passed_over() -> None:
    third = Ears()
    chain, switches = chain_of(Ears(opens_s=None), Ears(opens_s=60), third)
    opening = asyncio.create_task(chain.open(lambda event: None))
    began = asyncio.get_running_loop().time()
    await opening
    assert asyncio.get_running_loop().time() - began == pytest.approx(EARS_PATIENCE_S)
    assert [found.after for found in switches] == ["e1", "e2"]
    await chain.aclose()


@in_virtual_time
async def test_when_nobody_opens_it_is_as_with_one_alone() -> None:
    chain, _ = chain_of(Ears(opens_s=None), Ears(opens_s=None))
    with pytest.raises(ProviderError):
        await chain.open(lambda event: None)
    assert not chain.taking_over
    await chain.aclose()


@in_virtual_time
async def test_when_all_break_the_caller_is_told() -> None:
    chain, _ = chain_of(Ears(breaks_at=1), Ears(opens_s=None))
    async with Call(ears=chain) as call:
        await call.speak(0.8)
        await call.quiet(5)
    assert "apology" in sources(call)


class Hiccup(Ears):
    """Fails in its second utterance, as a line that breaks does, and is well again after it."""

    def begin(self, utterance: int) -> None:
        self._breaks_at = 2 if utterance == 2 else 0
        super().begin(utterance)


class OnceSlow(Ears):
    """Takes 1.7 s for the words of its second utterance."""

    def finish(self) -> None:
        deliver = self.deliver

        def late(event: TranscriptEvent) -> None:
            asyncio.get_running_loop().call_later(1.7, deliver, event)

        if self._utterance == 2:
            self.deliver = late
        super().finish()
        self.deliver = deliver


@pytest.mark.parametrize("first", [Hiccup, OnceSlow])
@pytest.mark.parametrize("spare", [{"opens_s": None}, {"opens_s": 60}])
def test_a_chain_whose_spare_cannot_open_hears_as_well_as_the_first_alone(
    first: type[Ears], spare: dict[str, Any]
) -> None:
    async def talk(ears: Any) -> tuple[list[str], list[str]]:
        async with Call(ears=ears) as call:
            for _ in range(5):
                await call.speak(1)
                await call.quiet(5)
            assert not call.ear.ended
            return caller_said(call), sources(call)

    @in_virtual_time
    async def run() -> None:
        served = first()
        chain, switches = chain_of(served, Ears(**spare))
        assert await talk(chain) == await talk(first())
        assert switches == []
        assert not chain.taking_over
        assert served.told.count("finish") == 5

    run()


@in_virtual_time
async def test_a_spare_is_tried_once_and_the_one_after_it_takes_over() -> None:
    third = Ears(opens_s=0.2)
    chain, switches = chain_of(Ears(breaks_at=1), Ears(opens_s=None), third)
    async with Call(ears=chain) as call:
        await call.speak(1)
        await call.quiet(5)
    assert caller_said(call) == ["Heard 1.0 seconds."]
    assert [(found.before, found.after) for found in switches] == [("e0", "e1"), ("e1", "e2")]


@in_virtual_time
async def test_the_words_of_one_that_is_slow_count_until_another_has_opened() -> None:
    second = Ears(opens_s=0.5)
    chain, switches = chain_of(OnceSlow(), second)
    async with Call(ears=chain) as call:
        for _ in range(3):
            await call.speak(1)
            await call.quiet(5)
    assert caller_said(call) == ["Heard 1.0 seconds."] * 3
    assert sources(call) == ["model"] * 3
    assert [found.after for found in switches] == ["e1"]
    assert second.told[0] == "begin 3"


@pytest.mark.parametrize("finished_s", [0.9, 1.6])
@pytest.mark.parametrize("opens_s", [[60, 1.2], [60, 1.2, 0.1], [60, 60, 1.2, 0.1]])
def test_an_utterance_that_ends_while_the_next_one_opens_is_no_fault_of_theirs(
    finished_s: float, opens_s: list[float]
) -> None:
    @in_virtual_time
    async def run() -> None:
        chain, switches = chain_of(*(Ears(opens_s=one) for one in opens_s))
        heard: list[TranscriptEvent] = []
        opening = asyncio.create_task(chain.open(heard.append))
        await asyncio.sleep(0)
        for frame in range(300):
            await asyncio.sleep(0.02)
            chain.hear(SPEECH)
            if frame == 15:
                chain.begin(1)
            if frame == finished_s * 50:
                chain.finish()
        await opening
        assert [type(event) for event in heard] == [Final]
        assert len(switches) == opens_s.count(60)
        await chain.aclose()

    run()


@in_virtual_time
async def test_one_that_is_mute_from_the_first_is_replaced_when_it_has_opened() -> None:
    chain, switches = chain_of(Ears(opens_s=1.0, breaks_at=1, says_so=False), Ears())
    came = asyncio.Event()
    opening = asyncio.create_task(chain.open(lambda event: came.set()))
    await asyncio.sleep(0.1)
    chain.begin(1)
    chain.hear(SPEECH)
    chain.finish()
    await opening
    began = asyncio.get_running_loop().time()
    await came.wait()
    assert asyncio.get_running_loop().time() - began == pytest.approx(EARS_PATIENCE_S, abs=0.02)
    assert [found.after for found in switches] == ["e1"]
    await chain.aclose()


class FailsAtOnce(Ears):
    """Fails in an utterance as soon as it is told of it."""

    def begin(self, utterance: int) -> None:
        super().begin(utterance)
        self.deliver(TranscriptionFailed(utterance, BROKEN))


@in_virtual_time
async def test_one_that_fails_in_what_it_is_told_again_is_followed_by_the_next() -> None:
    second = FailsAtOnce(breaks_at=1, says_so=False)
    chain, switches = chain_of(Ears(breaks_at=1), second, Ears())
    async with Call(ears=chain) as call:
        await call.speak(1)
        await call.quiet(1)
        assert call.ear.pieces
        await call.quiet(4)
    assert caller_said(call) == ["Heard 1.0 seconds."]
    assert sources(call) == ["model"]
    assert [found.after for found in switches] == ["e1", "e2"]


@in_virtual_time
async def test_the_last_may_take_longer_but_what_failed_is_not_kept_back() -> None:
    first, last = Ears(breaks_at=1, says_so=False), Ears(opens_s=3.0)
    chain, _ = chain_of(first, last)
    heard: list[TranscriptEvent] = []
    await chain.open(heard.append)
    chain.begin(1)
    chain.hear(SPEECH)
    chain.finish()
    await asyncio.sleep(EARS_PATIENCE_S + 0.1)
    first.deliver(TranscriptionFailed(1, BROKEN))
    assert heard == []
    await asyncio.sleep(EARS_PATIENCE_S)
    assert heard == [TranscriptionFailed(1, BROKEN)]
    await asyncio.sleep(3)
    assert chain.ring.current.provider is last
    assert [type(event) for event in heard] == [TranscriptionFailed, Final]
    await chain.aclose()


@in_virtual_time
async def test_one_that_connects_forever_does_not_hold_up_the_next() -> None:
    class Warming(Ears):
        async def warm(self) -> None:
            await asyncio.Event().wait()

    second = Ears()
    chain, _ = chain_of(Warming(), second)
    await chain.warm()
    async with asyncio.timeout(EARS_PATIENCE_S + 0.1):
        await chain.open(lambda event: None)
    assert chain.ring.current.provider is second
    await chain.aclose()


@in_virtual_time
async def test_what_a_hand_over_has_begun_is_awaited_when_the_call_ends() -> None:
    class Lingering(Ears):
        ended = False

        async def open(self, deliver: Callable[[TranscriptEvent], None]) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.5)
                self.ended = True

    second = Lingering()
    chain, _ = chain_of(Ears(breaks_at=1), second)
    await chain.open(lambda event: None)
    chain.begin(1)
    await asyncio.sleep(0.6)
    await chain.aclose()
    assert second.ended


@in_virtual_time
async def test_a_call_that_ends_during_a_hand_over_leaves_nothing_behind() -> None:
    chain, _ = chain_of(Ears(breaks_at=1), Ears(opens_s=1.4))
    async with Call(ears=chain) as call:
        await call.speak(1)
        assert chain.taking_over


@in_virtual_time
async def test_what_is_kept_for_the_next_one_is_bounded() -> None:
    second = Ears()
    chain, _ = chain_of(Ears(breaks_at=1, says_so=False), second)
    heard: list[TranscriptEvent] = []
    await chain.open(heard.append)
    chain.begin(1)
    for _ in range(1_000):
        chain.hear(SPEECH)
    chain.finish()
    await asyncio.sleep(EARS_PATIENCE_S + 0.1)
    assert heard == [Final(1, f"Heard {KEPT_BYTES / 8_000:.1f} seconds.")]
    assert second.told == ["begin 1", "finish"]
    await chain.aclose()


@in_virtual_time
async def test_one_that_was_left_has_no_say_any_more() -> None:
    first = Ears(breaks_at=1, says_so=False)
    chain, _ = chain_of(first, Ears())
    heard: list[TranscriptEvent] = []
    await chain.open(heard.append)
    chain.begin(1)
    chain.hear(SPEECH)
    chain.finish()
    await asyncio.sleep(EARS_PATIENCE_S + 0.1)
    first.deliver(Final(1, "Too late."))
    assert [type(event) for event in heard] == [Final]
    assert Final(1, "Too late.") not in heard
    await chain.aclose()
