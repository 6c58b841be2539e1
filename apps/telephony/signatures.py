"""Twilio's request signatures. Source: Twilio's "Webhooks security"; the library computes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twilio.request_validator import RequestValidator


def stream_signature(*, auth_token: str, url: str) -> str:
    """Sign a media-stream handshake as Twilio does: the wss URL of the TwiML, no parameters."""
    return str(RequestValidator(auth_token).compute_signature(url, {}))


def stream_signature_is_valid(*, auth_token: str, url: str, signature: str | None) -> bool:
    """Check ``X-Twilio-Signature`` of a handshake.

    url: the public ``wss://`` URL, from configuration, never from the request: proxies rewrite
    that. Accepts it with or without one trailing slash, and with its port written out or not,
    because Twilio's signing is inconsistent in both. A missing signature is invalid.
    """
    if not signature:
        return False
    validator = RequestValidator(auth_token)
    checks = [validator.validate(variant, {}, signature) for variant in _variants(url)]
    return any(checks)


def webhook_signature_is_valid(
    *, auth_token: str, url: str, fields: Mapping[str, Any], signature: str | None
) -> bool:
    """Check ``X-Twilio-Signature`` of a form-encoded webhook.

    url: the public URL as Twilio asked for it, its path and query still encoded. fields: every
    POST parameter, empty and unknown ones too (Django's ``QueryDict`` as it is); none for a GET.
    A missing signature is invalid.
    """
    if not signature:
        return False
    return bool(RequestValidator(auth_token).validate(url, fields, signature))


def _variants(url: str) -> list[str]:
    bare = url.rstrip("/")
    found = [bare, bare + "/"]
    scheme, _, rest = bare.partition("://")
    host, slash, path = rest.partition("/")
    # The library maps only https to port 443; a wss URL signed with its port needs our help.
    if scheme == "wss" and ":" not in host:
        with_port = f"wss://{host}:443{slash}{path}"
        found += [with_port, with_port + "/"]
    return found
