"""A bot's versions: what each changed, and publishing or restoring one."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.presentation import version_present, version_status
from apps.bots.selectors import versions_before, versions_of
from apps.bots.services import NotADraft, Write, Written, config_publish, config_restore
from apps.dashboard.bots.history import changes_between
from apps.dashboard.bots.lookup import READ, WRITE, bot_get, crumbs
from apps.dashboard.pages import page
from apps.dashboard.scoping import actor_in, may

A_PAGE = 25


def versions(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """List a bot's versions, newest first, with what each changed."""
    config = bot_get(request, id, READ)
    found = Paginator(versions_of(config).order_by("-number"), A_PAGE)
    here = found.get_page(request.GET.get("page"))
    before = versions_before(config, list(here))
    return page(
        request,
        "dashboard/bots/versions.html",
        title="Versions",
        crumbs=crumbs(config),
        bot=config,
        tab="versions",
        may_save=may(request, WRITE, config.account_id),
        here=here,
        versions=[
            version_present(config, version, before.get(version.number - 1)) for version in here
        ],
    )


def version(request: HttpRequest, id: uuid.UUID, number: int) -> HttpResponse:
    """Show what a version changed, against the one before or against ``?to=``."""
    config = bot_get(request, id, READ)
    shown = _numbered(config, number)
    asked = request.GET.get("to", "")
    other = int(asked) if asked.isdecimal() and len(asked) < 10 else number - 1
    before = _numbered(config, other) if other else None
    return page(
        request,
        "dashboard/bots/version.html",
        title=f"Version {number}",
        crumbs=(
            *crumbs(config),
            ("Versions", reverse("admin:bots_twilioconfig_versions", args=[config.pk])),
        ),
        bot=config,
        tab="versions",
        may_save=may(request, WRITE, config.account_id),
        version=shown,
        status=version_status(config, shown),
        before=before,
        numbers=range(config.latest_number, 0, -1)[:100],
        changes=changes_between(before, shown),
    )


def _numbered(config: TwilioConfig, number: int) -> TwilioConfigVersion:
    try:
        return versions_of(config).get(number=number)
    except (TwilioConfigVersion.DoesNotExist, OverflowError):
        raise Http404 from None


@require_POST
def publish(request: HttpRequest, id: uuid.UUID, number: int) -> HttpResponse:
    """Let a draft take calls."""
    return _done(request, id, lambda write: config_publish(write, number), "takes calls now")


@require_POST
def restore(request: HttpRequest, id: uuid.UUID, number: int) -> HttpResponse:
    """Make an old version the bot's new one."""
    told = f"is as it was in version {number}, and takes calls so"
    return _done(request, id, lambda write: config_restore(write, number), told)


def _done(
    request: HttpRequest, id: uuid.UUID, act: Callable[[Write], Written], told: str
) -> HttpResponse:
    config = bot_get(request, id, READ)
    if not may(request, WRITE, config.account_id):
        raise PermissionDenied
    before = config.current
    try:
        written = act(Write(config.account, config.pk, actor_in(request)))
    except (TwilioConfig.DoesNotExist, TwilioConfigVersion.DoesNotExist):
        raise Http404 from None
    except NotADraft:
        messages.error(request, "A newer version takes calls already; restore this one instead.")
    else:
        undo = f" To undo it, restore version {before.number}." if before else ""
        messages.success(
            request, f"{written.config} {told}: version {written.version.number}.{undo}"
        )
    return HttpResponseRedirect(reverse("admin:bots_twilioconfig_versions", args=[config.pk]))
