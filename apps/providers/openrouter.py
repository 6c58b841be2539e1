"""OpenRouter: one endpoint before most vendors' language models."""

from __future__ import annotations

from apps.providers.base import Declaration, ServiceSettings
from apps.providers.chat_completions import ChatCompletions, Dialect, Fields, options

DECLARATIONS = (
    Declaration(
        kind="llm",
        name="openrouter",
        title="OpenRouter",
        description="Most vendors' language models behind one key. Reasoning is kept least "
        "(reasoning.effort minimal) and out of the answer: extra.reasoning says otherwise.",
        models=(
            ("openai/gpt-5.4-mini", "google/gemini-3.5-flash", "anthropic/claude-haiku-4.5")
            + ("deepseek/deepseek-v4-flash", "x-ai/grok-4.3", "openai/gpt-oss-120b")
        ),
        open_models=True,
        default_model="openai/gpt-5.4-mini",
        options=options(without="base_url enable_prompt_caching"),
        needs_key=True,
        extra="openai",
        modules=("openai",),
        factory="apps.providers.openrouter:OpenRouter",
        billing="tokens",
        base_url="https://openrouter.ai",
        source="openrouter.ai/docs: API reference, streaming, errors, reasoning tokens; "
        "November 2026.",
        limits=("A vendor behind it may not know an option; OpenRouter then leaves it out.",),
    ),
)


def _fields(model: str, given: Fields, extra: Fields) -> Fields:
    if "reasoning" in extra or "reasoning_effort" in extra:
        return given
    if model.startswith("anthropic/"):  # an effort would switch Claude's thinking on
        return {**given, "reasoning": {"exclude": True}}
    # Not "none": models that cannot do without reasoning refuse it.
    return {**given, "reasoning": {"effort": "minimal", "exclude": True}}


class OpenRouter(ChatCompletions):
    """Implements ``voice.ports.LanguageModel`` over OpenRouter."""

    def __init__(self, settings: ServiceSettings) -> None:
        # Its list of models has a megabyte, and needs no key; what a key may do is short.
        dialect = Dialect(
            DECLARATIONS[0].base_url,
            "/api/v1",
            fields=_fields,
            usage_asked=False,
            warm_path="/key",
        )
        super().__init__(settings, dialect)
