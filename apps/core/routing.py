"""Routes a path with and without its trailing slash; and says that a view only reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

View = Callable[..., HttpResponseBase]


def read_only(view: View) -> View:
    """Let only GET and HEAD through: 405 for the rest, not the page of the CSRF check."""
    return csrf_exempt(require_safe(view))


def both(route: str, view: View | Any, *, name: str) -> list[URLPattern]:
    """Route ``route`` and ``route/`` to the view, without a redirect. ``reverse`` gives the first.

    route: without a slash at its end.
    """
    # The bare one stands last, because reverse() takes the last of equal names.
    return [path(f"{route}/", view, name=name), path(route, view, name=name)]
