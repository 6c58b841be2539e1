"""DeepSeek's language models."""

from __future__ import annotations

from apps.providers.base import Declaration, ServiceSettings
from apps.providers.chat_completions import ChatCompletions, Dialect, Fields, options

DECLARATIONS = (
    Declaration(
        kind="llm",
        name="deepseek",
        title="DeepSeek",
        description="DeepSeek's language models. Thinking, which is on by default there, is "
        "switched off: extra.thinking says otherwise.",
        models=("deepseek-flash", "deepseek-v4-pro"),
        open_models=True,
        default_model="deepseek-flash",
        options=options(without="base_url enable_prompt_caching top_k seed"),
        needs_key=True,
        extra="openai",
        modules=("openai",),
        factory="apps.providers.deepseek:DeepSeek",
        billing="tokens",
        base_url="https://api.deepseek.com",
        source="api-docs.deepseek.com: models and pricing, thinking mode, create chat completion; "
        "November 2026.",
        limits=(
            "With extra.thinking enabled, tools fail: the reasoning is not sent back, which "
            "DeepSeek wants then.",
        ),
    ),
)


def _fields(model: str, given: Fields, extra: Fields) -> Fields:
    return {**given, "thinking": {"type": "disabled"}}


class DeepSeek(ChatCompletions):
    """Implements ``voice.ports.LanguageModel`` over DeepSeek."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings, Dialect(DECLARATIONS[0].base_url, "", fields=_fields))
