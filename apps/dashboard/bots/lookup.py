"""How the pages about bots find a bot: within the accounts where the user may do what is asked."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.urls import reverse

from apps.accounts.credentials import credentials_of
from apps.accounts.models import Account
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.presentation import catalogue_present
from apps.bots.selectors import version_numbered, version_shown
from apps.dashboard.pages import Crumb
from apps.dashboard.scoping import may, narrowed

READ, WRITE = "configs:read", "configs:write"


def bots_seen(request: HttpRequest, scope: str) -> QuerySet[TwilioConfig]:
    """The bots, deleted ones too, of the accounts where the user may do what needs the scope."""
    rows = TwilioConfig.objects.select_related("account", "current")
    heavy = (f"current__{name}" for name in ("body", "kept", "secrets"))
    return narrowed(request, rows.defer(*heavy), scope)


def bot_get(
    request: HttpRequest, bot_id: uuid.UUID | str, scope: str, *, deleted: bool = False
) -> TwilioConfig:
    """One of them that is in service; with ``deleted``, whether it is or not.

    Raises Http404, or PermissionDenied for who may do that in no account.
    """
    if not may(request, scope):
        raise PermissionDenied
    try:
        found = bots_seen(request, scope).filter(pk=uuid.UUID(str(bot_id))).first()
    except ValueError:
        found = None
    if found is None or (found.deleted_at is not None and not deleted):
        raise Http404
    config: TwilioConfig = found
    return config


def version_get(config: TwilioConfig, number: str | int | None) -> TwilioConfigVersion:
    """A version of a bot with its secrets; without a number the latest. Raises Http404."""
    if number is None:
        return version_shown(config, draft=True, whole=True)
    try:
        return version_numbered(config, int(number), whole=True)
    except (TwilioConfigVersion.DoesNotExist, ValueError, OverflowError):
        raise Http404 from None


def catalogue_for(
    account: Account, version: TwilioConfigVersion | None = None
) -> list[dict[str, Any]]:
    """The providers, and which of them have a key: the account's, or the version's own."""
    keys = set(credentials_of(account).values_list("provider", flat=True))
    own = version.secrets.get("api_keys", {}) if version else {}
    return catalogue_present(keys_of=keys | own.keys())


def crumbs(config: TwilioConfig | None = None) -> tuple[Crumb, ...]:
    """What stands above a page about bots, or about one."""
    bots = ("Bots", reverse("admin:bots_twilioconfig_changelist"))
    if config is None:
        return (bots,)
    return (bots, (str(config), reverse("admin:bots_twilioconfig_change", args=[config.pk])))


def accounts_of_writer(request: HttpRequest) -> Sequence[Account]:
    """The accounts where the user may make a bot."""
    return list(narrowed(request, Account.objects.order_by("name"), WRITE, "pk")[:200])
