"""What stands between a login and the dashboard: staff alone, with a second factor if need be."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from allauth.account.internal.flows.login import (
    AUTHENTICATION_METHODS_SESSION_KEY,
    record_authentication,
)
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from apps.accounts.models import User
from apps.accounts.second_factor import factors
from apps.core.middleware import GetResponse
from apps.dashboard.scoping import person_of

PREFIX = "/admin/"
SET_UP = "mfa_activate_totp"
# What is open to who has no second factor yet: getting in and out, and setting one up.
OPEN = frozenset(
    (
        "account_login",
        "account_logout",
        "account_reauthenticate",
        "mfa_authenticate",
        "mfa_reauthenticate",
        "mfa_add_webauthn",
        SET_UP,
        "admin:jsi18n",
    )
)
# When a session was last used is written down this often: a write per request would be too many.
SEEN_STEP_S = 600
_SEEN = "seen_at"


class Entry(Enum):
    """What a session opens: the dashboard; the page where a second factor is set up; nothing."""

    IN = auto()
    SET_UP = auto()
    OUT = auto()


def entry_of(user: User, session: SessionBase) -> Entry:
    """Tell what somebody's session opens. One query.

    OUT: the session is not in the list of the person's sessions, so that nothing that ends those
    would end it; or it began by a password alone, and the person has a second factor.
    """
    listed = UserSession.objects.filter(user=user, session_key=session.session_key or "")
    has_factor = Exists(factors().filter(user=OuterRef("user")))
    found = listed.values_list(has_factor, flat=True).first()
    if found is None or (found and not _gave_factor(session)):
        return Entry.OUT
    return Entry.SET_UP if settings.REQUIRE_TWO_FACTOR and not found else Entry.IN


def may_enter(user: User | AnonymousUser, session: SessionBase) -> bool:
    """Tell whether somebody may see the dashboard at all; for its WebSockets too. One query."""
    if not isinstance(user, User) or not (user.is_active and user.is_staff):
        return False
    return entry_of(user, session) is Entry.IN


def factor_given(request: HttpRequest, kind: str) -> None:
    """Note that a session's second factor was given, by setting it up."""
    record_authentication(request, person_of(request), "mfa", type=kind)


class GateMiddleware:
    """Sends who may not enter to where they can change that. Counts for ``/admin/`` alone."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(PREFIX) and isinstance(request.user, User):
            entry = entry_of(request.user, request.session)
            if entry is Entry.OUT:
                logout(request)
            else:
                vars(request)["entry"] = entry
                _seen(request)
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        if not request.path_info.startswith(PREFIX):
            return None
        match = request.resolver_match
        if match and match.view_name in OPEN:
            return None
        user = request.user
        if not isinstance(user, User):
            return _logged_out(request)
        if not user.is_staff:
            return _no_staff(request)
        return None if is_in(request) else _refusal(request)


def is_in(request: HttpRequest) -> bool:
    """Tell whether the dashboard is open to a request of somebody who is logged in."""
    return vars(request).get("entry") is Entry.IN


def _gave_factor(session: SessionBase) -> bool:
    records = session.get(AUTHENTICATION_METHODS_SESSION_KEY)
    return isinstance(records, list) and any(one.get("method") == "mfa" for one in records)


def _logged_out(request: HttpRequest) -> HttpResponseBase | None:
    if not _is_fragment(request):
        return None  # a page sends to the login by itself
    here = urlsplit(request.headers.get("HX-Current-URL", ""))
    back = urlencode({REDIRECT_FIELD_NAME: urlunsplit(("", "", here.path, here.query, ""))})
    return HttpResponse(status=401, headers={"HX-Redirect": f"{reverse('admin:login')}?{back}"})


def _refusal(request: HttpRequest) -> HttpResponseBase:
    url = reverse(SET_UP)
    if _is_fragment(request):
        return HttpResponse(status=403, headers={"HX-Redirect": url})
    return redirect(url)


def _is_fragment(request: HttpRequest) -> bool:
    # A redirect would be followed unseen, and its page put in the place of a fragment: htmx has
    # a header to have the whole page go elsewhere.
    return "HX-Request" in request.headers


def _no_staff(request: HttpRequest) -> HttpResponse:
    return render(request, "account/no_staff.html", status=403)


def _seen(request: HttpRequest) -> None:
    """Write down that a session is used; its 14 days begin anew by that."""
    seen = request.session.get(_SEEN)
    if seen is not None and time.time() - seen > SEEN_STEP_S:
        request.session[_SEEN] = time.time()
        UserSession.objects.create_from_request(request)


def seen_begin(request: HttpRequest) -> None:
    """Begin to write down when a session is used: at its login."""
    request.session[_SEEN] = time.time()
