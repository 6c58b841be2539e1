"""Mistral's language models."""

from __future__ import annotations

import hashlib
import re

from apps.providers.base import Declaration, ServiceSettings
from apps.providers.chat_completions import ChatCompletions, Dialect, Fields, options, renamed

DECLARATIONS = (
    Declaration(
        kind="llm",
        name="mistral",
        title="Mistral",
        description="Mistral's language models, by its own endpoint.",
        models=(
            ("mistral-small-latest", "mistral-medium-latest", "mistral-large-latest")
            + ("ministral-8b-latest", "ministral-3b-latest")
        ),
        open_models=True,
        default_model="mistral-small-latest",
        options=options(without="base_url enable_prompt_caching top_k"),
        needs_key=True,
        extra="openai",
        modules=("openai",),
        factory="apps.providers.mistral:Mistral",
        billing="tokens",
        base_url="https://api.mistral.ai",
        source="Mistral's API specification, as clients in Rust and JavaScript are generated from "
        "it, and the rules that Pipecat found for histories; November 2026.",
        limits=("A system message in mid-call is spoken by the user: Mistral takes them first.",),
    ),
)

_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")


def _call_id(call_id: str) -> str:
    """Return an id as Mistral takes them: nine letters or digits. Others' become such."""
    if _CALL_ID.fullmatch(call_id):
        return call_id
    return hashlib.sha256(call_id.encode()).hexdigest()[:9]


def _fields(model: str, given: Fields, extra: Fields) -> Fields:
    return renamed(given, seed="random_seed")


class Mistral(ChatCompletions):
    """Implements ``voice.ports.LanguageModel`` over Mistral."""

    def __init__(self, settings: ServiceSettings) -> None:
        # Mistral refuses fields that it does not know, stream_options among them.
        origin = DECLARATIONS[0].base_url
        dialect = Dialect(origin, fields=_fields, usage_asked=False, call_id=_call_id)
        super().__init__(settings, dialect)
