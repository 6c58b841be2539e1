"""Encryption at rest: Fernet over ENCRYPTION_KEYS. The first key encrypts, all decrypt.

Source of the format: the Fernet specification (AES-128-CBC and HMAC-SHA256), by ``cryptography``.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class DecryptionError(Exception):
    """A stored secret fits none of the keys. Carries no part of it."""


def encrypt(text: str) -> str:
    """Encrypt ``text``; the result is ASCII and differs every time.

    Raises ImproperlyConfigured without usable ENCRYPTION_KEYS.
    """
    return _box(tuple(settings.ENCRYPTION_KEYS)).encrypt(text.encode()).decode("ascii")


def decrypt(stored: str) -> str:
    """Return what ``encrypt`` was given. Raises DecryptionError, or ImproperlyConfigured."""
    try:
        return _box(tuple(settings.ENCRYPTION_KEYS)).decrypt(stored.encode()).decode()
    except InvalidToken:
        raise DecryptionError("A stored secret fits none of the ENCRYPTION_KEYS.") from None


def reencrypt(stored: str) -> str | None:
    """Return ``stored`` under the first key, or None if it is already.

    Raises DecryptionError, or ImproperlyConfigured.
    """
    keys = tuple(settings.ENCRYPTION_KEYS)
    try:
        _box(keys[:1]).decrypt(stored.encode())
    except InvalidToken:
        return encrypt(decrypt(stored))
    return None


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise ImproperlyConfigured("ENCRYPTION_KEYS is missing.")
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        # Fernet's own message would be fine, but its traceback holds the key.
        raise ImproperlyConfigured("ENCRYPTION_KEYS holds something that is no key.") from None
