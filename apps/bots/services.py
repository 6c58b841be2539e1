"""What can be done to bot configurations. Every change is a new version."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.bots.document import Draft, draft_read, native_patch
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.selectors import twilio_configs_of
from apps.bots.speech import lines_speak

# Tells whether the version of this number may be changed.
Guard = Callable[[int], bool]


class StaleVersion(Exception):
    """The caller's guard refused: the config has changed since it was read."""


def config_create(*, account: Account, draft: Draft, actor: Actor) -> TwilioConfig:
    """Store a new bot with its first version."""
    with transaction.atomic():
        config = TwilioConfig(account=account, stream_token=secrets.token_urlsafe(24))
        config.name = draft.document["name"]
        config.save()
        _version_add(config, draft=draft, actor=actor, before=None)
    return config


def config_replace(
    *, account: Account, config_id: uuid.UUID, draft: Draft, actor: Actor, guard: Guard
) -> TwilioConfig:
    """Give a bot a new version. Secrets that the draft says nothing of stay as they are.

    Raises TwilioConfig.DoesNotExist, or StaleVersion if ``guard`` refuses the current version.
    """
    with transaction.atomic():
        config, before = _locked(account, config_id, guard)
        _version_add(config, draft=draft, actor=actor, before=before)
    return config


def config_patch(
    *, account: Account, config_id: uuid.UUID, patch: Any, actor: Actor, guard: Guard
) -> tuple[TwilioConfig, Draft]:
    """Merge a patch (RFC 7396) over the bot's native form, as its new version.

    Two patches at once both count: the second is merged over the first's outcome.
    Raises TwilioConfig.DoesNotExist, StaleVersion, or serializers.ValidationError.
    """
    with transaction.atomic():
        config, before = _locked(account, config_id, guard)
        draft = draft_read(native_patch(before, patch))
        # The merge held the old secrets already; what it took out is to go.
        _version_add(config, draft=draft, actor=actor, before=None, number=before.number + 1)
    return config, draft


def config_delete(*, account: Account, config_id: uuid.UUID, guard: Guard) -> None:
    """Take a bot out of service. Its row and versions stay for the calls that refer to them.

    Raises TwilioConfig.DoesNotExist, or StaleVersion.
    """
    with transaction.atomic():
        config, _ = _locked(account, config_id, guard)
        config.deleted_at = timezone.now()
        config.save(update_fields=["deleted_at", "updated_at"])


def _locked(
    account: Account, config_id: uuid.UUID, guard: Guard
) -> tuple[TwilioConfig, TwilioConfigVersion]:
    # The version is read after the lock is held, not joined to it: PostgreSQL would join the one
    # that was current before the wait.
    config = twilio_configs_of(account).select_for_update().get(pk=config_id)
    version = config.current
    if version is None:
        raise TwilioConfig.DoesNotExist
    if not guard(version.number):
        raise StaleVersion
    return config, version


def _version_add(
    config: TwilioConfig,
    *,
    draft: Draft,
    actor: Actor,
    before: TwilioConfigVersion | None,
    number: int | None = None,
) -> None:
    version = TwilioConfigVersion(
        config=config,
        number=number or (before.number + 1 if before else 1),
        document=draft.document,
        body=draft.body,
        face=draft.face,
        secrets=_secrets(draft, before),
        author=actor.user,
        author_key=actor.key,
    )
    version.save()
    config.current = version
    config.name = draft.document["name"]
    config.save(update_fields=["current", "name", "updated_at"])
    transaction.on_commit(partial(lines_speak.enqueue, version.id))


def _secrets(draft: Draft, before: TwilioConfigVersion | None) -> dict[str, Any]:
    old = before.secrets if before else {}
    keys = old.get("api_keys", {}) if draft.api_keys is None else draft.api_keys
    headers = {
        name: _old_headers(name, draft, before) if given is None else given
        for name, given in draft.tool_headers.items()
    }
    return {
        "api_keys": dict(keys),
        "tool_headers": {name: dict(found) for name, found in headers.items() if found},
    }


def _old_headers(name: str, draft: Draft, before: TwilioConfigVersion | None) -> Mapping[str, str]:
    if before is None:
        return {}
    old = before.document["webhook_tools"].get(name, {}).get("url")
    if old != draft.document["webhook_tools"][name]["url"]:
        # What was meant for one address is not sent to another.
        return {}
    found: Mapping[str, str] = before.secrets.get("tool_headers", {}).get(name, {})
    return found
