"""Requests in Twilio's name, signed as Twilio signs them, by other code than ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from django.test import Client

from apps.telephony.signatures import Secrets, Signed, stream_is_signed

ORIGIN = "https://voice.example.com"
ACCOUNT_SID = "AC" + "0" * 32
TOKEN = "0123456789abcdef0123456789abcdef"


def signature_of(
    url: str,
    fields: Mapping[str, str] | None = None,
    *,
    secret: str = TOKEN,
    digest: Any = hashlib.sha1,
) -> str:
    """base64(HMAC(secret, URL and the sorted fields)), by the documentation."""
    text = url + "".join(name + (fields or {})[name] for name in sorted(fields or {}))
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), digest).digest()).decode()


def twilio_posts(
    client: Client,
    path: str,
    fields: Mapping[str, str],
    *,
    secret: str = TOKEN,
    signed_url: str = "",
    **headers: str,
) -> Any:
    """Post a form to a path with its query. signed_url: what is signed, if not our public URL."""
    signature = signature_of(signed_url or ORIGIN + path, fields, secret=secret)
    return client.post(path, dict(fields), headers={"x-twilio-signature": signature, **headers})


def stream_signature_is_valid(*, auth_token: str, url: str, signature: str | None) -> bool:
    """Check a handshake's signature by one auth token."""
    return stream_is_signed(secrets=[Secrets(auth_token)], url=url, signed=Signed(signature))
