"""Paths of login and security, below ``/admin/``. Those of allauth that are not here do not exist.

They stand before the admin site's own, whose login, logout and password pages they replace.
"""

from __future__ import annotations

from allauth.account.views import login, logout, reauthenticate
from allauth.mfa.base.views import authenticate
from allauth.mfa.base.views import reauthenticate as reauthenticate_by_code
from allauth.mfa.recovery_codes.views import download_recovery_codes
from allauth.mfa.webauthn.views import reauthenticate_webauthn
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.urls import path

from apps.dashboard import second_factors, security

_codes = "security/recovery-codes/"

urlpatterns = [
    path("login/", login, name="account_login"),
    path("login/code/", authenticate, name="mfa_authenticate"),
    path("logout/", logout, name="account_logout"),
    path("confirm/", reauthenticate, name="account_reauthenticate"),
    path("confirm/code/", reauthenticate_by_code, name="mfa_reauthenticate"),
    path("confirm/key/", reauthenticate_webauthn, name="mfa_reauthenticate_webauthn"),
    path(
        "password_change/",
        login_required(security.Password.as_view()),
        name="account_change_password",
    ),
    path("security/", login_required(security.Overview.as_view()), name="mfa_index"),
    path("security/app/", security.AuthenticatorApp.as_view(), name="mfa_activate_totp"),
    path(
        "security/app/remove/",
        security.NoAuthenticatorApp.as_view(),
        name="mfa_deactivate_totp",
    ),
    path("security/keys/add/", security.SecurityKey.as_view(), name="mfa_add_webauthn"),
    path(
        "security/keys/<int:pk>/remove/",
        security.NoSecurityKey.as_view(),
        name="mfa_remove_webauthn",
    ),
    path(_codes, security.RecoveryCodes.as_view(), name="mfa_view_recovery_codes"),
    path(f"{_codes}new/", security.NewRecoveryCodes.as_view(), name="mfa_generate_recovery_codes"),
    path(f"{_codes}file/", download_recovery_codes, name="mfa_download_recovery_codes"),
    path("security/sessions/", security.Sessions.as_view(), name="usersessions_list"),
    path("security/sessions/<int:session_id>/end/", security.end_session, name="usersessions_end"),
    path(
        "accounts/user/<uuid:user_id>/second-factor/",
        admin.site.admin_view(second_factors.reset),
        name="second_factor_reset",
    ),
]
