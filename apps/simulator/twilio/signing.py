"""How Twilio signs what it sends. Source: its "Webhooks security".

Written down a second time, and not taken from ``telephony``: what checks a signature must not have
made it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A secret of the newer webhook configuration, which takes the auth token's place."""

    name: str
    secret: str = field(repr=False)


def signature_headers(
    url: str, fields: Mapping[str, str], auth_token: str, shared: SharedKey | None = None
) -> dict[str, str]:
    """Sign a request. url: without its fragment. fields: of the form; none for GET and JSON."""
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    if shared is None:
        return {"X-Twilio-Signature": _mac(auth_token, text, "sha1")}
    return {
        "X-Twilio-Signature": _mac(shared.secret, text, "sha256"),
        SETTINGS_HEADER: f"key={shared.name},algorithm=HMAC_SHA256",
    }


def body_url(url: str, body: bytes) -> str:
    """Add ``bodySHA256`` to the URL of a JSON webhook."""
    digest = hashlib.sha256(body).hexdigest()
    parts = urlsplit(url)
    query = f"{parts.query}&bodySHA256={digest}" if parts.query else f"bodySHA256={digest}"
    return parts._replace(query=query).geturl()


def _mac(key: str, text: str, digest: str) -> str:
    return base64.b64encode(hmac.digest(key.encode(), text.encode(), digest)).decode()
