"""One say in the making: model text into sentences, sentences into audio, audio to the playout."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from apps.voice.clips import Clip
from apps.voice.history import History
from apps.voice.meter import Meter
from apps.voice.patience import Aside, Asides, Sentences, fill_silence
from apps.voice.playout import Playout
from apps.voice.ports import (
    ChatMessage,
    Clock,
    Flowing,
    LanguageModel,
    ProviderError,
    SpokenDelta,
    TextDelta,
    TextToSpeech,
    Toolbox,
    ToolCall,
    Usage,
    WordAt,
)
from apps.voice.sentences import SentenceSplitter, has_words, sentences_of
from apps.voice.stages import Stopwatch
from apps.voice.tooluse import Round, ToolUse

logger = logging.getLogger(__name__)

# Sentences made but not yet voiced. The model waits beyond that; nothing is dropped.
SENTENCES = 64
# How often the model may use tools before it has to speak.
TOOL_ROUNDS = 5
# How many it may call in one answer. Those beyond are not run, nor remembered as called.
AT_ONCE = 16
# A caller who has waited for too long waits for the voice, if it has had a sentence for so long.
_VOICE_S = 1.0


@runtime_checkable
class Replaceable(Protocol):
    """A model or a voice that has successors. Optional."""

    def stalled(self) -> None:
        """The caller was left waiting: whoever has begun an answer and owes its rest is not asked
        next. Returns at once."""


Ready = Callable[[object], Awaitable[None]]


async def _at_once(_provider: object) -> None:
    """Nobody is connecting."""


@dataclass(frozen=True, slots=True)
class Services:
    """What one call speaks with.

    ready: waits until a provider that is connecting has done so. meter: counts what is used.
    """

    mind: LanguageModel
    voice: TextToSpeech
    toolbox: Toolbox
    ready: Ready = _at_once
    meter: Meter = field(default_factory=Meter)


@dataclass(slots=True)
class Outcome:
    """How a production ended.

    spoke: more was said than a request for patience. leaves: the model asked to end the call.
    transfer_to: it asked to put it through. farewell: the id of the tool call that asked so.
    """

    spoke: bool = False
    leaves: bool = False
    transfer_to: str = ""
    farewell: str = ""
    error: ProviderError | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """What every say of a call is made with."""

    services: Services
    playout: Playout
    clock: Clock
    tools: ToolUse
    asides: Asides


@dataclass(slots=True)
class _Open:
    """What tools have left open.

    round: of tools at work. before: what was said before tools ran, by their first call. owes:
    their answers have not been spoken of. wordless: the call is to end, and nothing was said to it.
    """

    round: Round | None = None
    before: dict[str, str] = field(default_factory=dict)
    owes: bool = False
    wordless: bool = False


class Production:
    """Runs once: ``answer`` or ``say``. After ``stop`` nothing of it reaches the playout."""

    def __init__(self, say: Say, watch: Stopwatch) -> None:
        self._services = say.services
        self._playout = say.playout
        self._clock = say.clock
        self._tools = say.tools
        self._asides = say.asides
        self.watch = watch
        self._outcome = Outcome()
        self._stopped = False
        self._open = _Open()
        self._handed_at: float | None = None  # when the voice got the sentence that it is at

    def stop(self) -> None:
        """Cut the way to the playout at once, whatever a provider does with its cancellation.

        One that swallows it and goes on is left at the next thing that it delivers. Tools at work
        go on, see ``tooluse``.
        """
        self._stopped = True
        if self._open.round is not None:
            self._tools.abandon(self._open.round)
            self._open.round = None

    def stalled(self) -> None:
        """Tell whoever is waited for that the caller has waited for too long."""
        at = self._handed_at
        voice_is_late = at is not None and self._clock.now() - at >= _VOICE_S
        late: object = self._services.voice if voice_is_late else self._services.mind
        if isinstance(late, Replaceable):
            late.stalled()

    @property
    def owes(self) -> bool:
        """Whether tools were called whose answers have not been spoken of."""
        return self._open.owes

    async def answer(self, history: History) -> Outcome:
        """Ask the model and speak what it says, sentence by sentence, while it says it."""
        sentences: Sentences = asyncio.Queue(SENTENCES)
        return await self._guarded(self._think(history, sentences), sentences)

    async def say(self, text: str) -> Outcome:
        """Speak a text that exists already."""
        sentences: Sentences = asyncio.Queue(SENTENCES)
        return await self._guarded(self._recite(text, sentences), sentences)

    async def _guarded(self, source: Coroutine[None, None, None], sentences: Sentences) -> Outcome:
        if isinstance(self._services.voice, Flowing):
            self._services.voice.flow()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(source)
                group.create_task(self._voice(sentences))
        except* ProviderError as errors:
            self._fail(errors.exceptions[0])
        except* Exception as errors:  # the edge of a task: nobody above would ever hear of it
            logger.exception("A reply broke", exc_info=errors)
            self._fail(ProviderError("internal", "the reply broke", reason="unavailable"))
        return self._outcome

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, ProviderError) and self._outcome.error is None:
            self._outcome.error = error

    async def _recite(self, text: str, sentences: Sentences) -> None:
        for sentence in sentences_of(text):
            await sentences.put(sentence)
        await sentences.put(None)

    async def _think(self, history: History, sentences: Sentences) -> None:
        try:
            await self._converse(history, sentences)
        except ProviderError as error:
            self._services.meter.failed(error)
            self._fail(error)  # what was said so far is still worth hearing
        if not self._stopped:  # else nobody takes from the queue any more
            await sentences.put(None)

    async def _converse(self, history: History, sentences: Sentences) -> None:
        if self._tools.owing:
            self._open.owes = True
            await self._patiently(self._tools.catch_up(), sentences)
        for left in reversed(range(TOOL_ROUNDS + 1)):
            text, calls = await self._ask(self._told(history), sentences)
            if not calls or not left or self._stopped:
                break
            found = self._tools.start(
                calls[:AT_ONCE],
                history=history,
                speak=lambda words: self._put_through(words, sentences),
            )
            self._open.before[found.runs[0].call.id] = text
            if await self._use_tools(found, sentences, last=left == 1):
                break
        if self._open.wordless and (clip := self._farewell()) and not self._stopped:
            await sentences.put(Aside(clip, answers=True))

    def _told(self, history: History) -> list[ChatMessage]:
        """Return the history, with what was said before tools ran: it has not been heard yet."""
        return [
            replace(message, content=self._open.before[message.tool_calls[0].id])
            if message.tool_calls and message.tool_calls[0].id in self._open.before
            else message
            for message in history.messages()
        ]

    async def _ask(
        self, messages: Sequence[ChatMessage], sentences: Sentences
    ) -> tuple[str, list[ToolCall]]:
        splitter = SentenceSplitter()
        text, spoken = "", False
        calls: list[ToolCall] = []
        await self._services.ready(self._services.mind)
        self._services.meter.asked()
        reply = self._services.mind.reply(messages, self._tools.tools())
        async with aclosing(reply) as events:
            async for event in events:
                if self._stopped:
                    return text, calls
                match event:
                    case TextDelta(text=piece):
                        self.watch.stamp("model", self._clock.now())
                        text += piece
                        await self._pass_on(splitter.push(piece), sentences)
                    case SpokenDelta(text=piece):
                        text += piece
                        await self._pass_through(event, first=not spoken)
                        spoken = True
                    case ToolCall():
                        calls.append(event)
                    case Usage():
                        self._services.meter.told(event)
        await self._pass_on(splitter.flush(), sentences)
        if spoken and not self._stopped:
            self._playout.end_passage()
        return text, calls

    async def _pass_through(self, delta: SpokenDelta, *, first: bool) -> None:
        """Hand on what a model says with its own voice."""
        if first:
            self._playout.passage("")
            self._playout.talk.replied = True
        now = self._clock.now()
        self.watch.stamp("model", now)
        self._spoken()
        self._playout.extend(delta.text)
        if delta.audio:
            self.watch.stamp("voice", now)
            self._outcome.spoke = True
            self._playout.write_own(delta.audio)
            await self._playout.room.wait()

    async def _pass_on(self, found: list[str], sentences: Sentences) -> None:
        for sentence in found:
            self._spoken()
            self.watch.stamp("sentence", self._clock.now())
            await sentences.put(sentence)

    def _spoken(self) -> None:
        """What tools answered is spoken of from here on."""
        self._open.owes = self._open.wordless = False

    async def _use_tools(self, found: Round, sentences: Sentences, *, last: bool) -> bool:
        """Let tools run, and write down what they answered. Returns whether nothing is left to say.

        A model that ends the call without a word is asked for its goodbye, once.
        """
        self._open.round, self._open.owes = found, True
        await self._patiently(self._tools.settle(found), sentences)
        if self._stopped:
            return True
        self._open.round = None
        found.close(last=last)
        self._open.owes = not found.told
        if (leaving := found.leaving) is None:
            return found.told
        asked_before = bool(self._outcome.farewell)
        self._outcome.farewell, result = leaving
        self._outcome.leaves, self._outcome.transfer_to = result.ends_call, result.transfer_to
        spoke = found.said or bool(self._open.before[found.runs[0].call.id])
        self._open.wordless = not spoke
        return spoke or asked_before

    async def _patiently(self, work: Coroutine[None, None, None], sentences: Sentences) -> None:
        """Await tools; ask the caller for patience if they leave a silence."""
        async with asyncio.TaskGroup() as group:
            filling = group.create_task(
                fill_silence(sentences, self._playout, self._clock, self._asides, self._filler)
            )
            await work
            filling.cancel()
        self.watch.stamp("tools", self._clock.now())

    def _filler(self) -> str:
        self.watch.stamp("tools", self._clock.now())
        return self._open.round.filler if self._open.round is not None else ""

    def _farewell(self) -> Clip | None:
        return self._asides.filler if self._outcome.transfer_to else self._asides.goodbye

    async def _put_through(self, text: str, sentences: Sentences) -> None:
        """Speak what a tool says."""
        for sentence in sentences_of(text):
            await sentences.put(sentence)

    async def _voice(self, sentences: Sentences) -> None:
        while not self._stopped and (sentence := await sentences.get()) is not None:
            if isinstance(sentence, str):
                await self._speak(sentence)
            elif sentence.clip.audio:
                self._play(sentence)
            else:
                await self._speak(sentence.clip.text, answers=sentence.answers)
            sentences.task_done()

    def _play(self, aside: Aside) -> None:
        self._playout.passage(aside.clip.text)
        self._playout.write(aside.clip.audio)
        self._playout.end_passage()
        self._outcome.spoke |= aside.answers

    async def _speak(self, sentence: str, *, answers: bool = True) -> None:
        opened = spoke = False
        await self._services.ready(self._services.voice)
        self._services.meter.spoke(sentence)
        self._handed_at = self._clock.now()
        async with aclosing(self._services.voice.speak(sentence)) as pieces:
            async for piece in pieces:
                if self._stopped:
                    return
                if not opened:
                    self._playout.passage(sentence)
                    opened = True
                if isinstance(piece, WordAt):
                    self._playout.word(piece)
                    continue
                self._services.meter.came(piece)
                self.watch.stamp("voice", self._clock.now())
                spoke = True
                self._outcome.spoke |= answers
                self._playout.write(piece)
                await self._playout.room.wait()
        self._handed_at = None
        if not spoke and has_words(sentence):
            raise ProviderError("voice", "no audio came for a sentence", reason="unavailable")
        if opened and not self._stopped:
            self._playout.end_passage()
