"""The local trio's declarations: a conversation without a key or a network."""

from __future__ import annotations

from apps.providers.base import Declaration, Option, Voice

DECLARATIONS = (
    Declaration(
        kind="stt",
        name="local",
        title="Moonshine, on this server",
        description="Moonshine Tiny (English) on this server's CPU. Works offline.",
        models=("tiny-en",),
        extra="local",
        modules=("moonshine_voice",),
        factory="apps.providers.local_ears:LocalTranscriber",
    ),
    Declaration(
        kind="llm",
        name="local",
        title="Responder, on this server",
        description=(
            "Not a language model: answers with the sentences of the prompt that fit best to what "
            "was said. For trying things out offline."
        ),
        models=("responder",),
        factory="apps.providers.local_mind:LocalResponder",
    ),
    Declaration(
        kind="tts",
        name="local",
        title="Hibari, on this server",
        description="Hibari (American English) on this server's CPU. Works offline.",
        models=("hibari",),
        voices=(Voice("heart", "Heart", "en-US"),),
        options=(
            Option("speed", "number", "Pace; 1 is normal.", default=1.0, minimum=0.5, maximum=2),
        ),
        extra="local",
        modules=("hibari",),
        factory="apps.providers.local_voice:LocalVoice",
    ),
)
