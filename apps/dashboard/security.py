"""A person's own security: password, second factor, sessions. allauth's views in the frame."""

from __future__ import annotations

from typing import Any

from allauth.account.views import PasswordChangeView
from allauth.mfa.base.views import IndexView
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.views import AddWebAuthnView, RemoveWebAuthnView
from allauth.usersessions.models import UserSession
from allauth.usersessions.views import ListUserSessionsView
from django.contrib import admin, messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse_lazy
from django.views.decorators.http import require_POST
from django.views.generic.base import ContextMixin

from apps.accounts.sessions import session_end
from apps.accounts.totp import code_spend
from apps.dashboard.browsers import browser_named
from apps.dashboard.gate import factor_given, is_in
from apps.dashboard.scoping import person_of


class InFrame(ContextMixin):
    """A page in the admin's frame, or beside it for who may not see the frame yet."""

    request: HttpRequest
    title = ""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = {**super().get_context_data(**kwargs), "title": self.title}
        if not is_in(self.request):
            return {**context, "layout": "account/door.html", "required": True}
        return {**admin.site.each_context(self.request), **context}


class Overview(InFrame, IndexView):
    """What a person has, and where to change it."""

    title = "Security"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        codes = context["authenticators"].get(Authenticator.Type.RECOVERY_CODES)
        return {**context, "codes_left": len(codes.get_unused_codes()) if codes else 0}


class Password(InFrame, PasswordChangeView):
    """A new password."""

    title = "Change password"


class AuthenticatorApp(InFrame, ActivateTOTPView):
    """A second factor: the QR code, and a code to show that it arrived."""

    title = "Set up an authenticator app"

    def form_valid(self, form: Any) -> HttpResponse:
        answer: HttpResponse = super().form_valid(form)
        factor_given(self.request, Authenticator.Type.TOTP)
        # Whoever has read the code over a shoulder does not log in by it.
        code_spend(user=person_of(self.request), code=form.cleaned_data["code"])
        return answer


class NoAuthenticatorApp(InFrame, DeactivateTOTPView):
    """No second factor any more."""

    title = "Remove the authenticator app"


class SecurityKey(InFrame, AddWebAuthnView):
    """A second factor: a key in a USB port, or a passkey."""

    title = "Add a security key or passkey"

    def form_valid(self, form: Any) -> HttpResponse:
        answer: HttpResponse = super().form_valid(form)
        factor_given(self.request, Authenticator.Type.WEBAUTHN)
        return answer


class NoSecurityKey(InFrame, RemoveWebAuthnView):
    """One key less."""

    title = "Remove a key"
    success_url = reverse_lazy("mfa_index")


class RecoveryCodes(InFrame, ViewRecoveryCodesView):
    """The codes for who has lost their phone."""

    title = "Recovery codes"


class NewRecoveryCodes(InFrame, GenerateRecoveryCodesView):
    """Other codes in the place of those."""

    title = "New recovery codes"


class Sessions(InFrame, ListUserSessionsView):
    """Where a person is logged in; POST ends all other sessions."""

    title = "Sessions"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        for session in context["sessions"]:
            session.browser = browser_named(session.user_agent)
        return context


@require_POST
@login_required
def end_session(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one of one's own sessions; this one by logging out."""
    user = person_of(request)
    found = get_object_or_404(UserSession, user=user, pk=session_id)
    if found.session_key == request.session.session_key:
        raise Http404("This session ends by logging out.")
    session_end(user=user, session_id=session_id)
    messages.success(request, "The session is ended.")
    return redirect("usersessions_list")
