"""One say in the making: model text into sentences, sentences into audio, audio to the playout."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from apps.voice.meter import Meter
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
from apps.voice.sentences import SentenceSplitter
from apps.voice.stages import Stopwatch

logger = logging.getLogger(__name__)

# Sentences made but not yet voiced. The model waits beyond that; nothing is dropped.
SENTENCES = 16
# How often the model may use tools before it has to speak.
TOOL_ROUNDS = 5

KeepTools = Callable[[Sequence[ChatMessage]], None]
_Sentences = asyncio.Queue[str | None]


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
    """How a production ended. leaves: the model asked to end the call."""

    spoke: bool = False
    leaves: bool = False
    error: ProviderError | None = None


class Production:
    """Runs once: ``answer`` or ``say``. After ``stop`` nothing of it reaches the playout."""

    def __init__(
        self, services: Services, playout: Playout, clock: Clock, watch: Stopwatch
    ) -> None:
        self._services = services
        self._playout = playout
        self._clock = clock
        self.watch = watch
        self._outcome = Outcome()
        self._stopped = False

    def stop(self) -> None:
        """Cut the way to the playout at once, whatever a provider does with its cancellation.

        One that swallows it and goes on is left at the next thing that it delivers.
        """
        self._stopped = True

    async def answer(self, messages: Sequence[ChatMessage], keep_tools: KeepTools) -> Outcome:
        """Ask the model and speak what it says, sentence by sentence, while it says it."""
        sentences: _Sentences = asyncio.Queue(SENTENCES)
        return await self._guarded(self._think(list(messages), keep_tools, sentences), sentences)

    async def say(self, text: str) -> Outcome:
        """Speak a text that exists already."""
        sentences: _Sentences = asyncio.Queue(SENTENCES)
        return await self._guarded(self._recite(text, sentences), sentences)

    async def _guarded(self, source: Coroutine[None, None, None], sentences: _Sentences) -> Outcome:
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

    async def _recite(self, text: str, sentences: _Sentences) -> None:
        splitter = SentenceSplitter()
        for sentence in [*splitter.push(text), *splitter.flush()]:
            await sentences.put(sentence)
        await sentences.put(None)

    async def _think(
        self, messages: list[ChatMessage], keep_tools: KeepTools, sentences: _Sentences
    ) -> None:
        said = False
        try:
            for _ in range(TOOL_ROUNDS):
                text, calls = await self._ask(messages, sentences)
                said = said or bool(text)
                if not calls or self._stopped:
                    break
                exchange = await self._use_tools(text, calls)
                keep_tools(exchange)
                messages += exchange
                if self._outcome.leaves and said:
                    break
        except ProviderError as error:
            self._services.meter.failed(error)
            self._fail(error)  # what was said so far is still worth hearing
        if not self._stopped:  # else nobody takes from the queue any more
            await sentences.put(None)

    async def _ask(
        self, messages: Sequence[ChatMessage], sentences: _Sentences
    ) -> tuple[str, list[ToolCall]]:
        splitter = SentenceSplitter()
        text, spoken = "", False
        calls: list[ToolCall] = []
        await self._services.ready(self._services.mind)
        self._services.meter.asked()
        reply = self._services.mind.reply(messages, self._services.toolbox.tools())
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
        self._playout.extend(delta.text)
        if delta.audio:
            self.watch.stamp("voice", now)
            self._outcome.spoke = True
            self._playout.write_own(delta.audio)
            await self._playout.room.wait()

    async def _pass_on(self, found: list[str], sentences: _Sentences) -> None:
        for sentence in found:
            self.watch.stamp("sentence", self._clock.now())
            await sentences.put(sentence)

    async def _use_tools(self, text: str, calls: Sequence[ToolCall]) -> list[ChatMessage]:
        results = await asyncio.gather(*(self._services.toolbox.call(call) for call in calls))
        self._outcome.leaves |= any(result.ends_call for result in results)
        answers = [
            ChatMessage("tool", result.content, tool_call_id=call.id)
            for call, result in zip(calls, results, strict=True)
        ]
        return [ChatMessage("assistant", text, tool_calls=tuple(calls)), *answers]

    async def _voice(self, sentences: _Sentences) -> None:
        while not self._stopped and (sentence := await sentences.get()) is not None:
            await self._speak(sentence)

    async def _speak(self, sentence: str) -> None:
        opened = spoke = False
        await self._services.ready(self._services.voice)
        self._services.meter.spoke(sentence)
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
                spoke = self._outcome.spoke = True
                self._playout.write(piece)
                await self._playout.room.wait()
        if not spoke:
            raise ProviderError("voice", "no audio came for a sentence", reason="unavailable")
        if not self._stopped:
            self._playout.end_passage()
