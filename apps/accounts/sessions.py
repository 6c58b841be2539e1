"""Where people are logged in: ending that, and clearing away what is over."""

from __future__ import annotations

from datetime import datetime

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session

from apps.accounts.models import User


def sessions_end(*, user: User, but: str = "") -> int:
    """End a person's sessions, except the one of this key. Returns how many ended."""
    ended = list(UserSession.objects.filter(user=user).exclude(session_key=but))
    for session in ended:
        session.end()
    return len(ended)


def session_end(*, user: User, session_id: int) -> bool:
    """End one of a person's sessions. Returns whether there was such a one."""
    found = UserSession.objects.filter(user=user, pk=session_id).first()
    if found is None:
        return False
    found.end()
    return True


def sessions_purge(*, now: datetime) -> int:
    """Erase sessions that are over, and what is known of them. Returns how many there were."""
    over, _ = Session.objects.filter(expire_date__lt=now).delete()
    live = Session.objects.values("session_key")
    UserSession.objects.exclude(session_key__in=live).delete()
    return over
