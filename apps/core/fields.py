"""Model fields whose column holds only ciphertext."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldError
from django.db import models

from apps.core.crypto import decrypt, encrypt

if TYPE_CHECKING:
    _Text = models.TextField[str, str]
    _Any = models.TextField[Any, Any]
else:
    _Text = _Any = models.TextField


class _Sealed:
    """What both fields share: a ciphertext differs every time, so nothing can be looked up by it.

    A lookup would silently find nothing; it fails instead.
    """

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError("An encrypted column cannot be searched.")
        return super().get_lookup(lookup_name)  # type: ignore[misc]


class EncryptedTextField(_Sealed, _Text):
    """Text, encrypted at rest. An empty text stays empty, so that "none" needs no key."""

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(str(value)) if value else value

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        return decrypt(value) if value else value


class EncryptedJSONField(_Sealed, _Any):
    """A JSON value, encrypted at rest as one text."""

    # What the type checker takes an instance's attribute for.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def get_prep_value(self, value: Any) -> Any:
        return value if value is None else encrypt(json.dumps(value))

    def from_db_value(self, value: str | None, *_: Any) -> Any:
        return json.loads(decrypt(value)) if value else value

    def to_python(self, value: Any) -> Any:
        # TextField would turn the value into its repr.
        return value
