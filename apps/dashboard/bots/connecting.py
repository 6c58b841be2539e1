"""What to give Twilio: a bot's TwiML, its id and its webhook; and another token for it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from apps.bots.models import TwilioConfig
from apps.bots.serializers import GRACE_DEFAULT_S, RotateSerializer
from apps.bots.services import Write, config_token_rotate
from apps.bots.twiml import config_twiml, config_voice_url
from apps.calls.numbers import phone_numbers_of
from apps.dashboard.bots.lookup import READ, WRITE, bot_get, crumbs
from apps.dashboard.pages import page
from apps.dashboard.scoping import actor_in, may

# How long the old token may go on, in seconds, and how that is said.
GRACES = (
    (0, "Not at all: at once"),
    (3_600, "One hour"),
    (GRACE_DEFAULT_S, "One day"),
    (7 * 24 * 3_600, "One week"),
    (30 * 24 * 3_600, "30 days"),
)


def connect(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Show what to paste into Twilio, and where."""
    config = bot_get(request, id, READ)
    until = config.previous_token_until
    return page(
        request,
        "dashboard/bots/connect.html",
        title="Connect to Twilio",
        crumbs=crumbs(config),
        bot=config,
        tab="connect",
        may_save=may(request, WRITE, config.account_id),
        twiml=config_twiml(config),
        voice_url=config_voice_url(config),
        is_https=settings.PUBLIC_URL.startswith("https://"),
        public_url=settings.PUBLIC_URL,
        numbers=phone_numbers_of(config.account).filter(config=config)[:50],
        graces=GRACES,
        grace_default=GRACE_DEFAULT_S,
        old_until=until if until and until > timezone.now() else None,
    )


@require_POST
def rotate(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Give the bot another stream token."""
    config = bot_get(request, id, READ)
    if not may(request, WRITE, config.account_id):
        raise PermissionDenied
    form = RotateSerializer(data={"grace_seconds": request.POST.get("grace_seconds", "")})
    if not form.is_valid():
        messages.error(request, "Say how long the old TwiML is to work.")
    else:
        grace_s = form.validated_data["grace_seconds"]
        write = Write(config.account, config.pk, actor_in(request))
        try:
            config_token_rotate(write, grace_s=grace_s)
        except TwilioConfig.DoesNotExist:
            raise Http404 from None
        messages.success(request, "The TwiML below is new: paste it where the old one stands.")
    return HttpResponseRedirect(reverse("admin:bots_twilioconfig_connect", args=[config.pk]))
