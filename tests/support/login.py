"""People at the login: names, passwords, codes."""

from __future__ import annotations

import time
from typing import Any

from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
)
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from apps.accounts.models import User

PASSWORD = "correct horse battery staple"
STEP_S = 30


def person(name: str = "ada", **values: Any) -> User:
    """A user with PASSWORD; staff, unless values say otherwise."""
    return User.objects.create_user(name, password=PASSWORD, **{"is_staff": True, **values})


def code(secret: str, *, steps: int = 0) -> str:
    """What an authenticator app shows now, or so many steps of 30 seconds later."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // STEP_S + steps))


def second_factor(user: User) -> tuple[str, list[str]]:
    """Give somebody an app and recovery codes. Returns the app's key and the codes."""
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    return secret, RecoveryCodes.activate(user).get_unused_codes()


def log_in(client: Client, name: str = "ada", password: str = PASSWORD, **more: Any) -> Any:
    """Fill in the login's form."""
    return client.post("/admin/login/", {"login": name, "password": password, **more})


def enter_code(client: Client, text: str) -> Any:
    """Fill in the form of the second factor."""
    return client.post("/admin/login/code/", {"code": text})


def is_in(client: Client) -> bool:
    """Tell whether the dashboard opens to who is behind this client."""
    return bool(client.get("/admin/").status_code == 200)


def text_of(answer: Any) -> str:
    """An answer's page."""
    return str(answer.content.decode())


def session_of(user: User) -> SessionStore:
    """Return the session that the login page would make, in the list of the person's."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    UserSession.objects.create(user=user, session_key=session.session_key, ip="127.0.0.1")
    return session
