"""Writes JSON answers, several times as fast as the standard library does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.utils.functional import Promise
from rest_framework.renderers import BaseRenderer
from rest_framework.utils.encoders import JSONEncoder

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
_OTHERS = JSONEncoder()


class JsonRenderer(BaseRenderer):
    """``application/json``, in UTF-8: times with their Z, ids as texts, the rest as DRF has it."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else orjson.dumps(data, default=_other, option=_OPTIONS)


def _other(value: Any) -> Any:
    return str(value) if isinstance(value, Promise) else _OTHERS.default(value)
