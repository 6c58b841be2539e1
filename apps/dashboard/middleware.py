"""What the viewer of a page brings: their time zone."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

# Set by js/shell.js.
COOKIE = "tz"
# The names of zones have 32 characters at the most.
LONGEST = 64

GetResponse = Callable[[HttpRequest], HttpResponse]


class ViewerMiddleware:
    """Shows the times of the admin's pages in the viewer's zone, and keeps such pages to them."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith("/admin/"):
            return self._get_response(request)
        zone = zone_named(unquote(request.COOKIES.get(COOKIE, "")))
        with timezone.override(zone):
            response = self._get_response(request)
            # Its template is rendered after the middlewares of views, before this one's end.
            if not response.headers.get("Cache-Control"):
                response.headers["Cache-Control"] = "private, no-store"
            return response


@lru_cache(maxsize=64)
def zone_named(name: str) -> zoneinfo.ZoneInfo | None:
    """Return a time zone by its name; None, which is the server's, for what is none."""
    if not name or len(name) > LONGEST:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None
