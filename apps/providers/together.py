"""Together AI's language models: open ones."""

from __future__ import annotations

import re

from apps.providers.base import Declaration, ServiceSettings
from apps.providers.chat_completions import (
    CACHES_UNASKED,
    ChatCompletions,
    Dialect,
    Fields,
    options,
)

DECLARATIONS = (
    Declaration(
        kind="llm",
        name="together",
        title="Together AI",
        description="Open language models, run by Together AI. Models that reason are asked not "
        "to, or as little as they can: extra says otherwise.",
        models=(
            ("openai/gpt-oss-20b", "openai/gpt-oss-120b", "Qwen/Qwen3.5-9B")
            + ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "Qwen/Qwen3-235B-A22B-Instruct-2507-tput")
            + ("moonshotai/Kimi-K2.6", "zai-org/GLM-5.1", "deepseek-ai/DeepSeek-V4-Pro")
        ),
        open_models=True,
        default_model="openai/gpt-oss-20b",
        options=options(without="base_url", enable_prompt_caching=CACHES_UNASKED),
        needs_key=True,
        extra="openai",
        modules=("openai",),
        factory="apps.providers.together:Together",
        billing="tokens",
        base_url="https://api.together.xyz",
        source="Together's chat reference and its guide to reasoning, as cited by models.dev "
        "(July 2026); the models from there.",
    ),
)

# Models whose thinking is on until it is switched off.
_SWITCHED = re.compile(r"qwen3\.[5-9]|glm-5|kimi-k2\.[56]|deepseek-v(?:3-1|3\.1|4)", re.IGNORECASE)


def _fields(model: str, given: Fields, extra: Fields) -> Fields:
    if "reasoning" in extra or "reasoning_effort" in extra:
        return given
    if "gpt-oss" in model:
        return {**given, "reasoning_effort": "low"}
    return {**given, "reasoning": {"enabled": False}} if _SWITCHED.search(model) else given


class Together(ChatCompletions):
    """Implements ``voice.ports.LanguageModel`` over Together AI."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings, Dialect(DECLARATIONS[0].base_url, fields=_fields))
