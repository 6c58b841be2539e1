"""The other end of a conversation under test: a caller with ears, a mouth and a journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from apps.providers.base import ServiceSettings
from apps.providers.scripted_services import ScriptedMind, ScriptedTranscriber, ScriptedVoice
from apps.providers.silero import BatchedSilero
from apps.voice import g711, supervision
from apps.voice.assembly import Surroundings, assemble
from apps.voice.clips import Clip
from apps.voice.conversation import Conversation
from apps.voice.ports import (
    ChatMessage,
    Controls,
    Toolbox,
    ToolCall,
    ToolResult,
    ToolTerms,
    Transcriber,
    Transferrer,
    Turn,
    Window,
)
from apps.voice.production import Services
from apps.voice.settings import ConversationSettings, LineName
from tests.support.virtual_time import VirtualClock

FRAME = 160
SPEECH = bytes([0x20, 0xA0] * (FRAME // 2))  # loud
QUIET = b"\xff" * FRAME


class Ear:
    """A line that plays in real time, as Twilio does, and remembers what was heard."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.echo: Callable[[str], None] = lambda name: None
        self.heard = bytearray()
        self.cleared_at: list[float] = []
        self.ended = ""
        self.lose_marks = False
        self.pieces: list[tuple[float, int]] = []
        self._plays_until = 0.0
        self._marks: list[tuple[str, asyncio.TimerHandle]] = []

    def play(self, audio: bytes) -> None:
        assert audio and len(audio) % FRAME == 0
        now = self.clock.now()
        self.pieces.append((now, len(audio)))
        self._plays_until = max(now, self._plays_until) + len(audio) / 8_000
        self.heard += audio

    def mark(self, name: str) -> None:
        if not self.lose_marks:
            due = max(self.clock.now(), self._plays_until)
            self._marks.append((name, self.clock.call_at(due, lambda: self.echo(name))))

    def clear(self) -> None:
        now = self.clock.now()
        self.cleared_at.append(now)
        unheard = int(max(0.0, self._plays_until - now) * 8_000)
        if unheard:
            del self.heard[-unheard:]
        self._plays_until = now
        for name, timer in self._marks:
            if not timer.cancelled() and timer.when() > now:
                timer.cancel()
                self.clock.call_at(now, lambda name=name: self.echo(name))  # type: ignore[misc]

    def hang_up(self, reason: str) -> None:
        self.ended = reason

    def backlog(self) -> int:
        return 0


class Loudness:
    """A detector that takes whatever is loud for speech."""

    def __init__(self) -> None:
        self._deliver: Callable[[Window], None] = lambda window: None
        self._pending = bytearray()
        self._end_ms = 0.0

    def open(self, deliver: Callable[[Window], None], *, silence_db: float) -> Loudness:
        self._deliver = deliver
        return self

    def push(self, audio: bytes) -> None:
        self._pending += audio
        while len(self._pending) >= 256:
            window, self._pending = bytes(self._pending[:256]), self._pending[256:]
            self._end_ms += 32
            level = g711.level_db(window)
            self._deliver(Window(1.0 if level > -40 else 0.0, level, self._end_ms))

    def close(self) -> None:
        pass


class Notebook:
    """A journal in memory."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.events: list[str] = []
        self.data: list[Mapping[str, Any]] = []

    def turn(self, turn: Turn) -> None:
        self.turns.append(turn)

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        self.events.append(kind)
        self.data.append(data)


class NoTools:
    """A toolbox with one tool: leaving."""

    def tools(self) -> list[Any]:
        return []

    def terms(self, name: str) -> ToolTerms:
        return ToolTerms()

    async def call(self, call: ToolCall, controls: Controls) -> ToolResult:
        return ToolResult("The call ends after your goodbye.", ends_call=call.name == "end_call")


def clip(text: str, seconds: float = 1.0) -> Clip:
    return Clip(text, b"\x10\x90" * int(seconds * 4_000))


class Call:
    """A conversation over scripted providers, in virtual time, with its supervisor."""

    def __init__(  # noqa: PLR0913 - each test names the one or two it is about
        self,
        *,
        settings: ConversationSettings | None = None,
        stt: Mapping[str, Any] | None = None,
        llm: Mapping[str, Any] | None = None,
        tts: Mapping[str, Any] | None = None,
        clips: Mapping[LineName, Clip] | None = None,
        mind: Any = None,
        voice: Any = None,
        ears: Any = None,
        toolbox: Toolbox | None = None,
        transferrer: Transferrer | None = None,
        detector: BatchedSilero | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self._detector = detector
        self.ear = Ear(self.clock)
        self.notebook = Notebook()
        self.transcriber: Transcriber = ears or ScriptedTranscriber(service(stt))
        self._services = Services(
            mind or ScriptedMind(service(llm)),
            voice or ScriptedVoice(service(tts)),
            toolbox or NoTools(),
        )
        self.talk: Conversation = assemble(
            settings or ConversationSettings((ChatMessage("system", "Be brief."),)),
            around=Surroundings(
                self.clock, detector or Loudness(), self.ear, self.notebook, transferrer
            ),
            services=self._services,
            transcriber=self.transcriber,
            clips=DEFAULT_CLIPS if clips is None else clips,
        )
        self.ear.echo = self.talk.parts.playout.echoed

    async def __aenter__(self) -> Call:
        await self.transcriber.open(self.talk.parts.hearing.take)
        self.began = self.clock.now()
        self._watch = asyncio.create_task(self._supervise())
        self.talk.open()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._watch.cancel()
        await asyncio.gather(self._watch, return_exceptions=True)
        await self.talk.parts.speaker.aclose()
        for provider in (self.transcriber, self._services.mind, self._services.voice):
            await provider.aclose()
        self.talk.parts.playout.close()
        self.talk.parts.hearing.close()
        if self._detector is not None:
            await self._detector.aclose()

    async def speak(self, seconds: float) -> None:
        await self._frames(SPEECH, seconds)

    async def quiet(self, seconds: float) -> None:
        await self._frames(QUIET, seconds)

    def since_start(self) -> float:
        return self.clock.now() - self.began

    async def _frames(self, frame: bytes, seconds: float) -> None:
        until = self.clock.now() + seconds
        while self.clock.now() < until - 0.001:
            await asyncio.sleep(0.02)
            self.talk.parts.hearing.frame(frame)

    async def _supervise(self) -> None:
        while True:
            supervision.look_after(self.talk)
            await asyncio.sleep(supervision.EVERY_S)


DEFAULT_CLIPS: Mapping[LineName, Clip] = {
    "apology": clip("Sorry."),
    "filler": clip("One moment, please."),
    "failure": clip("Something is wrong. Goodbye."),
    "idle": clip("Are you there?"),
    "goodbye": clip("Goodbye."),
    "time_up": clip("Time is up."),
    "resume": clip("Where were we?"),
}


def service(options: Mapping[str, Any] | None) -> ServiceSettings:
    return ServiceSettings("scripted", options=options or {})
