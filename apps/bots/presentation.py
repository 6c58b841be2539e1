"""How bots, their versions and the catalogue are shown to API clients."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.conf import settings

from apps.bots.dailybots_form import shown_body
from apps.bots.document import document_warnings, native_of
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.twiml import config_twiml, config_voice_url
from apps.core.changes import ABSENT, changes
from apps.providers import registry
from apps.providers.base import Declaration, Kind
from apps.providers.prices import Price, listed

# What a version has that brings none.
NO_SECRETS: Mapping[str, Any] = {"api_keys": {}, "tool_headers": {}}
PUBLISHED, DRAFT, SUPERSEDED = "published", "draft", "superseded"


def config_present(
    config: TwilioConfig, version: TwilioConfigVersion, notes: Iterable[str] = ()
) -> dict[str, Any]:
    """Return a bot as one of its versions, without secrets. notes: more warnings."""
    return {
        "id": config.id,
        "version": version.number,
        "status": version_status(config, version),
        "published_version": config.current.number if config.current else None,
        "latest_version": config.latest_number,
        **native_of(version.document),
        "twiml": config_twiml(config),
        "stream_url": settings.STREAM_URL,
        "voice_url": config_voice_url(config),
        "warnings": [*document_warnings(version.document), *notes],
        "created_at": config.created_at,
        "updated_at": config.updated_at,
    }


def dailybots_present(config: TwilioConfig, version: TwilioConfigVersion) -> dict[str, Any]:
    """Return a bot in Daily Bots' form: the body, the id, and the TwiML."""
    return {**shown_body(version), "id": str(config.id), "twiml": config_twiml(config)}


def version_status(config: TwilioConfig, version: TwilioConfigVersion) -> str:
    """Say whether calls get this version, may get it, or no longer get it."""
    if version.id == config.current_id:
        return PUBLISHED
    overtaken = config.current is not None and version.number < config.current.number
    return DRAFT if version.is_draft and not overtaken else SUPERSEDED


def version_present(
    config: TwilioConfig, version: TwilioConfigVersion, before: TwilioConfigVersion | None
) -> dict[str, Any]:
    """Return a version with what it changed. before: the one before it; None for the first."""
    return {
        "number": version.number,
        "status": version_status(config, version),
        "face": version.face,
        "author": _author(version),
        "created_at": version.created_at,
        "changes": version_changes(before, version),
    }


def _author(version: TwilioConfigVersion) -> dict[str, Any] | None:
    if version.author is not None:
        name = version.author.get_username()
        return {"kind": "user", "id": str(version.author.pk), "name": name}
    if version.author_key is not None:
        key = version.author_key
        return {"kind": "key", "id": str(key.pk), "name": key.name or str(key)}
    return None


def version_changes(
    before: TwilioConfigVersion | None, after: TwilioConfigVersion
) -> list[dict[str, Any]]:
    """Return what differs in the native form, as ``{"path", "before", "after"}``; of secrets only
    that they differ. None: not there."""
    old = native_of(before.document) if before else {}
    found = [
        {
            "path": change.path,
            "before": None if change.before is ABSENT else change.before,
            "after": None if change.after is ABSENT else change.after,
        }
        for change in changes(old, native_of(after.document))
    ]
    secrets = changes(before.secrets if before else NO_SECRETS, after.secrets)
    return [
        *found,
        *({"path": change.path, "before": None, "after": None} for change in secrets),
    ]


def catalogue_present(
    *, kind: Kind | None = None, keys_of: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Return every provider that a config may name. keys_of: those the account has a key for."""
    found = registry.catalogue(test_providers=settings.ENABLE_TEST_PROVIDERS)
    return [
        _provider(declaration, declaration.name in keys_of)
        for declaration in found
        if kind in (None, declaration.kind)
    ]


def _provider(found: Declaration, has_key: bool) -> dict[str, Any]:
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
        "needs_key": found.needs_key and not found.key_optional,
        "has_key": has_key,
        "available": not missing,
        "missing": missing,
        "closed": found.closed,
        "speaks": found.speaks,
        "billing": found.billing,
        "limits": list(found.limits),
        "source": found.source,
        "prices": [_price(line) for line in _prices(found)],
    }


def _prices(found: Declaration) -> list[Price]:
    kinds: tuple[Kind, ...] = (found.kind, "stt") if found.speaks else (found.kind,)
    return [line for kind in kinds for line in listed(kind, found.name, settings.PRICES)]


def _price(line: Price) -> dict[str, Any]:
    return {
        "slot": line.kind,
        "model": line.model,
        "usd": {unit: str(usd) for unit, usd in line.usd.items()},
        "free": line.free,
        "source": line.source,
        "read": line.read,
        "note": line.note,
    }
