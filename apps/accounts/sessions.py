"""Where people are logged in: ending that, and clearing away what is over."""

from __future__ import annotations

from datetime import datetime

from allauth.account.adapter import get_adapter
from allauth.core.internal.httpkit import HTTP_USER_AGENT_MAX_LENGTH as LONGEST_AGENT
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.http import HttpRequest

from apps.accounts.models import User


def session_list(request: HttpRequest, user: User) -> None:
    """Put a session that has just begun into the list of its person's."""
    if request.session.session_key is None:
        request.session.save()
    UserSession.objects.get_or_create(
        session_key=request.session.session_key,
        defaults={
            "user": user,
            "ip": get_adapter(request).get_client_ip(request),
            "user_agent": request.headers.get("User-Agent", "")[:LONGEST_AGENT],
        },
    )


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
