"""The TwiML of a bot: what a caller's Twilio number is given."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings

from apps.bots.models import TwilioConfig
from apps.telephony.twiml import stream_document


def config_twiml(config: TwilioConfig, variables: Mapping[str, str] | None = None) -> str:
    """Connect the caller to the media gateway, with what admits the stream as parameters.

    variables: what else the call brings. Raises TwimlError for one that Twilio would not carry.
    """
    return stream_document(
        stream_url=settings.STREAM_URL,
        action_url=f"{settings.PUBLIC_URL}/twilio/after-stream",
        status_url=f"{settings.PUBLIC_URL}/twilio/stream-status",
        parameters={
            "account": str(config.account_id),
            "bot": str(config.id),
            "token": config.stream_token,
            **(variables or {}),
        },
    )


def config_voice_url(config: TwilioConfig) -> str:
    """The webhook that answers Twilio with TwiML, instead of a pasted document."""
    return f"{settings.PUBLIC_URL}/twilio/voice/{config.id}"
