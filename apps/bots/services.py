"""What can be done to bot configurations. Every change is a new version."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.accounts.audit import Actor, Target, audit_record, who
from apps.accounts.models import Account
from apps.bots.addresses import keys_left_behind, keys_withheld
from apps.bots.document import Draft, draft_read, native_patch
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.selectors import twilio_configs_deleted, twilio_configs_of, version_shown
from apps.bots.speech import lines_speak
from apps.core.facts import happened

# Tells whether the version of this number may be changed.
Guard = Callable[[int], bool]
# What becomes of the version that is to be replaced.
Reader = Callable[[TwilioConfigVersion], Draft]


def always(number: int) -> bool:
    """Let every version be changed."""
    return True


class StaleVersion(Exception):
    """The caller's guard refused: the config has changed since it was read."""


class NotADraft(Exception):
    """Only a draft can be published; an older version is restored, as a new one."""


@dataclass(frozen=True, slots=True)
class Write:
    """Which bot is written, by whom, and how. publish: the new version takes calls at once."""

    account: Account
    config_id: uuid.UUID
    actor: Actor
    guard: Guard = always
    publish: bool = True


@dataclass(frozen=True, slots=True)
class Written:
    """A bot and the version of it that was written or meant. notes: what will not be used."""

    config: TwilioConfig
    version: TwilioConfigVersion
    notes: tuple[str, ...] = ()


def config_create(
    *, account: Account, draft: Draft, actor: Actor, publish: bool = True
) -> TwilioConfig:
    """Store a new bot with its first version. Unpublished, it takes no calls."""
    with transaction.atomic():
        config = TwilioConfig(account=account, stream_token=_token())
        version = _version_of(config, draft=draft, actor=actor, secrets_of=None, number=1)
        version.is_draft = not publish
        _repeat(config, draft.document)
        config.save(force_insert=True)
        version.save(force_insert=True)
        if publish:
            config.current = version
            config.save(update_fields=["current"])
            _tell(version, actor)
        _audit(config, actor, "create", {}, draft.document)
        transaction.on_commit(partial(lines_speak.enqueue, version.id))
    return config


def config_replace(write: Write, body: Any) -> Written:
    """Give a bot a new version, of either form. Secrets that it says nothing of stay as they are.

    Raises TwilioConfig.DoesNotExist, StaleVersion if the guard refuses the version that would be
    replaced, or serializers.ValidationError.
    """
    defaults = write.account.defaults

    def read(before: TwilioConfigVersion) -> Draft:
        draft = draft_read(body, before, defaults)
        return _keys_at_home(draft, before, given=draft.api_keys or ())

    return _change(write, "replace", read)


def config_patch(write: Write, patch: Any) -> Written:
    """Merge a patch (RFC 7396) over the bot's native form, as its new version.

    Two patches at once both count: the second is merged over the first's outcome.
    Raises TwilioConfig.DoesNotExist, StaleVersion, or serializers.ValidationError.
    """

    def merged(before: TwilioConfigVersion) -> Draft:
        draft = draft_read(native_patch(before, patch), before)
        # The merge held the old secrets already; what it took out is to go.
        settled = replace(draft, api_keys=draft.api_keys or {}, tool_headers=_settled(draft))
        return _keys_at_home(settled, before, given=patch.get("api_keys") or ())

    return _change(write, "patch", merged)


def config_restore(write: Write, number: int) -> Written:
    """Make an older version's content, secrets included, the bot's new version.

    Raises TwilioConfig.DoesNotExist, TwilioConfigVersion.DoesNotExist, or StaleVersion.
    """
    with transaction.atomic():
        config, before = _locked(write)
        old = TwilioConfigVersion.objects.get(config=config, number=number)
        version = TwilioConfigVersion(
            config=config,
            number=config.latest_number + 1,
            document=old.document,
            body=old.body,
            face=old.face,
            kept=old.kept,
            secrets=old.secrets,
            author=write.actor.user,
            author_key=write.actor.key,
        )
        _store(config, version, write.actor, publish=True)
        _audit(config, write.actor, "restore", before.document, old.document)
    return Written(config, version)


def config_publish(write: Write, number: int) -> Written:
    """Let a draft take calls. Publishing what is published already changes nothing.

    Raises TwilioConfig.DoesNotExist, TwilioConfigVersion.DoesNotExist, StaleVersion, or NotADraft
    for a version that is no draft, or one that a published version has overtaken.
    """
    with transaction.atomic():
        config, before = _locked(write)
        version = TwilioConfigVersion.objects.get(config=config, number=number)
        if version.id == config.current_id:
            return Written(config, version)
        published = config.current.number if config.current else 0
        if not version.is_draft or version.number < published:
            raise NotADraft
        old = before.document if config.current else {}
        config.current = version
        _repeat(config, version.document)
        config.save()
        _tell(version, write.actor)
        _audit(config, write.actor, "publish", old, version.document)
    return Written(config, version)


def config_token_rotate(write: Write, *, grace_s: int) -> Written:
    """Give a bot another stream token; the old one opens streams for ``grace_s`` seconds more.

    Raises TwilioConfig.DoesNotExist.
    """
    with transaction.atomic():
        config, version = _locked(write)
        config.previous_stream_token = config.stream_token if grace_s else ""
        config.previous_token_until = timezone.now() + timedelta(seconds=grace_s)
        config.stream_token = _token()
        config.save()
        _audit(config, write.actor, "rotate_token", {}, {"grace_seconds": grace_s})
    return Written(config, version)


def config_delete(write: Write) -> None:
    """Take a bot out of service. Its row and versions stay for the calls that refer to them.

    Raises TwilioConfig.DoesNotExist, or StaleVersion.
    """
    with transaction.atomic():
        config, before = _locked(write)
        config.deleted_at = timezone.now()
        config.save(update_fields=["deleted_at", "updated_at"])
        _audit(config, write.actor, "delete", before.document, {})


def config_undelete(write: Write) -> Written:
    """Put a deleted bot back into service as it was: id, token, versions and pasted TwiML.

    Raises TwilioConfig.DoesNotExist, also for one that was never deleted.
    """
    with transaction.atomic():
        gone = twilio_configs_deleted(write.account).select_for_update()
        config = gone.get(pk=write.config_id)
        config.account = write.account
        config.deleted_at = None
        config.save(update_fields=["deleted_at", "updated_at"])
        version = version_shown(config)
        _audit(config, write.actor, "undelete", {}, version.document)
    return Written(config, version)


# --- inside -------------------------------------------------------------------------------------


def _change(write: Write, action: str, read: Reader) -> Written:
    with transaction.atomic():
        config, before = _locked(write)
        draft = read(before)
        version = _version_of(
            config,
            draft=draft,
            actor=write.actor,
            secrets_of=before,
            number=config.latest_number + 1,
        )
        _store(config, version, write.actor, publish=write.publish)
        verb = action if write.publish else "draft"
        _audit(config, write.actor, verb, before.document, draft.document)
    own = version.secrets["api_keys"]
    notes = (*draft.notes, *keys_withheld(write.account, version.document, own))
    return Written(config, version, notes)


def _locked(write: Write) -> tuple[TwilioConfig, TwilioConfigVersion]:
    """Lock a bot; return it and the version that the write would replace.

    That is the one that takes calls for a write that is to take them, else the latest.
    """
    # The version is read after the lock is held, not joined to it: PostgreSQL would join the one
    # that was current before the wait.
    configs = twilio_configs_of(write.account).select_for_update()
    config = configs.get(pk=write.config_id)
    config.account = write.account
    version = config.current if write.publish else None
    if version is None:
        version = TwilioConfigVersion.objects.get(config=config, number=config.latest_number)
    if not write.guard(version.number):
        raise StaleVersion
    return config, version


def _store(
    config: TwilioConfig, version: TwilioConfigVersion, actor: Actor, *, publish: bool
) -> None:
    version.is_draft = not publish
    version.save(force_insert=True)
    config.latest_number = version.number
    if publish:
        config.current = version
    if publish or config.current_id is None:
        _repeat(config, version.document)
    config.save()
    if publish:
        _tell(version, actor)
    transaction.on_commit(partial(lines_speak.enqueue, version.id))


def _tell(version: TwilioConfigVersion, actor: Actor) -> None:
    """Say that a version takes calls now. Each does so once, for what is old is restored as new."""
    config = version.config
    kind, identifier, name = who(actor)
    happened.send(
        sender=TwilioConfig,
        account_id=config.account_id,
        kind="config.published",
        data={
            "config_id": config.id,
            "name": config.name,
            "version": version.number,
            "by": {"kind": str(kind), "id": identifier, "name": name},
        },
        key=f"{config.id}/{version.number}",
    )


def _repeat(config: TwilioConfig, document: Mapping[str, Any]) -> None:
    config.name = document["name"]
    config.metadata = document["metadata"]
    config.llm_provider = document["llm"]["provider"]
    config.tts_provider = document["tts"]["provider"]
    config.stt_provider = document["stt"]["provider"]


def _version_of(
    config: TwilioConfig,
    *,
    draft: Draft,
    actor: Actor,
    secrets_of: TwilioConfigVersion | None,
    number: int,
) -> TwilioConfigVersion:
    return TwilioConfigVersion(
        config=config,
        number=number,
        document=draft.document,
        body=draft.body,
        face=draft.face,
        kept=draft.kept,
        secrets=_secrets(draft, secrets_of),
        author=actor.user,
        author_key=actor.key,
    )


def _audit(
    config: TwilioConfig,
    actor: Actor,
    verb: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    audit_record(
        account=config.account,
        actor=actor,
        action=f"config.{verb}",
        target=Target("config", str(config.id)),
        before=before,
        after=after,
    )


def _token() -> str:
    return secrets.token_urlsafe(24)


def _settled(draft: Draft) -> dict[str, Mapping[str, str]]:
    return {name: given or {} for name, given in draft.tool_headers.items()}


def _keys_at_home(draft: Draft, before: TwilioConfigVersion, *, given: Collection[str]) -> Draft:
    """Drop the bot's own keys that would go to an address that they were not given for.

    given: the providers whose keys came with this change, and so for its addresses.
    """
    old: Mapping[str, str] = before.secrets.get("api_keys", {})
    keys = old if draft.api_keys is None else draft.api_keys
    moved = keys_left_behind(before.document, draft.document, keys.keys() - set(given))
    if not moved:
        return draft
    notes = (
        f"api_keys.{name}: The bot's key was for another address, and is dropped. Send it again."
        for name in moved
    )
    stay = {name: key for name, key in keys.items() if name not in moved}
    return replace(draft, api_keys=stay, notes=(*draft.notes, *notes))


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
