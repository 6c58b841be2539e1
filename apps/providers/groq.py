"""Groq's language models: open ones, on hardware of its own."""

from __future__ import annotations

from apps.providers.base import Declaration, ServiceSettings
from apps.providers.chat_completions import (
    CACHES_UNASKED,
    NO_EFFECT,
    ChatCompletions,
    Dialect,
    Fields,
    options,
    renamed,
)

DECLARATIONS = (
    Declaration(
        kind="llm",
        name="groq",
        title="Groq",
        description="Open language models, run by Groq. Models that reason are asked not to, or "
        "as little as they can: extra says otherwise.",
        models=(
            ("openai/gpt-oss-120b", "openai/gpt-oss-20b", "llama-3.3-70b-versatile")
            + ("llama-3.1-8b-instant", "qwen/qwen3.6-27b")
        ),
        open_models=True,
        default_model="openai/gpt-oss-120b",
        options=options(
            without="base_url",
            top_k=NO_EFFECT,
            frequency_penalty=NO_EFFECT,
            presence_penalty=NO_EFFECT,
            enable_prompt_caching=CACHES_UNASKED,
        ),
        needs_key=True,
        extra="openai",
        modules=("openai",),
        factory="apps.providers.groq:Groq",
        billing="tokens",
        base_url="https://api.groq.com",
        source="console.groq.com/docs: API reference, reasoning, models; November 2026.",
        limits=("None of its models knows frequency_penalty, presence_penalty or top_k.",),
    ),
)

_UNKNOWN = ("top_k", "frequency_penalty", "presence_penalty")


def _fields(model: str, given: Fields, extra: Fields) -> Fields:
    found = renamed(given, dropped=_UNKNOWN, max_tokens="max_completion_tokens")
    if "gpt-oss" in model:
        return {**found, "reasoning_effort": "low", "include_reasoning": False}
    if model.startswith("qwen/"):
        return {**found, "reasoning_effort": "none"}
    return found


class Groq(ChatCompletions):
    """Implements ``voice.ports.LanguageModel`` over Groq."""

    def __init__(self, settings: ServiceSettings) -> None:
        dialect = Dialect(DECLARATIONS[0].base_url, "/openai/v1", fields=_fields)
        super().__init__(settings, dialect)
