"""How people get in: allauth's hooks for our rules, and what axes asks when it counts failures."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import Any

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from apps.core import throttling
from apps.core.crypto import decrypt, encrypt
from apps.core.logs import client_address

NO_STAFF = (
    "Your name and password are right, but you may not use the dashboard. "
    "Ask a superuser to make you staff."
)
# Where the server was asked over a socket that tells no address.
NO_ADDRESS = "0.0.0.0"


class Door(DefaultAccountAdapter):
    """Login by name and password. No sign-up, no e-mail."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": "The username or the password is wrong.",
        "too_many_login_attempts": "Too many wrong codes. Wait a quarter of an hour, then go on.",
        "incorrect_code": "This code is wrong, or was used already.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Axes counts wrong passwords. allauth would count them by name alone, so that a stranger
        could keep a known user out from everywhere."""

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        user = super().authenticate(request, **credentials)
        if user is not None and not getattr(user, "is_staff", False):
            # Said to who has the right password; nobody else learns of it.
            raise ValidationError(NO_STAFF, code="no_staff")
        return user

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("mfa_index")

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address.get() or NO_ADDRESS

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Ask nobody for the password who has typed it a moment ago, at the login."""
        request = self.request
        times = [record["at"] for record in get_authentication_records(request, request.user)]
        if times and time.time() - times[-1] < app_settings.REAUTHENTICATION_TIMEOUT:
            return False
        return bool(super().is_reauthentication_required(app=app, **kwargs))


class SecondFactors(DefaultMFAAdapter):
    """Keeps what codes are made from encrypted, as every other secret here."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "This code is wrong, or was used already.",
    }

    def encrypt(self, text: str) -> str:
        return encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return decrypt(encrypted_text)

    def generate_authenticator_name(self, user: Any, type: Authenticator.Type) -> str:
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return f"Key {count + 1}"

    def get_totp_label(self, user: Any) -> str:
        return f"{settings.MFA_TOTP_ISSUER}:{user.get_username()}"


def counted_address(request: HttpRequest) -> str:
    """Return the address that axes counts a failure under."""
    return throttling.counted_address() or NO_ADDRESS


def tried_username(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """Return the name that somebody tries to log in by."""
    found = (credentials or {}).get("username") or request.POST.get("login") or ""
    return str(found).strip()


def locked_out(
    request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None
) -> HttpResponse:
    """Answer who has failed too often: how long it lasts, not whether there is such a name."""
    wait_s = lock_out_s(
        username=tried_username(request, credentials), address=counted_address(request)
    )
    context = {"minutes": math.ceil(wait_s / 60), "failures": settings.AXES_FAILURE_LIMIT}
    answer = render(request, "account/locked_out.html", context, status=429)
    answer["Retry-After"] = str(wait_s)
    return answer


def lock_out_s(*, username: str, address: str) -> int:
    """Return for how many more seconds this name is locked at this address; at least 1."""
    tried = AccessAttempt.objects.filter(username=username, ip_address=address)
    last = tried.aggregate(last=Max("attempt_time"))["last"]
    cool_off: timedelta = settings.AXES_COOLOFF_TIME
    left = cool_off - (timezone.now() - last) if last else cool_off
    return max(1, math.ceil(left.total_seconds()))
