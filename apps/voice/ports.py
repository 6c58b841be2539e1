"""What a conversation needs from outside, as protocols: ears, mind, voice, line, clock, journal.

Audio everywhere is G.711 mu-law, 8,000 Hz, mono, one byte per sample: 8 bytes are 1 ms.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, runtime_checkable

# --- time -------------------------------------------------------------------------------------


class Timer(Protocol):
    """A callback that waits for its time."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Monotonic seconds. Tests pass one whose seconds cost nothing."""

    def now(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer: ...


# --- failures ---------------------------------------------------------------------------------


class ProviderError(Exception):
    """A provider could not do what was asked.

    provider: its registry name. reason: one of ``REASONS``. message: safe to show to an operator
    (no key, no transcript, no payload). retryable: the same request may succeed in a moment.
    """

    REASONS = ("auth", "quota", "bad_request", "unavailable", "timeout", "missing_extra")

    def __init__(self, provider: str, message: str, *, reason: str, retryable: bool = False):
        super().__init__(f"{provider}: {message}")
        self.provider = provider
        self.reason = reason
        self.message = message
        self.retryable = retryable


# --- connections ----------------------------------------------------------------------------------


@runtime_checkable
class Warmable(Protocol):
    """A provider that can connect before it is needed. Optional for all three."""

    async def warm(self) -> None:
        """Connect ahead, while the phone still rings.

        Called once at the most, before anything else, and cancelled if the call does not come. What
        fails here is not raised: it fails again at its use, and is told there.
        """


@runtime_checkable
class Relayed(Protocol):
    """A provider made of several. Optional for all three."""

    @property
    def taking_over(self) -> bool:
        """Whether another has been asked in the place of one that failed, and has not begun."""


# --- ears: speech to text -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Partial:
    """What the caller seems to be saying so far. Replaces the partial before it."""

    utterance: int
    text: str


@dataclass(frozen=True, slots=True)
class Final:
    """What the caller said in one utterance. An empty text means: no words in it."""

    utterance: int
    text: str


@dataclass(frozen=True, slots=True)
class TranscriptionFailed:
    """The recogniser broke; no final will come for this utterance."""

    utterance: int
    error: ProviderError


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The recogniser takes the caller to be done with this utterance, by the words it heard."""

    utterance: int


TranscriptEvent = Partial | Final | TranscriptionFailed | TurnEnded


@runtime_checkable
class Endpointing(Protocol):
    """A transcriber whose own endpointing is better than silence alone. Optional.

    endpoints: whether it sends ``TurnEnded``. Then an utterance ends with that, once the caller is
    silent; silence alone ends it only after ``TurnSettings.patience_secs``.
    """

    @property
    def endpoints(self) -> bool: ...


class Transcriber(Protocol):
    """One call's recogniser.

    Every method but ``open`` and ``aclose`` returns at once and never blocks the event loop; work
    happens in threads or tasks that the transcriber owns and ends in ``aclose``. Order of calls:
    ``open``, then ``hear`` for every frame of the call, speech or not, with the utterance marks
    around the frames of speech. ``begin(n)`` comes ``start_secs`` or more after the true onset,
    so a transcriber that works per utterance keeps at least 600 ms of audio before it. Every
    ``begin`` is followed by ``finish``, or by the next ``begin`` (the caller went on before the
    words were there; the text of both may then come as one Final of the later utterance).
    """

    async def open(self, deliver: Callable[[TranscriptEvent], None]) -> None:
        """Connect. ``deliver`` is called on the event loop. Raises ProviderError."""

    def hear(self, audio: bytes) -> None:
        """Take caller audio (mu-law, any length). Bounded: drops the oldest when behind."""

    def begin(self, utterance: int) -> None:
        """The caller has started utterance ``utterance`` (1, 2, 3 …)."""

    def pause(self) -> None:
        """The caller fell silent and may be done: get the text ready."""

    def resume(self) -> None:
        """The caller went on speaking after ``pause``."""

    def finish(self) -> None:
        """The utterance is over. Exactly one Final or TranscriptionFailed follows."""

    async def aclose(self) -> None:
        """Give everything back. May be called at any moment, twice too."""


# --- mind: the language model -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a function. arguments: parsed JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the history. role: system, user, assistant or tool.

    tool_calls stands on an assistant's message; tool_call_id on the tool's answer to one.
    """

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call. parameters: JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer, as it streams: a word or less, spaces included."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost, in the model's own tokens.

    prompt_tokens counts all that went in, completion_tokens all that came out. Of these,
    cached_tokens went in from the vendor's cache, and the audio ones were sound;
    cached_audio_tokens were both. cache_write_tokens went in and were written to the cache, where a
    vendor charges for that.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    audio_prompt_tokens: int = 0
    audio_completion_tokens: int = 0
    cached_audio_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Usage)))

    def __sub__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(Usage)))


@dataclass(frozen=True, slots=True)
class SpokenDelta:
    """The next piece of an answer that the model speaks itself.

    audio: mu-law 8 kHz, any length, may be empty. text: what is said, as far as it is known yet;
    pieces of audio and text need not fit each other.
    """

    audio: bytes = field(default=b"", repr=False)
    text: str = ""


ModelEvent = TextDelta | SpokenDelta | ToolCall | Usage


class LanguageModel(Protocol):
    """Answers a history. One object per call; calls of ``reply`` do not overlap."""

    def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        """Stream the answer to the last message.

        An async generator: closing or cancelling it stops the vendor's work (and its bill).
        Usage comes once, last, where the vendor tells it. Raises ProviderError, before or between
        events.
        """

    async def aclose(self) -> None: ...


@runtime_checkable
class Speaking(Protocol):
    """A language model that hears and speaks itself. Its answers are ``SpokenDelta``. Optional."""

    def brief(self, messages: Sequence[ChatMessage], tools: Sequence[Tool]) -> None:
        """Tell what every reply starts from. Once, when the call starts; returns at once."""

    def heard(self, ms: float) -> None:
        """Tell how much of the model's own audio reached the caller's ear in the last talk, in ms.

        Once a talk: all its replies (there are several where tools were used) end to end, without
        what ``voice.speak`` or a clip said between them. 0 if nothing of them was heard.
        """

    def follow(self, messages: Sequence[ChatMessage]) -> None:
        """Tell what the history says now that the bot has had a turn. After ``heard``."""


# --- voice: text to speech ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WordAt:
    """A word of the sentence being spoken, and where in its audio it ends, in ms."""

    word: str
    end_ms: float


class TextToSpeech(Protocol):
    """Speaks sentences. One object per call; calls of ``speak`` do not overlap."""

    def speak(self, text: str) -> AsyncGenerator[bytes | WordAt, None]:
        """Stream ``text`` as mu-law 8 kHz bytes in pieces of any length, as they are made.

        Words with their times may stand between the pieces, in order, where the voice knows them.
        An async generator: closing or cancelling it stops the work. Raises ProviderError, before
        or between pieces. Never yields anything that is not audio; audio that is silent from
        beginning to end is a failure (``unavailable``).
        """

    async def aclose(self) -> None: ...


@runtime_checkable
class Flowing(Protocol):
    """A voice whose sentences sound better together. Optional."""

    def flow(self) -> None:
        """A new say begins: what is spoken from here on belongs together. Returns at once."""


async def sound_of(voice: TextToSpeech, text: str) -> AsyncGenerator[bytes, None]:
    """Stream a text's audio alone."""
    async with aclosing(voice.speak(text)) as pieces:
        async for piece in pieces:
            if isinstance(piece, bytes):
                yield piece


# --- voice activity -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """One analysis window of caller audio.

    probability: 0..1 that it holds speech. level_db: RMS in dB below full scale (0 is full scale,
    -100 the floor). end_ms: where it ends, in ms of the call's caller audio.
    """

    probability: float
    level_db: float
    end_ms: float


class ActivityStream(Protocol):
    """One call's share of the voice activity detector."""

    def push(self, audio: bytes) -> None:
        """Take caller audio (mu-law, any length); windows are delivered later, in order."""

    def close(self) -> None: ...


class ActivityDetector(Protocol):
    """Voice activity for all calls of the process."""

    def open(self, deliver: Callable[[Window], None], *, silence_db: float) -> ActivityStream:
        """Begin to watch a call. silence_db: what is quieter is no speech, and need not be asked
        about."""


# --- the line -----------------------------------------------------------------------------------


class Line(Protocol):
    """The way to the caller's ear: one media stream. Nothing here blocks or raises.

    What is sent to a line that is gone is dropped.
    """

    def play(self, audio: bytes) -> None:
        """Queue audio behind what is queued already. len(audio) is a multiple of 160."""

    def mark(self, name: str) -> None:
        """Ask to be told when everything queued so far has been played."""

    def clear(self) -> None:
        """Drop everything not yet played, here and at the far end."""

    def hang_up(self, reason: str) -> None:
        """End the call once everything handed over so far is written."""

    def backlog(self) -> int:
        """Messages handed over but not yet written to the socket."""


# --- tools the model may use --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolTerms:
    """How a tool is waited for.

    filler: said while it takes long; empty: the platform's own line. acts: it changes something out
    there, so that its answer counts even if the caller has moved on meanwhile.
    """

    timeout_s: float = 8.0
    filler: str = ""
    acts: bool = True


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered, as text for the model.

    ends_call: hang up when the bot has spoken. transfer_to: put the call through then, to the
    target of that name. told: the tool has told the caller itself, so the model need not. outcome
    and status (of HTTP) are for the journal.
    """

    content: str
    ends_call: bool = False
    transfer_to: str = ""
    told: bool = False
    outcome: str = "ok"
    status: int = 0


class Controls(Protocol):
    """What a tool may make the bot do while it runs."""

    async def say(self, text: str) -> bool:
        """Speak, behind what is being said. False: the caller has the turn, so it is not said."""

    def append(self, messages: Sequence[ChatMessage]) -> None:
        """Add to what the model is told, behind the tool's answer."""

    def set_context(self, messages: Sequence[ChatMessage]) -> None:
        """Tell the model something else from here on: all that was said before is forgotten."""


class Toolbox(Protocol):
    """What the model can do besides talking."""

    def tools(self) -> Sequence[Tool]: ...

    def terms(self, name: str) -> ToolTerms:
        """How a tool is waited for; also one that does not exist."""

    async def call(self, call: ToolCall, controls: Controls) -> ToolResult:
        """Run one. Never raises for a tool's fault: the model is told instead.

        It is cancelled when its time is over, when the caller leaves, and, unless it acts, when the
        caller moves on.
        """


class Transferrer(Protocol):
    """Puts the call through to somebody else."""

    def transfer(self, target: str, done: Callable[[bool], None]) -> None:
        """Begin; returns at once. ``done`` is told on the event loop whether it worked."""


# --- the journal --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Used:
    """What was used of the providers: what their bills count.

    requests: put to the model. counted: of these, those whose tokens are known; a reply that was
    cut short tells none, so that tokens is a lower bound where counted is less than requests.
    characters: handed to the voice, in sentences that were then cut too. voiced_s: the audio that
    came of them. stream_s: caller audio, speech or not. speech_s: of this, what lies between the
    marks of utterances.
    """

    requests: int = 0
    counted: int = 0
    tokens: Usage = Usage(0, 0)
    characters: int = 0
    voiced_s: float = 0.0
    stream_s: float = 0.0
    speech_s: float = 0.0

    def __add__(self, other: Used) -> Used:
        return Used(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Used)))

    def __sub__(self, other: Used) -> Used:
        return Used(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(Used)))


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said between two changes of speaker.

    role: caller or bot. said: the whole text; heard: the part of it that reached the other side
    (for a caller both are the transcript). started_s / ended_s: seconds since the stream began.
    source: for a bot, what made it speak (model, greeting, apology …). stages_ms: for a bot's
    answer, the parts of the gap before it, in order; they add up to the gap. used: since this
    side's turn before, also by what never became a turn (a reply that was taken back).
    """

    index: int
    role: str
    said: str
    heard: str
    started_s: float
    ended_s: float
    source: str = ""
    interrupted: bool = False
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    used: Used = Used()


class Journal(Protocol):
    """Takes what happened, at once and without blocking; somebody else writes it down."""

    def turn(self, turn: Turn) -> None:
        """One side has had its say."""

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Something else worth knowing. data: JSON, without words, numbers or keys."""
