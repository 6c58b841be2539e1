"""OpenAI's Realtime API (GA): one model that hears, thinks and speaks, under our own turns.

The vendor's turn detection is off: the engine decides when the caller has spoken, when the bot
falls silent, and what was heard of it. Sources are named in ``DECLARATIONS``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress

from apps.providers import failures
from apps.providers.base import Declaration, Option, ServiceSettings, Voice
from apps.providers.openai_realtime_ears import Ears
from apps.providers.openai_realtime_form import MODEL, TRANSCRIPTION, VOICE
from apps.providers.openai_realtime_link import OWN
from apps.providers.openai_realtime_session import Session
from apps.providers.openai_realtime_wire import NAME
from apps.voice.ports import ChatMessage, ModelEvent, ProviderError, SpokenDelta, Tool

_VOICES = "marin cedar alloy ash ballad coral echo sage shimmer verse"

DECLARATIONS = (
    Declaration(
        kind="llm",
        name=NAME,
        title="OpenAI Realtime",
        description=(
            "OpenAI's speech-to-speech models. The model hears the caller and speaks itself, so "
            "the bot's own ears and voice are not used; turns, tools and interruptions are the "
            "platform's, as with any other model. temperature is accepted and has no effect: the "
            "API no longer has it."
        ),
        models=(
            (MODEL, "gpt-realtime-2.1-mini", "gpt-realtime-2", "gpt-realtime-1.5")
            + ("gpt-realtime", "gpt-realtime-mini")
        ),
        open_models=True,
        default_model=MODEL,
        voices=tuple(Voice(name, name.capitalize(), "en") for name in _VOICES.split()),
        open_voices=True,
        options=(
            Option("voice", "string", "The voice: " + _VOICES.replace(" ", ", ") + ".", VOICE),
            Option("speed", "number", "Pace; 1 is normal.", default=1.0, minimum=0.25, maximum=1.5),
            Option(
                "max_tokens",
                "integer",
                "Longest answer, in tokens, speech included; the API takes 4096 at the most.",
                minimum=1,
            ),
            Option("temperature", "number", "Has no effect here.", minimum=0, maximum=2),
            Option("language", "string", "What the caller speaks, for the transcript: en, de …"),
            Option(
                "transcription_model",
                "string",
                "Which model writes the transcript of the caller's words.",
                default=TRANSCRIPTION,
            ),
            Option(
                "noise_reduction",
                "string",
                "What the vendor filters before it listens; far_field suits a speakerphone.",
                choices=("none", "near_field", "far_field"),
                default="none",
            ),
            Option("extra", "object", "Passed to the vendor's session as it stands."),
        ),
        needs_key=True,
        factory="apps.providers.openai_realtime:OpenAIRealtime",
        speaks=True,
        billing="tokens",
        base_url=OWN,
        source=(
            "developers.openai.com/api/reference/resources/realtime, "
            "/api/docs/guides/realtime-conversations, /api/docs/guides/realtime-transcription, "
            "/api/docs/models/gpt-realtime-2.1, and the types of OpenAI's Python SDK 3.57; "
            "read on 26 November 2026"
        ),
        limits=(
            "The platform's own sentences are read out by the same model, which may stray from "
            "their words.",
            "The transcript of the caller's words is another model's, and may differ from what the "
            "model heard.",
            "After a lost connection, or an hour, the model knows the conversation as text only.",
            "The bot's answer is asked for before it is known that there were words; what is "
            "thrown away then is billed, and counted with the next answer.",
        ),
    ),
)


class OpenAIRealtime:
    """Implements ``LanguageModel``, ``Speaking`` and ``Warmable``; has ears and voice."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._session = Session(settings)
        self.voice = RealtimeVoice(self._session)

    @property
    def ears(self) -> Ears:
        return self._session.ears

    async def warm(self) -> None:
        with suppress(ProviderError):
            await self._session.connected()

    def brief(self, messages: Sequence[ChatMessage], tools: Sequence[Tool]) -> None:
        self._session.brief(messages, tools)
        self._session.follow(messages)

    def heard(self, ms: float) -> None:
        self._session.answers.heard(ms)

    def follow(self, messages: Sequence[ChatMessage]) -> None:
        """Tell what the history says now, so that the next answer is asked for with it."""
        self._session.follow(messages)

    def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        return self._session.reply(messages, tools)

    async def aclose(self) -> None:
        await self._session.aclose()


class RealtimeVoice:
    """Implements ``TextToSpeech``: has the model read a sentence out, beside the conversation."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        spoke = False
        async with aclosing(self._session.speak(text)) as events:
            async for event in events:
                if isinstance(event, SpokenDelta) and event.audio:
                    spoke = True
                    yield event.audio
        if not spoke:
            raise failures.no_audio(NAME)

    async def aclose(self) -> None:
        """The connection is the mind's."""
