"""How a vendor's failure becomes one of ours: one family, and a message that is safe to show.

A vendor's own text is never passed on: some quote the key, others the prompt. What is kept of it
is a code of theirs, if it looks like one (``model_not_found``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from apps.voice.ports import ProviderError

_CODE = re.compile(r"[a-z]+(?:[_-][a-z]+){0,6}", re.IGNORECASE)
# Codes that mean: out of credit. A vendor may send them with 429, which alone means "too fast".
_SPENT = frozenset(
    {"insufficient_quota", "quota_exceeded", "credits_exhausted", "billing_hard_limit_reached"}
)


def code_of(body: Any) -> str:
    """Find a vendor's error code in a decoded JSON body; empty if there is none that is safe."""
    if not isinstance(body, dict):
        return ""
    inner = body.get("error", body.get("detail", body))
    found = inner if isinstance(inner, dict) else body
    for name in ("code", "status", "type", "err_code", "error_code", "title"):
        value = found.get(name)
        if isinstance(value, str) and len(value) <= 60 and _CODE.fullmatch(value):
            return value
    return ""


def status_error(provider: str, status: int, *, code: str = "") -> ProviderError:
    """Return the error for an HTTP status (of an answer or a refused handshake).

    code: the vendor's own, from ``code_of``.
    """
    told = f"HTTP {status}, {code}" if code else f"HTTP {status}"
    if status in (401, 403):
        return ProviderError(provider, f"refuses the key ({told})", reason="auth")
    if status == 402 or code.lower() in _SPENT:
        return ProviderError(provider, f"has no credit left ({told})", reason="quota")
    if status == 429:
        return ProviderError(
            provider, f"asks for patience ({told})", reason="quota", retryable=True
        )
    if status == 408 or status >= 500:
        return ProviderError(
            provider, f"is in trouble ({told})", reason="unavailable", retryable=True
        )
    return ProviderError(provider, f"refuses the request ({told})", reason="bad_request")


def lost(provider: str, error: BaseException | None = None) -> ProviderError:
    """Return the error for a connection that broke or never came. Names the kind of error alone."""
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return silent(provider)
    told = f" ({type(error).__name__})" if error is not None else ""
    message = f"the connection was lost{told}"
    return ProviderError(provider, message, reason="unavailable", retryable=True)


def silent(provider: str) -> ProviderError:
    """Return the error for a vendor that takes a request and says nothing."""
    return ProviderError(provider, "did not answer in time", reason="timeout", retryable=True)


def no_audio(provider: str) -> ProviderError:
    """Return the error for an answer without sound: empty, silent, or not audio at all."""
    return ProviderError(provider, "sent no sound", reason="unavailable", retryable=True)


def unreadable(provider: str) -> ProviderError:
    """Return the error for an answer that is not what the vendor documents."""
    return ProviderError(
        provider, "sent what it does not document", reason="unavailable", retryable=True
    )


def no_key(provider: str) -> ProviderError:
    """Return the error for a call whose account has stored no key."""
    return ProviderError(provider, "no key is stored for it", reason="auth")


def key_of(provider: str, secrets: Mapping[str, str]) -> str:
    """Return the key from ``ServiceSettings.secrets``. Raises ProviderError (auth) without one.

    A key that cannot stand in a header is refused here: libraries would quote it in their errors.
    """
    key = str(secrets.get("api_key") or "")
    if not key:
        raise no_key(provider)
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise ProviderError(provider, "the key holds characters that no key has", reason="auth")
    return key
