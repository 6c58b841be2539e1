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
        warm_up="apps.providers.local_ears:warm_up",
    ),
    Declaration(
        kind="llm",
        name="local",
        title="Responder, on this server",
        description=(
            "Not a language model: a deterministic responder. It answers with the sentences of the "
            "prompt that fit best to what was said (English), and asks back when none does; it "
            "calls tools by their description. For trying things out offline."
        ),
        models=("responder",),
        factory="apps.providers.local_mind:LocalResponder",
    ),
    Declaration(
        kind="llm",
        name="local_gguf",
        title="llama.cpp, on this server",
        description=(
            "Any GGUF language model in this server's folder of models, run by llama.cpp; the "
            "model is the file's name. Works offline; needs the CPU to match."
        ),
        open_models=True,
        options=(
            Option("temperature", "number", "Randomness of the answer.", minimum=0, maximum=2),
            Option("top_p", "number", "Nucleus sampling.", minimum=0, maximum=1),
            Option("top_k", "integer", "Sample from the k likeliest tokens.", minimum=0),
            Option(
                "max_tokens",
                "integer",
                "Longest answer, in tokens.",
                default=300,
                minimum=1,
                maximum=4096,
            ),
            Option("frequency_penalty", "number", "Against repetition.", minimum=-2, maximum=2),
            Option("presence_penalty", "number", "Towards new subjects.", minimum=-2, maximum=2),
            Option("seed", "integer", "For repeatable answers.", minimum=0),
        ),
        extra="gguf",
        modules=("xllamacpp",),
        environment=("GGUF_FOLDER",),
        factory="apps.providers.local_gguf:LocalGguf",
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
        warm_up="apps.providers.local_voice:warm_up",
    ),
)
