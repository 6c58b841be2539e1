"""OpenAI's language models, by Chat Completions."""

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

_TO_REASONING = "Not sent to models while they reason, which refuse it."

DECLARATIONS = (
    Declaration(
        kind="llm",
        name="openai",
        title="OpenAI",
        description="OpenAI's language models, by Chat Completions. Models that reason are asked "
        "not to, or as little as they can: extra.reasoning_effort says otherwise.",
        models=(
            ("gpt-5.4-mini", "gpt-5.4", "gpt-5.4-nano", "gpt-5.5", "gpt-5.6-luna")
            + ("gpt-5.6-terra", "gpt-5.6-sol", "gpt-6-luna", "gpt-6-sol", "gpt-6-astra")
            + ("gpt-5.2", "gpt-5.1", "gpt-5-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4o-mini")
        ),
        open_models=True,
        default_model="gpt-5.4-mini",
        options=options(
            without="base_url",
            temperature=_TO_REASONING,
            top_p=_TO_REASONING,
            frequency_penalty=_TO_REASONING,
            presence_penalty=_TO_REASONING,
            top_k=NO_EFFECT,
            enable_prompt_caching=CACHES_UNASKED,
        ),
        needs_key=True,
        extra="openai",
        modules=("openai",),
        factory="apps.providers.openai_chat:OpenAI",
        billing="tokens",
        base_url="https://api.openai.com",
        source="OpenAI's API reference and its Python SDK 3.57 (ChatModel, deprecations), "
        "November 2026.",
        limits=(
            "From gpt-5.4 on, tools and reasoning go together only in OpenAI's Responses API, "
            "which is not spoken here.",
        ),
    ),
)

_SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_VERSION = re.compile(r"gpt-(\d+)(?:\.(\d+))?(?!.*chat)")


def _effort(model: str) -> str | None:
    """Return the least reasoning that a model offers; None where the default is least, or where
    there is nothing to choose.

    gpt-5 knows ``minimal``, its successors ``none``. Up to 5.4 that is their default, and some of
    them refuse the word beside tools; after it, they refuse tools without the word.
    """
    found = _VERSION.match(model)
    if found is None or "-pro" in model or "codex" in model:
        return None
    version = (int(found[1]), int(found[2] or 0))
    if version < (5, 0) or (5, 1) <= version <= (5, 4):
        return None
    return "minimal" if version == (5, 0) else "none"


def _reasons(model: str, effort: str | None) -> bool:
    """Whether a model will reason, and then samples in its own way."""
    if re.match(r"o\d", model):
        return True
    if not re.match(r"gpt-[5-9]", model):
        return False
    # What refuses sampling whatever its effort: gpt-5 itself, the -pro and the codex models.
    fixed = re.match(r"gpt-5(?!\.)", model) or "-pro" in model or "codex" in model
    return bool(fixed) or effort not in (None, "none")


def _fields(model: str, given: Fields, extra: Fields) -> Fields:
    effort = extra.get("reasoning_effort", _effort(model))
    dropped = ("top_k", *(_SAMPLING if _reasons(model, effort) else ()))
    found = renamed(given, dropped=dropped, max_tokens="max_completion_tokens")
    return found if effort is None else {**found, "reasoning_effort": effort}


class OpenAI(ChatCompletions):
    """Implements ``voice.ports.LanguageModel`` over OpenAI."""

    def __init__(self, settings: ServiceSettings) -> None:
        origin = DECLARATIONS[0].base_url
        super().__init__(settings, Dialect(origin, fields=_fields, turns=False))
