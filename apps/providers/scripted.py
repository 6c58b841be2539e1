"""Scripted providers: zero delay by default, deterministic, every fault of a drill an option.

They exist only where test providers are enabled, and are what benchmarks and tests speak with.
"""

from __future__ import annotations

from apps.providers.base import Declaration, Option, Voice

FAULTS = (
    "none",
    "mute",  # never answers, and lets go when cancelled
    "hang",  # never answers, and ignores its cancellation
    "dribble",  # answers far too slowly
    "refuse",  # fails at once: wrong key
    "rate_limit",  # fails at once: 429
    "cut",  # breaks off in the middle
    "empty",  # answers with nothing
    "garbage",  # answers with nonsense
)

_FAULT = (
    Option("fault", "string", "What goes wrong.", default="none", choices=FAULTS),
    Option(
        "fault_at",
        "integer",
        "Which request it goes wrong at; 0 is every one.",
        default=0,
        minimum=0,
    ),
    Option("delay_ms", "number", "Delay before the first answer.", default=0, minimum=0),
)

DECLARATIONS = (
    Declaration(
        kind="stt",
        name="scripted",
        title="Scripted ears",
        description="Hears what its script says, one line an utterance.",
        options=(
            *_FAULT,
            Option("lines", "array", "What the caller says, an utterance each; then it repeats."),
        ),
        factory="apps.providers.scripted_services:ScriptedTranscriber",
        open_models=True,  # so that a chain may hold several
        test_only=True,
    ),
    Declaration(
        kind="llm",
        name="scripted",
        title="Scripted mind",
        description="Says what its script says, one line an answer; without a script, an echo.",
        options=(
            *_FAULT,
            Option("replies", "array", "What the bot says, a text an answer; then it repeats."),
            Option("token_ms", "number", "Delay between two words.", default=0, minimum=0),
            Option(
                "tool_calls",
                "object",
                'What it calls behind its words, by answer: {"1": [{"name", "arguments"}]}.',
            ),
        ),
        factory="apps.providers.scripted_services:ScriptedMind",
        open_models=True,  # so that a chain may hold several
        test_only=True,
    ),
    Declaration(
        kind="tts",
        name="scripted",
        title="Scripted voice",
        description="Hums a tone as long as the text.",
        voices=(Voice("hum", "Hum"),),
        options=(
            *_FAULT,
            Option(
                "character_ms", "number", "Audio per letter.", default=60, minimum=1, maximum=1000
            ),
            Option("piece_ms", "integer", "Length of a piece.", default=200, minimum=1),
        ),
        factory="apps.providers.scripted_services:ScriptedVoice",
        open_models=True,  # so that a chain may hold several
        test_only=True,
    ),
)
