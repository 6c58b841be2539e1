"""Routes a path with and without its trailing slash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http.response import HttpResponseBase
from django.urls import URLPattern, path

View = Callable[..., HttpResponseBase]


def both(route: str, view: View | Any, *, name: str) -> list[URLPattern]:
    """Route ``route`` and ``route/`` to the view, without a redirect. ``reverse`` gives the first.

    route: without a slash at its end.
    """
    # The bare one stands last, because reverse() takes the last of equal names.
    return [path(f"{route}/", view, name=name), path(route, view, name=name)]
