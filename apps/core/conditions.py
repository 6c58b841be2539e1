"""Conditional requests (RFC 9110, section 13)."""

from __future__ import annotations

import re

from django.http import HttpRequest
from rest_framework.request import Request

# Weak or strong; its comparison is about what stands in quotes. Django's parse_etags splits at
# commas, which a tag may hold.
_TAG = re.compile(r'(?:W/)?("[^"]*")')


def not_modified(request: Request | HttpRequest, etag: str) -> bool:
    """Does the client have this already? Then answer 304, with the ETag and without a body.

    etag: with its quotes, of what a GET would answer now. ``If-None-Match`` may be a list or
    ``*``; tags compare weakly (13.1.2). Of other methods than GET and HEAD it is always False.
    """
    header = request.headers.get("If-None-Match")
    if header is None or request.method not in ("GET", "HEAD"):
        return False
    return header.strip() == "*" or etag.removeprefix("W/") in _TAG.findall(header)
