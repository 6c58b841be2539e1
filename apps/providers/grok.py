"""xAI's Grok."""

from __future__ import annotations

import re

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

_TO_REASONING = "Not sent to models that can reason, which refuse it."

DECLARATIONS = (
    Declaration(
        kind="llm",
        name="grok",
        title="xAI Grok",
        description="xAI's language models. Where reasoning can be switched off, it is: "
        "extra.reasoning_effort says otherwise.",
        models=("grok-4.3", "grok-4.20-0309-non-reasoning", "grok-4.20-0309-reasoning"),
        open_models=True,
        default_model="grok-4.3",
        options=options(
            without="base_url",
            top_k=NO_EFFECT,
            frequency_penalty=_TO_REASONING,
            presence_penalty=_TO_REASONING,
            enable_prompt_caching=CACHES_UNASKED,
        ),
        needs_key=True,
        extra="openai",
        modules=("openai",),
        factory="apps.providers.grok:Grok",
        billing="tokens",
        base_url="https://api.x.ai",
        source="docs.x.ai: chat completions, reasoning, the retirements of May 2026; read in "
        "November 2026.",
    ),
)


def _fields(model: str, given: Fields, extra: Fields) -> Fields:
    dropped = ["top_k"]
    if "non-reasoning" not in model:
        dropped += ["frequency_penalty", "presence_penalty"]
    found = renamed(given, dropped=dropped, max_tokens="max_completion_tokens")
    # The first that takes "none" is 4.3; 4.20 is older, and two models.
    if re.match(r"grok-(?:4\.[3-9](?!\d)|[5-9])", model):
        found["reasoning_effort"] = "none"
    return found


class Grok(ChatCompletions):
    """Implements ``voice.ports.LanguageModel`` over xAI."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings, Dialect(DECLARATIONS[0].base_url, fields=_fields, turns=False))
