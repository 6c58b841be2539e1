"""Single-use tokens that let one stream of one call in.

Signed, not stored: the token says what it is for, and ``calls.StreamPass`` says whether it was
used. A Bin's token, which is the bot's own and rotatable, is another thing: see ``apps.bots``.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.core import signing

_SALT = "botsconfig.stream"
# Twilio connects within a second of our answer, after what stands before the stream in it.
LONGEST_S = 600
# A call that we dial may wait a day in Twilio's queue, and has no CallSid when its TwiML is made.
LONGEST_QUEUED_S = 25 * 3600
# A page connects as soon as it has its token.
LONGEST_BROWSER_S = 45


@dataclass(frozen=True, slots=True)
class StreamToken:
    """What a stream may be. attempt: which stream of the call, from 1.

    call_sid: whose stream alone it is; empty where the call was not known to Twilio yet.
    silent: the bot goes on as if nothing had been, and does not say that the line broke. browser:
    a page of ours plays Twilio, so nobody has signed its handshake.
    """

    call_id: uuid.UUID
    config_id: uuid.UUID
    attempt: int
    call_sid: str = ""
    silent: bool = False
    browser: bool = False


def token_make(token: StreamToken) -> str:
    """Write a token; about 250 characters."""
    parts = (
        token.call_id.hex,
        token.config_id.hex,
        str(token.attempt),
        token.call_sid,
        ("s" if token.silent else "") + ("b" if token.browser else ""),
    )
    return signing.TimestampSigner(salt=_SALT).sign(".".join(parts))


def token_read(text: str) -> StreamToken | None:
    """Return what a token says; None for one that is not ours, or too old."""
    try:
        signer = signing.TimestampSigner(salt=_SALT)
        call_id, config_id, attempt, call_sid, flags = signer.unsign(text).split(".")
        token = StreamToken(
            uuid.UUID(call_id),
            uuid.UUID(config_id),
            int(attempt),
            call_sid,
            silent="s" in flags,
            browser="b" in flags,
        )
        signer.unsign(text, max_age=_longest_s(token))
        return token
    except (signing.BadSignature, ValueError):
        return None


def _longest_s(token: StreamToken) -> int:
    if token.browser:
        return LONGEST_BROWSER_S
    return LONGEST_S if token.call_sid else LONGEST_QUEUED_S
