"""TwiML that we answer ourselves, for one call: its stream is let in once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from urllib.parse import urlencode

from django.conf import settings

from apps.calls.tokens import StreamToken, token_make
from apps.telephony.twiml import PARAMETER_CHARACTERS, stream_document


def stream_twiml(
    token: StreamToken, *, account_id: uuid.UUID, parameters: Mapping[str, str] | None = None
) -> str:
    """Connect a call to the media gateway.

    parameters: what else the call brings; those that Twilio would not carry are left out.
    """
    about = urlencode({"account": str(account_id), "call": str(token.call_id)})
    return stream_document(
        stream_url=settings.STREAM_URL,
        action_url=f"{settings.PUBLIC_URL}/twilio/after-stream?{about}",
        status_url=f"{settings.PUBLIC_URL}/twilio/stream-status?{about}",
        parameters={
            **_carried(parameters or {}),
            "account": str(account_id),
            "bot": str(token.config_id),
            "token": token_make(token),
        },
    )


def _carried(parameters: Mapping[str, str]) -> dict[str, str]:
    return {
        name: text
        for name, text in parameters.items()
        if text.isprintable() and len(name) + len(text) < PARAMETER_CHARACTERS
    }
