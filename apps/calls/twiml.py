"""TwiML that we answer ourselves, for one call: its stream is let in once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from django.conf import settings

from apps.calls.tokens import StreamToken, token_make
from apps.calls.webhook_requests import callback_url
from apps.telephony.twiml import PARAMETER_CHARACTERS, Before, stream_document


def stream_twiml(
    token: StreamToken,
    *,
    account_id: uuid.UUID,
    breaks: int = 0,
    parameters: Mapping[str, str] | None = None,
    before: Before = (),
) -> str:
    """Connect a call to the media gateway.

    breaks: how often the call's line broke before. parameters: what else the call brings; those
    that Twilio would not carry are left out.
    """
    call = token.call_id
    more = {"bot": str(token.config_id), "breaks": str(breaks)}
    return stream_document(
        stream_url=settings.STREAM_URL,
        action_url=callback_url("after-stream", account_id=account_id, call_id=call, **more),
        status_url=callback_url("stream-status", account_id=account_id, call_id=call),
        parameters={
            **_carried(parameters or {}),
            "account": str(account_id),
            "bot": str(token.config_id),
            "token": token_make(token),
        },
        before=before,
    )


def _carried(parameters: Mapping[str, str]) -> dict[str, str]:
    return {
        name: text
        for name, text in parameters.items()
        if text.isprintable() and len(name) + len(text) < PARAMETER_CHARACTERS
    }
