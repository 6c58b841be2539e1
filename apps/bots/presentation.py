"""How a bot and the catalogue are shown to API clients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings

from apps.bots.document import document_warnings, native_of
from apps.bots.models import TwilioConfig
from apps.bots.twiml import config_twiml, config_voice_url
from apps.providers import registry
from apps.providers.base import Declaration


def config_present(config: TwilioConfig, notes: Iterable[str] = ()) -> dict[str, Any]:
    """Return a bot as its own members, without secrets. notes: more warnings."""
    version = config.current
    if version is None:
        raise ValueError("A config without a version was never shown to anybody.")
    return {
        "id": config.id,
        "version": version.number,
        **native_of(version.document),
        "twiml": config_twiml(config),
        "stream_url": settings.STREAM_URL,
        "voice_url": config_voice_url(config),
        "warnings": [*document_warnings(version.document), *notes],
        "created_at": config.created_at,
        "updated_at": config.updated_at,
    }


def catalogue_present() -> list[dict[str, Any]]:
    """Return every provider that a config may name."""
    found = registry.catalogue(test_providers=settings.ENABLE_TEST_PROVIDERS)
    return [_provider(declaration) for declaration in found]


def _provider(found: Declaration) -> dict[str, Any]:
    missing = found.missing()
    return {
        "kind": found.kind,
        "name": found.name,
        "title": found.title,
        "description": found.description,
        "models": list(found.models),
        "open_models": found.open_models,
        "voices": [
            {"id": voice.id, "name": voice.name, "language": voice.language}
            for voice in found.voices
        ],
        "open_voices": found.open_voices,
        "options": {
            "type": "object",
            "properties": {option.name: option.schema() for option in found.options},
            "additionalProperties": False,
        },
        "needs_key": found.needs_key,
        "available": not missing,
        "missing": missing,
    }
