"""The catalogue: every provider by slot and name. The folder's listing is the feature list."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping

from apps.providers import (
    anthropic,
    assemblyai,
    aws_tts,
    azure_tts,
    cartesia,
    custom_llm,
    deepgram,
    deepgram_tts,
    deepseek,
    elevenlabs,
    gemini,
    gladia,
    google_tts,
    grok,
    groq,
    local,
    mistral,
    openai_chat,
    openai_realtime,
    openai_stt,
    openai_tts,
    openrouter,
    playht,
    rime,
    scripted,
    together,
)
from apps.providers.base import Declaration, Kind


def _by_slot(
    declarations: Iterable[Declaration],
) -> Mapping[tuple[Kind, str], Declaration]:
    return {(found.kind, found.name): found for found in declarations}


PROVIDERS: Mapping[tuple[Kind, str], Declaration] = _by_slot(
    (
        *local.DECLARATIONS,
        *deepgram.DECLARATIONS,
        *assemblyai.DECLARATIONS,
        *gladia.DECLARATIONS,
        *openai_stt.DECLARATIONS,
        *openai_chat.DECLARATIONS,
        *anthropic.DECLARATIONS,
        *gemini.DECLARATIONS,
        *groq.DECLARATIONS,
        *grok.DECLARATIONS,
        *together.DECLARATIONS,
        *mistral.DECLARATIONS,
        *deepseek.DECLARATIONS,
        *openrouter.DECLARATIONS,
        *custom_llm.DECLARATIONS,
        *openai_realtime.DECLARATIONS,
        *cartesia.DECLARATIONS,
        *elevenlabs.DECLARATIONS,
        *deepgram_tts.DECLARATIONS,
        *openai_tts.DECLARATIONS,
        *azure_tts.DECLARATIONS,
        *aws_tts.DECLARATIONS,
        *google_tts.DECLARATIONS,
        *playht.DECLARATIONS,
        *rime.DECLARATIONS,
        *scripted.DECLARATIONS,
    )
)


def catalogue(*, test_providers: bool) -> list[Declaration]:
    """List what a config may name. test_providers: whether the scripted ones are among them."""
    return [found for found in PROVIDERS.values() if test_providers or not found.test_only]


def find(kind: Kind, name: str, *, test_providers: bool) -> Declaration | None:
    """Return a provider's declaration, or None if no config may name it."""
    found = PROVIDERS.get((kind, name))
    return None if found is None or (found.test_only and not test_providers) else found


def names(kind: Kind, *, test_providers: bool) -> list[str]:
    """List the names that are valid in a slot."""
    return [found.name for found in catalogue(test_providers=test_providers) if found.kind == kind]


def import_ahead(used: Iterable[tuple[Kind, str]]) -> None:
    """Import what the providers that bots of this server name need: it takes up to a second each.

    In a thread, at the server's start; else the first caller would wait for it.
    """
    modules = {
        module
        for found in filter(None, map(PROVIDERS.get, used))
        if not found.warm_up and not found.missing()
        for module in (found.factory.partition(":")[0], *found.modules)
    }
    for module in sorted(modules):
        importlib.import_module(module)


async def warm_up() -> None:
    """Load what this server can run locally, so that the first caller does not wait for it."""
    for found in PROVIDERS.values():
        if found.warm_up and not found.missing():
            module, _, name = found.warm_up.partition(":")
            await getattr(importlib.import_module(module), name)()
