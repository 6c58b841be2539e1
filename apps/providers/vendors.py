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


# For choosing from; another name is passed on, with a warning. Sources, read in November 2026:
# developers.deepgram.com/docs/model, docs.gladia.io (models), AssemblyAI's Python SDK
# (SpeechModel), OpenAI's agents SDK (OpenAIRealtimeModels).
_MODELS: Mapping[tuple[Kind, str], tuple[str, ...]] = {
    ("stt", "deepgram"): (
        ("nova-3", "nova-2", "nova-2-general", "nova-2-phonecall")
        + ("flux-general-en", "flux-general-multi")
    ),
    ("stt", "assemblyai"): ("universal-streaming-english", "universal-streaming-multilingual"),
    ("stt", "gladia"): ("solaria-1",),
    ("llm", "openai_realtime"): ("gpt-realtime", "gpt-realtime-1.5", "gpt-realtime-mini"),
}
# Daily Bots' documented default; others leave the choice to the vendor.
_DEFAULT_MODELS: Mapping[tuple[Kind, str], str] = {("stt", "deepgram"): "nova-2-general"}


def _declare(kind: Kind, name: str, title: str) -> Declaration:
    return Declaration(
        kind=kind,
        name=name,
        title=title,
        description=f"{title}, by its own API.",
        models=_MODELS.get((kind, name), ()),
        open_models=True,
        default_model=_DEFAULT_MODELS.get((kind, name), ""),
        options=_SAMPLING if kind == "llm" else (),
        needs_key=True,
    )


DECLARATIONS = (
    _declare("stt", "deepgram", "Deepgram"),
    _declare("stt", "assemblyai", "AssemblyAI"),
    _declare("stt", "gladia", "Gladia"),
    _declare("llm", "openai_realtime", "OpenAI Realtime"),
)
