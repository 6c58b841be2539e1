"""Google's Gemini, by its OpenAI-compatible endpoint."""

from __future__ import annotations

import re
from typing import Any

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
        name="gemini",
        title="Google Gemini",
        description="Google's language models, by the OpenAI-compatible endpoint. They are asked "
        "to think as little as they can: extra.reasoning_effort says otherwise.",
        models=(
            ("gemini-3.8-flash", "gemini-3.5-flash", "gemini-3.1-flash-lite", "gemini-4-argon")
            + ("gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.5-pro")
        ),
        open_models=True,
        default_model="gemini-3.5-flash",
        options=options(
            without="base_url",
            top_k=NO_EFFECT,
            frequency_penalty=NO_EFFECT,
            presence_penalty=NO_EFFECT,
            seed=NO_EFFECT,
            enable_prompt_caching=CACHES_UNASKED,
        ),
        needs_key=True,
        extra="openai",
        modules=("openai",),
        factory="apps.providers.gemini:Gemini",
        billing="tokens",
        base_url="https://generativelanguage.googleapis.com",
        source="ai.google.dev/gemini-api/docs: OpenAI compatibility, thinking, thought signatures; "
        "November 2026.",
        limits=(
            "From gemini-2.5-pro on, the larger models always think, which delays the first word.",
            "The endpoint documents no top_k, seed or penalties; they are not sent.",
        ),
    ),
)

_UNKNOWN = ("top_k", "seed", "frequency_penalty", "presence_penalty")
# Google's own word for a call that its model did not make: it is not checked then.
_UNCHECKED = {"google": {"thought_signature": "skip_thought_signature_validator"}}


def _effort(model: str) -> str | None:
    """Return the least thinking that a model offers: none, minimal (3.x flash), or low."""
    if re.match(r"gemini-2\.5-flash", model):
        return "none"
    if re.match(r"gemini-3.*flash", model):
        return "minimal"
    return "low" if re.match(r"gemini-(?:2\.5-pro|[3-9])", model) else None


def _fields(model: str, given: Fields, extra: Fields) -> Fields:
    found = renamed(given, dropped=_UNKNOWN)
    effort = _effort(model)
    # Both at once are refused; extra.extra_body holds Google's own thinking_config.
    if effort is None or "extra_body" in extra:
        return found
    return {**found, "reasoning_effort": effort}


def _unsigned(model: str) -> Any:
    return None if re.match(r"gemini-[12]", model) else _UNCHECKED


class Gemini(ChatCompletions):
    """Implements ``voice.ports.LanguageModel`` over Google's Gemini API."""

    def __init__(self, settings: ServiceSettings) -> None:
        origin = DECLARATIONS[0].base_url
        dialect = Dialect(origin, "/v1beta/openai", fields=_fields, signs=True, unsigned=_unsigned)
        super().__init__(settings, dialect)
