"""The forms that a code of the second factor is entered in: allauth's, and a code counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.base.internal.flows import check_rate_limit
from allauth.mfa.models import Authenticator

from apps.accounts.models import User
from apps.accounts.totp import code_is_spent, code_spend

if TYPE_CHECKING:
    Entry = AuthenticateForm
else:
    Entry = object


class CountsOnce(Entry):
    """Refuses a code of an app that was used before, or is older than one that was."""

    user: User
    authenticator: Authenticator

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if code_is_spent(user=self.user, code=code):
            # Counted as a wrong one, which allauth would forget where the code fits.
            check_rate_limit(self.user)
            raise _wrong()
        found: str = super().clean_code()
        is_app = self.authenticator.type == Authenticator.Type.TOTP
        if is_app and not code_spend(user=self.user, code=code):
            raise _wrong()
        return found


class LoginForm(CountsOnce, AuthenticateForm):
    """At the login."""


class ConfirmForm(CountsOnce, ReauthenticateForm):
    """Before something that matters."""


def _wrong() -> Any:
    return get_adapter().validation_error("incorrect_code")
