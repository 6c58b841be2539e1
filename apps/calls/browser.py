"""Calls from a browser: somebody talks to a bot without a phone.

The page plays Twilio. It speaks Twilio's Media Streams to the media socket that phones come to, so
that everything behind it is what a phone gets. Twilio itself has no part in it: nobody asks what
comes next when the line breaks, so that it ends the call, and nobody can put it through.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.accounts.audit import Actor, Target, audit_record, who
from apps.accounts.models import Account
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.selectors import version_shown
from apps.calls.browser_sids import browser_sid
from apps.calls.dialling import NotNow, WishRefused, variables_wrong
from apps.calls.endings import call_close
from apps.calls.lines import Clock, account_lock, line_take
from apps.calls.models import Call
from apps.calls.tokens import StreamToken, token_make

MEDIA_PATH = "/media/twilio"


@dataclass(frozen=True, slots=True)
class BrowserCall:
    """A call that a page may begin. path: of the media socket, on the page's own origin.

    start: what the page says to it in Twilio's ``start``, which lets it in once, within 45 s.
    """

    call: Call
    path: str
    start: Mapping[str, Any] = field(repr=False)


def browser_call_begin(
    *,
    account: Account,
    config_id: uuid.UUID,
    actor: Actor,
    variables: Mapping[str, Any] | None = None,
    draft: bool = False,
    clock: Clock = timezone.now,
) -> BrowserCall:
    """Write a call down that a page is about to make, and return what lets the page in.

    It takes up a line of the account's until it ends; one that never connects is closed after a
    minute. draft: the bot's latest version, published or not.

    Raises TwilioConfig.DoesNotExist, WishRefused, NotNow, or lines.Full.
    """
    config = TwilioConfig.objects.select_related("current").get(
        pk=config_id, account=account, deleted_at=None
    )
    version = _version(config, draft)
    given = dict(variables or {})
    if wrong := variables_wrong(version, given):
        raise WishRefused(variables=wrong)
    call = Call(
        account=account,
        config=config,
        version=version,
        call_sid=browser_sid(),
        medium=Call.Medium.BROWSER,
        # As Twilio names those who call from a browser.
        from_number=f"client:{who(actor)[2]}"[:200],
        status=Call.Status.RINGING,
        variables=given,
    )
    with transaction.atomic():
        locked = account_lock(account.pk)
        call.started_at = clock()
        line_take(locked, call.started_at)
        call.save(force_insert=True)
        audit_record(
            account=account,
            actor=actor,
            action="call.browser",
            target=Target("call", str(call.pk)),
            after={"config": str(config.pk), "version": version.number},
        )
    return BrowserCall(call, MEDIA_PATH, _start(call))


def browser_call_abandon(
    *, account: Account, call_id: uuid.UUID, clock: Clock = timezone.now
) -> None:
    """End a call whose page could not connect after all; one that is on, or over, stays as it is.

    Raises Call.DoesNotExist.
    """
    with transaction.atomic():
        rows = Call.objects.owned_by(account).filter(medium=Call.Medium.BROWSER)
        call = rows.select_for_update().get(pk=call_id)
        if call.status == Call.Status.RINGING:
            call_close(call, status=Call.Status.CANCELED, reason="canceled", at=clock())


def _version(config: TwilioConfig, draft: bool) -> TwilioConfigVersion:
    if not draft and config.current is None:
        raise NotNow("The bot was never published: talk to its draft.", field="version")
    return version_shown(config, draft=draft)


def _start(call: Call) -> dict[str, Any]:
    token = StreamToken(call.pk, call.config_id, attempt=1, call_sid=call.call_sid, browser=True)
    return {
        "accountSid": "browser",
        "callSid": call.call_sid,
        "streamSid": f"browser{call.pk.hex}",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1},
        "customParameters": {
            "account": str(call.account_id),
            "bot": str(call.config_id),
            "token": token_make(token),
        },
    }
