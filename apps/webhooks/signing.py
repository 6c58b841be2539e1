"""Signatures of requests, after the Standard Webhooks specification (symmetric, ``v1``).

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
BYTES, FEWEST_BYTES, MOST_BYTES = 32, 24, 64
EXPECTED = f"{PREFIX} and base64 of {FEWEST_BYTES} to {MOST_BYTES} bytes."


def secret_new() -> str:
    """Return a random secret, as it is shown to its owner."""
    return PREFIX + base64.b64encode(secrets.token_bytes(BYTES)).decode()


def secret_bytes(secret: str) -> bytes:
    """Return what signs. Raises ValueError saying what a secret is; the text holds none of it."""
    if not secret.startswith(PREFIX):
        raise ValueError(EXPECTED)
    try:
        found = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(EXPECTED) from None
    if not FEWEST_BYTES <= len(found) <= MOST_BYTES:
        raise ValueError(EXPECTED)
    return found


def signature(secret: str, *, id: str, timestamp: int, body: bytes) -> str:
    """Return ``v1,<base64>`` over ``<id>.<timestamp>.<body>``. timestamp: of the attempt, in s."""
    signed = b".".join((id.encode(), str(timestamp).encode(), body))
    digest = hmac.digest(secret_bytes(secret), signed, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def headers(secrets: Iterable[str], *, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers; with a signature by each secret, so that either may verify."""
    signed = [signature(one, id=id, timestamp=timestamp, body=body) for one in secrets]
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signed),
    }
