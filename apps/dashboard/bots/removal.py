"""Taking a bot out of service, and putting it back."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.bots.models import TwilioConfig
from apps.bots.services import Write, config_delete, config_undelete
from apps.calls.models import Call
from apps.calls.numbers import phone_numbers_of
from apps.dashboard.bots.lookup import READ, WRITE, bot_get, crumbs
from apps.dashboard.pages import page
from apps.dashboard.scoping import actor_in, may

LIST = "admin:bots_twilioconfig_changelist"


def delete(request: HttpRequest, bot_id: str) -> HttpResponse:
    """Say what deleting does, and do it when that is confirmed."""
    config = bot_get(request, bot_id, READ)
    if not may(request, WRITE, config.account_id):
        raise PermissionDenied
    if request.method == "POST":
        try:
            config_delete(Write(config.account, config.pk, actor_in(request)))
        except TwilioConfig.DoesNotExist:
            raise Http404 from None
        told = f"{config} is deleted. To undo it, filter this list for deleted bots and restore it."
        messages.success(request, told)
        return HttpResponseRedirect(reverse(LIST))
    return page(
        request,
        "dashboard/bots/delete.html",
        title="Delete",
        crumbs=crumbs(config),
        bot=config,
        numbers=phone_numbers_of(config.account).filter(config=config)[:50],
        live=Call.objects.owned_by(config.account).live().filter(config=config).count(),
    )


def deleted(request: HttpRequest, config: TwilioConfig) -> HttpResponse:
    """Show the page of a bot that is out of service."""
    return page(
        request,
        "dashboard/bots/deleted.html",
        title=str(config),
        crumbs=crumbs(),
        bot=config,
        may_save=may(request, WRITE, config.account_id),
    )


@require_POST
def undelete(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Put a deleted bot back into service."""
    config = bot_get(request, id, READ, deleted=True)
    if not may(request, WRITE, config.account_id):
        raise PermissionDenied
    try:
        config_undelete(Write(config.account, config.pk, actor_in(request)))
    except TwilioConfig.DoesNotExist:
        raise Http404 from None
    messages.success(request, f"{config} is back as it was: its pasted TwiML works again.")
    return HttpResponseRedirect(reverse("admin:bots_twilioconfig_change", args=[config.pk]))
