"""Conditional requests (RFC 9110, section 13)."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.http import parse_etags
from rest_framework.request import Request


def not_modified(request: Request | HttpRequest, etag: str) -> bool:
    """Does the client have this already? Then answer 304, with the ETag and without a body.

    etag: with its quotes, of what a GET would answer now. ``If-None-Match`` may be a list or
    ``*``; tags compare weakly (13.1.2). Of other methods than GET and HEAD it is always False.
    """
    header = request.headers.get("If-None-Match")
    if header is None or request.method not in ("GET", "HEAD"):
        return False
    tags = parse_etags(header)
    return tags == ["*"] or _opaque(etag) in map(_opaque, tags)


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")
