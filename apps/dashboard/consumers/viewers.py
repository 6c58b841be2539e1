"""Who has opened a socket, by the session of the page that it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest


def session_key_of(scope: Mapping[str, Any]) -> str:
    """Return the key of the session that the handshake brought; empty if there is none."""
    session = scope.get("session")
    return (session.session_key or "") if session is not None else ""


def viewer_of(session_key: str) -> HttpRequest:
    """Return a request of whoever holds the session now, for what ``scoping`` asks of one.

    A session that has ended, or a password that was changed, makes it nobody's. One or two queries;
    not for an event loop.
    """
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key or None)
    request.user = get_user(request)
    return request
