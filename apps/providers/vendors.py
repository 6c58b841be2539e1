"""Service names that configs may carry already; their adapters arrive one module at a time.

A name without an adapter is stored and shown with what is missing, so that a body written for
Daily Bots is kept whole. Source of the names: Daily Bots' documentation of services.
"""

from __future__ import annotations

from collections.abc import Mapping

from apps.providers.base import Declaration, Kind, Option

_SAMPLING = (
    Option("temperature", "number", "Randomness of the answer.", minimum=0, maximum=2),
    Option("top_p", "number", "Nucleus sampling.", minimum=0, maximum=1),
    Option("top_k", "integer", "Sample from the k likeliest tokens.", minimum=0),
    Option("max_tokens", "integer", "Longest answer, in tokens.", minimum=1),
    Option("frequency_penalty", "number", "Against repetition.", minimum=-2, maximum=2),
    Option("presence_penalty", "number", "Towards new subjects.", minimum=-2, maximum=2),
    Option("seed", "integer", "For repeatable answers."),
    Option("enable_prompt_caching", "boolean", "Let the vendor cache the prompt."),
    Option("base_url", "string", "The endpoint of an OpenAI-compatible server."),
    Option("extra", "object", "Passed to the vendor as it stands."),
)
_SPEECH = (
    Option("speed", "string", "Pace, in the vendor's own words or numbers.", numeric=True),
    Option("emotion", "array", "Emotions, each name[:level]."),
    Option("stability", "number", "Steadiness of the voice.", minimum=0, maximum=1),
    Option("similarity_boost", "number", "Closeness to the original voice.", minimum=0, maximum=1),
    Option("style", "number", "Exaggeration of style.", minimum=0, maximum=1),
    Option("use_speaker_boost", "boolean", "Boost closeness to the speaker."),
    Option("text_filter", "object", "What not to read aloud."),
    Option("sample_rate", "integer", "Sample rate in Hz.", minimum=8000),
    Option("output_format", "string", "The vendor's audio format."),
)


# For choosing from; another name is passed on, with a warning. Sources, read in November 2026:
# OpenAI's agents SDK (OpenAIRealtimeModels).
_MODELS: Mapping[tuple[Kind, str], tuple[str, ...]] = {
    ("llm", "openai_realtime"): ("gpt-realtime", "gpt-realtime-1.5", "gpt-realtime-mini"),
}


def _declare(kind: Kind, name: str, title: str) -> Declaration:
    return Declaration(
        kind=kind,
        name=name,
        title=title,
        description=f"{title}, by its own API.",
        models=_MODELS.get((kind, name), ()),
        open_models=True,
        open_voices=kind == "tts",
        options={"llm": _SAMPLING, "tts": _SPEECH, "stt": ()}[kind],
        needs_key=True,
    )


DECLARATIONS = (
    _declare("llm", "openai_realtime", "OpenAI Realtime"),
    _declare("tts", "rime", "Rime"),
)
