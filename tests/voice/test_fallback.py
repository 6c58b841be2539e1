"""A model and a voice that have successors, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from apps.providers.scripted_services import ScriptedMind, ScriptedVoice
from apps.providers.sound import speakable
from apps.voice.fallback import (
    HELD_ITEMS,
    MODEL_PATIENCE_S,
    VOICE_PATIENCE_S,
    Link,
    MindChain,
    Switch,
    VoiceChain,
)
from apps.voice.ports import (
    ChatMessage,
    ModelEvent,
    ProviderError,
    TextDelta,
    TextToSpeech,
    Tool,
    Usage,
    WordAt,
)
from apps.voice.settings import ConversationSettings
from apps.voice.turns import Phase
from tests.support.virtual_time import in_virtual_time
from tests.voice.far_end import Call, service

# Whoever is asked is answered for within so much; the pause that ends their turn is 0.3 s.
PROMISED_S = 3.0
PAUSE_S = 0.3


class Chained:
    """A mind's or a voice's chain of scripted members, and who has taken over in it."""

    def __init__(self, *minds: dict[str, Any], voice: bool = False) -> None:
        self.members: list[Any] = [
            (ScriptedVoice if voice else ScriptedMind)(service(options)) for options in minds
        ]
        links = [Link(f"m{place}", one, place) for place, one in enumerate(self.members)]
        self.chain: Any = VoiceChain(links) if voice else MindChain(links)
        self.switches: list[Switch] = []
        self.chain.ring.on_switch = self.switches.append

    @property
    def moves(self) -> list[tuple[str, str, str]]:
        return [(found.before, found.after, found.error.reason) for found in self.switches]


def says(text: str, **more: Any) -> dict[str, Any]:
    return {"replies": [text], **more}


async def ask(call: Call, *, wait_s: float = 6) -> float:
    """Say something, and wait. Returns how long the silence after it was."""
    await call.speak(1)
    ended, before = call.clock.now(), len(call.ear.pieces)
    await call.quiet(wait_s)
    assert len(call.ear.pieces) > before, "the caller heard nothing"
    return call.ear.pieces[before][0] - ended


def bot_turns(call: Call) -> list[tuple[str, str]]:
    return [(turn.source, turn.said) for turn in call.notebook.turns if turn.role == "bot"]


@in_virtual_time
async def test_a_model_that_fails_is_answered_for_by_the_next_one_in_the_same_turn() -> None:
    minds = Chained({"fault": "refuse"}, says("From the second."))
    async with Call(mind=minds.chain) as call:
        assert await ask(call) < PAUSE_S + 0.05
    assert bot_turns(call) == [("model", "From the second.")]
    assert minds.moves == [("m0", "m1", "auth")]
    assert call.notebook.events == []


@in_virtual_time
async def test_the_next_one_is_told_the_same_history() -> None:
    minds = Chained({"fault": "rate_limit"}, {})
    async with Call(mind=minds.chain, stt={"lines": ["Where is my bike?"]}) as call:
        await ask(call)
    assert bot_turns(call) == [("model", "You said: Where is my bike?")]


@pytest.mark.parametrize("fault", ["mute", "hang"])
@pytest.mark.parametrize("slot", ["llm", "tts"])
def test_whoever_stays_mute_is_replaced_before_the_caller_is_told(fault: str, slot: str) -> None:
    @in_virtual_time
    async def run() -> None:
        late: dict[str, Any] = {"delay_ms": 1_000}
        chain = Chained({"fault": fault}, late | says("Here I am."), voice=slot == "tts")
        call = Call(mind=chain.chain) if slot == "llm" else Call(voice=chain.chain)
        async with call:
            patience_s = MODEL_PATIENCE_S if slot == "llm" else VOICE_PATIENCE_S
            silence_s = await ask(call)
            assert silence_s == pytest.approx(PAUSE_S + patience_s + 1.0, abs=0.1)
            assert silence_s <= PROMISED_S
            assert chain.moves == [("m0", "m1", "timeout")]
        assert [source for source, _ in bot_turns(call)] == ["model"]
        await asyncio.sleep(31)  # one that hangs does so for 30 s

    run()


@in_virtual_time
async def test_a_takeover_may_last_a_little_longer_than_one_who_is_mute_alone() -> None:
    minds = Chained({"fault": "mute"}, says("Just in time.", delay_ms=1_200))
    async with Call(mind=minds.chain) as call:
        assert await ask(call) <= PROMISED_S + PAUSE_S
    assert bot_turns(call) == [("model", "Just in time.")]


@in_virtual_time
async def test_when_all_stay_mute_the_apology_comes_as_promised() -> None:
    minds = Chained({"fault": "mute"}, {"fault": "mute"}, {"fault": "mute"})
    async with Call(mind=minds.chain) as call:
        assert await ask(call) <= PROMISED_S + PAUSE_S
    assert bot_turns(call) == [("apology", "Sorry.")]
    assert call.notebook.events == ["provider.mute"]
    assert not minds.chain.taking_over


@in_virtual_time
async def test_whoever_took_over_stays() -> None:
    minds = Chained(says("First.", fault="rate_limit", fault_at=1), {"replies": ["A.", "B."]})
    async with Call(mind=minds.chain) as call:
        await ask(call)
        await ask(call)
    assert [said for _, said in bot_turns(call)] == ["A.", "B."]
    assert len(minds.moves) == 1


@in_virtual_time
async def test_when_whoever_took_over_fails_too_the_first_is_asked_again() -> None:
    minds = Chained(
        {"fault": "rate_limit", "fault_at": 1, "replies": ["-", "Back again."]},
        {"fault": "refuse", "fault_at": 2, "replies": ["For now."]},
    )
    async with Call(mind=minds.chain) as call:
        await ask(call)
        await ask(call)
    assert [said for _, said in bot_turns(call)] == ["For now.", "Back again."]
    assert minds.moves == [("m0", "m1", "quota"), ("m1", "m0", "auth")]


@in_virtual_time
async def test_when_all_fail_the_caller_is_told_and_the_third_time_the_call_ends() -> None:
    minds = Chained({"fault": "refuse"}, {"fault": "rate_limit"})
    async with Call(mind=minds.chain) as call:
        for _ in range(3):
            await ask(call)
        assert call.ear.ended == "provider_failure"
    assert [source for source, _ in bot_turns(call)] == ["apology", "apology", "failure"]
    assert call.notebook.events == ["provider.failed"] * 3
    assert minds.moves == [("m0", "m1", "auth"), ("m1", "m0", "quota")] * 3


@pytest.mark.parametrize(
    ("fault", "told"), [("cut", ("failed", "unavailable")), ("dribble", ("mute", "timeout"))]
)
@pytest.mark.parametrize("slot", ["llm", "tts"])
def test_what_breaks_off_after_its_beginning_is_not_begun_again_but_next_time_left(
    fault: str, told: tuple[str, str], slot: str
) -> None:
    @in_virtual_time
    async def run() -> None:
        faulty: dict[str, Any] = {"fault": fault, "replies": ["Well I think that"]}
        chain = Chained(faulty, says("From the second."), voice=slot == "tts")
        by_slot: dict[str, Any] = {"mind" if slot == "llm" else "voice": chain.chain}
        async with Call(**by_slot) as call:
            await ask(call, wait_s=8)
            assert call.notebook.events == [f"provider.{told[0]}"]
            assert "Sorry." in bot_turns(call)[0][1]
            assert chain.moves == [("m0", "m1", told[1])]
            assert not chain.chain.taking_over
            await ask(call)
        assert [source for source, _ in bot_turns(call)] == ["apology", "model"]
        assert call.notebook.events == [f"provider.{told[0]}"]
        assert len(chain.moves) == 1
        assert not chain.switches[0].again

    run()


@in_virtual_time
async def test_a_model_that_a_caller_interrupts_is_asked_again() -> None:
    first = says("One. Two three four five six seven eight nine ten.", token_ms=400)
    minds = Chained(first, says("Never."))
    async with Call(mind=minds.chain) as call:
        for _ in range(2):
            await call.speak(1)
            await call.quiet(PAUSE_S + 0.9)
            assert minds.chain.ring.owes_more
        assert not minds.moves
        await call.speak(1)
        assert not minds.chain.ring.owes_more
        await call.quiet(1)
    assert minds.moves == []


@in_virtual_time
async def test_a_model_is_not_blamed_for_a_voice_that_is_mute() -> None:
    minds = Chained(says("One. " + "Two " * 40, token_ms=200), says("Never."))
    async with Call(mind=minds.chain, tts={"fault": "mute"}) as call:
        await ask(call)
    assert call.notebook.events == ["provider.mute"]
    assert minds.moves == []


@in_virtual_time
async def test_a_voice_is_not_blamed_for_a_model_that_is_late_with_its_first_sentence() -> None:
    minds = Chained(says("One two three four. Five.", token_ms=600), says("On time."))
    voices = Chained({"delay_ms": 900}, {}, voice=True)
    async with Call(mind=minds.chain, voice=voices.chain) as call:
        await ask(call)
    assert bot_turns(call)[0] == ("apology", "Sorry.")
    assert minds.moves == [("m0", "m1", "timeout")]
    assert voices.moves == []


@in_virtual_time
async def test_an_empty_answer_is_an_answer() -> None:
    minds = Chained({"fault": "empty"}, says("Never."))
    async with Call(mind=minds.chain) as call:
        assert await ask(call) < PAUSE_S + 0.05
    assert bot_turns(call) == [("apology", "Sorry.")]
    assert call.notebook.events == []
    assert minds.moves == []
    async with asyncio.timeout(60):
        assert [type(event) for event in await reply_of(minds.chain)] == [Usage]


@in_virtual_time
async def test_a_model_that_only_hangs_up_does_so() -> None:
    leaves = {"replies": [""], "tool_calls": {"1": [{"name": "end_call"}]}}
    minds = Chained(leaves, says("Never."))
    async with Call(mind=minds.chain) as call:
        await ask(call)
        assert call.ear.ended == "bot_ended"
    assert bot_turns(call) == [("model", "Goodbye.")]


@in_virtual_time
async def test_a_caller_who_goes_on_during_a_takeover_ends_it() -> None:
    minds = Chained({"fault": "mute"}, {"fault": "mute", "fault_at": 1, "replies": ["-", "Yes?"]})
    async with Call(mind=minds.chain) as call:
        await call.speak(1)
        await call.quiet(PAUSE_S + MODEL_PATIENCE_S + 0.2)
        assert minds.chain.taking_over
        running = {task for task in asyncio.all_tasks() if task.get_name() == "attempt"}
        assert len(running) == 1
        await call.speak(1)
        assert call.talk.phase is Phase.HEARING
        assert all(task.done() for task in running)
        assert not minds.chain.taking_over
        await call.quiet(3)
    assert bot_turns(call) == [("model", "Yes?")]


@in_virtual_time
async def test_a_voice_that_fails_before_a_sentence_hands_it_over() -> None:
    voices = Chained({"fault": "rate_limit", "fault_at": 2}, {}, voice=True)
    async with Call(voice=voices.chain, llm=says("One two. Three four.")) as call:
        await ask(call)
    assert bot_turns(call) == [("model", "One two. Three four.")]
    assert [found.text for found in voices.switches] == ["Three four."]


@in_virtual_time
async def test_a_voice_that_sends_nothing_has_failed() -> None:
    voices = Chained({"fault": "empty"}, {}, voice=True)
    async with Call(voice=voices.chain, llm=says("One two.")) as call:
        await ask(call)
    assert bot_turns(call) == [("model", "One two.")]
    assert voices.moves == [("m0", "m1", "unavailable")]


@in_virtual_time
async def test_when_every_voice_sends_nothing_the_caller_is_told_at_once() -> None:
    voices = Chained({"fault": "empty"}, {"fault": "empty"}, voice=True)
    async with Call(voice=voices.chain) as call:
        assert await ask(call) < PAUSE_S + 0.05
    assert bot_turns(call) == [("apology", "Sorry.")]
    assert call.notebook.events == ["provider.failed"]
    assert voices.moves == [("m0", "m1", "unavailable"), ("m1", "m0", "unavailable")]


class Wordless(ScriptedVoice):
    """Sends nothing where there is nothing to say, as vendors do."""

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        if text := speakable(text):
            async for piece in super().speak(text):
                yield piece


@pytest.mark.parametrize("members", [1, 2])
def test_an_answer_that_ends_in_a_smiley_is_a_whole_answer(members: int) -> None:
    @in_virtual_time
    async def run() -> None:
        voices = Chained(voice=True)
        links: list[Link[TextToSpeech]] = [
            Link(f"m{place}", Wordless(service({})), place) for place in range(members)
        ]
        voices.chain = VoiceChain(links) if members > 1 else links[0].provider
        async with Call(voice=voices.chain, llm=says("All done! 😊")) as call:
            await ask(call)
        assert bot_turns(call) == [("model", "All done!")]
        assert call.notebook.events == []

    run()


@in_virtual_time
async def test_a_voice_owes_nothing_for_a_text_without_words() -> None:
    links: list[Link[TextToSpeech]] = [
        Link(f"m{place}", Wordless(service({})), place) for place in range(2)
    ]
    chain = VoiceChain(links)
    assert [piece async for piece in chain.speak("😊")] == []
    assert chain.ring.current is links[0]
    await chain.aclose()


@in_virtual_time
async def test_a_model_and_a_voice_that_are_slow_together_are_answered_for_in_time() -> None:
    minds = Chained({"fault": "mute"}, says("Hello.", delay_ms=400))
    voices = Chained({"delay_ms": 400}, {}, voice=True)
    async with Call(mind=minds.chain, voice=voices.chain) as call:
        assert await ask(call) <= PROMISED_S
    assert [source for source, _ in bot_turns(call)] == ["model"]
    assert voices.moves == []


# --- the chains themselves ----------------------------------------------------------------------


class Slow:
    """A model that connects forever, and answers at once when it is connected."""

    def __init__(self) -> None:
        self.let_go = False
        self.closed = False

    async def warm(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.let_go = True

    async def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        yield TextDelta("First.")

    async def aclose(self) -> None:
        self.closed = True


async def reply_of(chain: MindChain) -> list[ModelEvent]:
    async with aclosing(chain.reply([ChatMessage("user", "Hi.")], [])) as events:
        return [event async for event in events]


@in_virtual_time
async def test_the_first_has_its_patience_for_connecting_too() -> None:
    slow = Slow()
    chain = MindChain([Link("slow", slow), Link("next", ScriptedMind(service(says("Next."))), 1)])
    await chain.warm()
    began = asyncio.get_running_loop().time()
    assert (await reply_of(chain))[0] == TextDelta("Next.")
    assert asyncio.get_running_loop().time() - began == pytest.approx(MODEL_PATIENCE_S)
    await chain.aclose()
    assert slow.let_go
    assert slow.closed


@in_virtual_time
async def test_a_fault_of_ours_is_nobodys_to_take_over() -> None:
    class Broken(Slow):
        async def reply(self, messages: Any, tools: Any) -> AsyncGenerator[ModelEvent, None]:
            if messages:
                raise LookupError("a bug")
            yield TextDelta("")

    chain = MindChain([Link("broken", Broken()), Link("next", Slow(), 1)])
    with pytest.raises(LookupError):
        await reply_of(chain)
    await chain.aclose()


@in_virtual_time
async def test_words_of_a_voice_that_made_no_sound_are_not_told() -> None:
    class Timed:
        flowed = 0

        def __init__(self, *pieces: bytes | WordAt) -> None:
            self._pieces = pieces

        def flow(self) -> None:
            self.flowed += 1

        async def speak(self, text: str) -> AsyncGenerator[bytes | WordAt, None]:
            for piece in self._pieces:
                yield piece
            if len(self._pieces) == 1:
                raise ProviderError("timed", "lost", reason="unavailable")

        async def aclose(self) -> None:
            pass

    sound = b"\xff\x20" * 80
    first, second = Timed(WordAt("Hi", 1)), Timed(WordAt("Hello", 2), sound)
    chain = VoiceChain([Link("first", first), Link("second", second, 1)])
    chain.flow()
    for _ in range(2):
        async with aclosing(chain.speak("Hello.")) as pieces:
            assert [piece async for piece in pieces] == [WordAt("Hello", 2), sound]
    assert (first.flowed, second.flowed) == (1, 1)
    await chain.aclose()


class Still:
    """A voice that sends nothing but silence, so many pieces of it, and then says so."""

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        for _ in range(self._pieces):
            yield b"\xff" * 160
        raise ProviderError("still", "no audio", reason="unavailable")

    async def aclose(self) -> None:
        pass


@in_virtual_time
async def test_silence_before_the_first_sound_is_no_beginning() -> None:
    links: list[Link[TextToSpeech]] = [
        Link("still", Still(10)),
        Link("next", ScriptedVoice(service({})), 1),
    ]
    chain = VoiceChain(links)
    async with Call(voice=chain, llm=says("One two.")) as call:
        await ask(call)
    assert bot_turns(call) == [("model", "One two.")]
    assert chain.ring.current is links[1]


@in_virtual_time
async def test_what_is_held_back_of_an_answer_is_bounded() -> None:
    chain = VoiceChain([Link("still", Still(HELD_ITEMS + 10)), Link("next", Still(0), 1)])
    heard = 0
    with pytest.raises(ProviderError):
        async with aclosing(chain.speak("One two.")) as pieces:
            async for _ in pieces:
                heard += 1
    assert heard == HELD_ITEMS + 10
    await chain.aclose()


def test_the_patience_of_all_fits_into_what_is_promised() -> None:
    settings = ConversationSettings(())
    assert settings.provider_patience_s >= MODEL_PATIENCE_S + VOICE_PATIENCE_S
