"""Twilio's request signatures. Source: Twilio's "Webhooks security"; its library computes them.

The library's own ``validate`` is not used: it knows no port of a wss URL, breaks URLs with user
names or IPv6 addresses, raises for a missing signature, and compares byte by byte in Python.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twilio.request_validator import HMAC_SHA1, HMAC_SHA256, RequestValidator

SIGNATURE_HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"
_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}
_ALGORITHMS = frozenset((HMAC_SHA1, HMAC_SHA256))


@dataclass(frozen=True, slots=True)
class Signed:
    """What the headers of a request say of its signature.

    settings: ``key=…,algorithm=HMAC_SHA256`` where a SharedKey signed; empty: the auth token did.
    """

    signature: str | None = field(repr=False)
    settings: str = ""

    @property
    def algorithm(self) -> str:
        return self._setting("algorithm").upper() or HMAC_SHA1

    @property
    def key(self) -> str:
        """The name of the SharedKey that signed; empty: the auth token did."""
        return self._setting("key")

    def _setting(self, wanted: str) -> str:
        for part in self.settings.split(","):
            name, _, value = part.partition("=")
            if name.strip() == wanted:
                return value.strip()
        return ""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What one Twilio account may sign with: its primary auth token, and its SharedKeys by name."""

    auth_token: str = field(default="", repr=False)
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)

    def fit_for(self, signed: Signed) -> Iterator[str]:
        """Yield the secrets that the signature may be of."""
        if signed.key or signed.algorithm != HMAC_SHA1:
            if signed.key in self.keys:
                yield self.keys[signed.key]
        elif self.auth_token:
            yield self.auth_token


def stream_signature(*, auth_token: str, url: str) -> str:
    """Sign a media-stream handshake as Twilio does: the wss URL of the TwiML, no parameters."""
    return _signature(auth_token, url, {}, HMAC_SHA1)


def webhook_signature(*, auth_token: str, url: str, fields: Mapping[str, Any]) -> str:
    """Sign a form-encoded webhook as Twilio does."""
    return _signature(auth_token, url, fields, HMAC_SHA1)


def stream_is_signed(*, secrets: Iterable[Secrets], url: str, signed: Signed) -> bool:
    """Check the signature of a handshake.

    url: the public ``wss://`` URL, from configuration, never from the request: proxies rewrite
    that. Accepts it with or without one trailing slash, and with its port written out or not,
    because Twilio's signing is inconsistent in both. A missing signature is invalid.
    """
    bare = url.rstrip("/")
    return _fits(secrets, signed, [*_ports(bare), *_ports(bare + "/")], {})


def webhook_is_signed(
    *,
    secrets: Iterable[Secrets],
    url: str,
    signed: Signed,
    fields: Mapping[str, Any] | None = None,
    body: bytes | None = None,
) -> bool:
    """Check the signature of a webhook.

    url: the public URL as Twilio asked for it, its path and query still encoded. fields: every
    POST parameter, empty and unknown ones too (Django's ``QueryDict`` as it is); none for a GET.
    body: given where it is no form; its SHA-256 must then stand in the query, as ``bodySHA256``.
    A missing signature is invalid, and so is one by an algorithm that nobody knows.
    """
    if body is not None and not _body_fits(url, body):
        return False
    return _fits(secrets, signed, list(_ports(url)), {} if body is not None else fields or {})


def _fits(
    secrets: Iterable[Secrets], signed: Signed, urls: list[str], fields: Mapping[str, Any]
) -> bool:
    if not signed.signature or signed.algorithm not in _ALGORITHMS:
        return False
    offered = signed.signature.encode("utf-8", "surrogatepass")
    fits = False
    for secret in (found for known in secrets for found in known.fit_for(signed)):
        for url in urls:
            expected = _signature(secret, url, fields, signed.algorithm).encode()
            fits |= hmac.compare_digest(offered, expected)
    return fits


def _signature(secret: str, url: str, fields: Mapping[str, Any], algorithm: str) -> str:
    return str(RequestValidator(secret).compute_signature(url, fields, algorithm))


def _ports(url: str) -> Iterator[str]:
    """Yield the URL as it is, and with its scheme's own port written out or left out."""
    yield url
    parts = urlsplit(url)
    own = _PORTS.get(parts.scheme)
    host = parts.netloc
    if own is None:
        return
    if host.endswith(f":{own}"):
        yield url.replace(host, host.removesuffix(f":{own}"), 1)
    elif not _has_port(host):
        yield url.replace(host, f"{host}:{own}", 1)


def _has_port(host: str) -> bool:
    return ":" in host.rpartition("@")[2].rpartition("]")[2]


def _body_fits(url: str, body: bytes) -> bool:
    claimed = parse_qs(urlsplit(url).query).get("bodySHA256", [""])[0]
    real = hashlib.sha256(body).hexdigest()
    return hmac.compare_digest(claimed.encode("utf-8", "surrogatepass"), real.encode())
