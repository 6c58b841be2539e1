"""The TwiML of a bot: what a caller's Twilio number is given."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import urlencode

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import salted_hmac

from apps.bots.models import TwilioConfig
from apps.telephony.twiml import stream_document


def config_twiml(config: TwilioConfig, variables: Mapping[str, str] | None = None) -> str:
    """Connect the caller to the media gateway, with what admits the stream as parameters.

    variables: what else the call brings. Raises TwimlError for one that Twilio would not carry.
    """
    return stream_document(
        stream_url=settings.STREAM_URL,
        action_url=_action_url(config),
        status_url=f"{settings.PUBLIC_URL}/twilio/stream-status?account={config.account_id}",
        parameters={
            "account": str(config.account_id),
            "bot": str(config.id),
            "token": config.stream_token,
            **(variables or {}),
        },
    )


def _action_url(config: TwilioConfig) -> str:
    asked = urlencode(
        {
            "account": config.account_id,
            "bot": config.id,
            "key": bin_key(config, config.stream_token),
        }
    )
    return f"{settings.PUBLIC_URL}/twilio/after-stream?{asked}"


def bin_key(config: TwilioConfig, token: str) -> str:
    """Return what proves that a question comes out of TwiML which holds that stream token.

    For accounts whose requests cannot be checked by a signature: whoever knows the TwiML may have
    its calls brought back, and nobody else.
    """
    return salted_hmac("botsconfig.bin", f"{config.id}.{token}", algorithm="sha256").hexdigest()[
        :32
    ]


def bin_key_fits(config: TwilioConfig, offered: str) -> bool:
    """Check such a proof, of the bot's token or of the one before while that still counts."""
    given = offered.encode("utf-8", "surrogatepass")
    fits = hmac.compare_digest(given, bin_key(config, config.stream_token).encode())
    until = config.previous_token_until
    if until is not None and until > timezone.now():
        fits |= hmac.compare_digest(given, bin_key(config, config.previous_stream_token).encode())
    return fits


def config_voice_url(config: TwilioConfig) -> str:
    """The webhook that answers Twilio with TwiML, instead of a pasted document."""
    return f"{settings.PUBLIC_URL}/twilio/voice/{config.id}"
