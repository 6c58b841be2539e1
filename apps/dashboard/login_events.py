"""What follows on a change of how one logs in: the log is told, other sessions end."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import password_changed, user_logged_in
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from django.contrib.auth.signals import user_logged_in as session_began
from django.dispatch import receiver
from django.http import HttpRequest

from apps.accounts.audit import Actor
from apps.accounts.models import User
from apps.accounts.second_factor import person_record
from apps.accounts.sessions import session_list, sessions_end
from apps.dashboard.gate import seen_begin


@receiver(session_began)
def _session_began(request: HttpRequest, user: User, **_: Any) -> None:
    # Whatever logs somebody in: the gate takes a session that is not listed for none.
    session_list(request, user)


@receiver(user_logged_in)
def _logged_in(request: HttpRequest, **_: Any) -> None:
    seen_begin(request)


@receiver(password_changed)
def _password_changed(request: HttpRequest, user: User, **_: Any) -> None:
    # Django takes them for ended already, by the password they were begun with; so do the rows.
    sessions_end(user=user, but=request.session.session_key or "")
    person_record(user=user, actor=Actor(user=user), action="user.password_change")


@receiver(authenticator_added)
def _added(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        return  # they come with the factor
    # Sessions that began by a password alone.
    sessions_end(user=user, but=request.session.session_key or "")
    _record(user, authenticator, "user.second_factor_add")


@receiver(authenticator_removed)
def _removed(user: User, authenticator: Authenticator, **_: Any) -> None:
    _record(user, authenticator, "user.second_factor_remove")


@receiver(authenticator_reset)
def _renewed(user: User, authenticator: Authenticator, **_: Any) -> None:
    _record(user, authenticator, "user.recovery_codes_renew")


def _record(user: User, authenticator: Authenticator, action: str) -> None:
    person_record(
        user=user, actor=Actor(user=user), action=action, after={"kind": str(authenticator.type)}
    )
