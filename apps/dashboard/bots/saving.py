"""Saves what the editor holds, through the services, and says what became of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from rest_framework import serializers
from rest_framework.exceptions import APIException

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.bots.addresses import keys_withheld
from apps.bots.document import draft_read, native_of
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.selectors import version_numbered, version_shown
from apps.bots.services import (
    StaleVersion,
    Write,
    Written,
    config_create,
    config_patch,
    config_publish,
)
from apps.core.errors import BODY, fields_flatten
from apps.dashboard.bots.form import BotForm, Stored
from apps.dashboard.bots.toolrows import headers_moved

# How a new bot opens, so that its first caller hears something.
GREETING = "Hello! How can I help you?"


class Refused(Exception):
    """The form says what is wrong, at its controls."""


class Unchanged(Exception):
    """There is nothing to save."""


@dataclass(frozen=True, slots=True)
class Save:
    """What is asked for. base: the version that the page was written from. onto: the number of the
    version that is replaced, which is base's unless the user has seen that there is a newer one."""

    config: TwilioConfig
    base: TwilioConfigVersion
    onto: int
    actor: Actor
    publish: bool


def stored_of(version: TwilioConfigVersion) -> Stored:
    """Return what the editor is written from. version: with its secrets, of which names stay."""
    headers = version.secrets.get("tool_headers", {})
    return Stored(
        native_of(version.document), {tool: list(names) for tool, names in headers.items()}
    )


def stored_new(account: Account) -> Stored:
    """Return what a new bot of the account starts with."""
    body = {"config": {"llm": {"prompt": "…"}, "greeting": {"mode": "text", "text": GREETING}}}
    native = native_of(draft_read(body, defaults=account.defaults).document)
    native["config"]["llm"]["prompt"] = ""
    return Stored(native)


def bot_create(*, account: Account, form: BotForm, actor: Actor, publish: bool) -> Written:
    """Make the bot that the form holds. Raises Refused."""
    body = form.body()
    _readable(form)
    try:
        draft = draft_read(body)
    except APIException as exc:
        _refuse(form, exc)
    config = config_create(account=account, draft=draft, actor=actor, publish=publish)
    withheld = keys_withheld(account, draft.document, draft.api_keys or ())
    return Written(config, version_shown(config), (*draft.notes, *withheld))


def bot_save(save: Save, form: BotForm) -> Written:
    """Write what the form changed as the bot's new version. With nothing changed, a draft that is
    to take calls does so itself.

    Raises Refused, Unchanged, StaleVersion, NotADraft or TwilioConfig.DoesNotExist.
    """
    patch = patch_of(save, form)
    _readable(form)
    current = save.config.current
    of_drafts = current is None or current.number != save.onto
    if save.publish and save.config.latest_number != save.onto:
        # Somebody drafts meanwhile, and would be overtaken without a word.
        raise StaleVersion
    try:
        if patch:
            return _written(save, patch, of_drafts=of_drafts)
    except APIException as exc:
        _refuse(form, exc)
    if not (save.publish and of_drafts):
        raise Unchanged
    return config_publish(_write(save), save.onto)


def patch_of(save: Save, form: BotForm) -> dict[str, Any]:
    """Return the patch of the version that is replaced. Raises StaleVersion if there is none."""
    theirs = None
    if save.onto != save.base.number:
        try:
            theirs = native_of(version_numbered(save.config, save.onto).document)
        except TwilioConfigVersion.DoesNotExist:
            raise StaleVersion from None
    patch = form.patch(theirs)
    hooks = (form.stored.native if theirs is None else theirs)["webhook_tools"]
    headers_moved(form.tools, patch, save.base.secrets.get("tool_headers", {}), hooks)
    return patch


def _written(save: Save, patch: dict[str, Any], *, of_drafts: bool) -> Written:
    write = replace(_write(save), guard=lambda number: number == save.onto)
    if not (save.publish and of_drafts):
        return config_patch(write, patch)
    # The patch is of the draft, not of the version that takes calls now.
    with transaction.atomic():
        written = config_patch(replace(write, publish=False), patch)
        published = config_publish(_write(save), written.version.number)
    return replace(published, notes=written.notes)


def _write(save: Save) -> Write:
    config = save.config
    return Write(config.account, config.id, save.actor, publish=save.publish)


def _readable(form: BotForm) -> None:
    if form.complaints:
        raise Refused


def _refuse(form: BotForm, exc: APIException) -> Any:
    invalid = isinstance(exc, serializers.ValidationError)
    form.refuse(fields_flatten(exc.detail) if invalid else {BODY: [str(exc.detail)]})
    raise Refused from None
