"""What asks for the password again, if it was typed some time ago: see ``login.Door``."""

from __future__ import annotations

from urllib.parse import urlencode

from allauth.account.internal.flows.reauthentication import is_reauthentication_required
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse


def confirmation(request: HttpRequest) -> HttpResponseRedirect | None:
    """Return the way to the page that asks who is there; None where that is known well enough.

    It leads back here. What a POST brought is not kept, as allauth would keep it, in the session:
    there may be a password in it.
    """
    if not is_reauthentication_required(request, app="dashboard"):
        return None
    if request.method == "POST":
        messages.warning(request, "Nothing was changed: say who you are, then do it again.")
    back = urlencode({REDIRECT_FIELD_NAME: request.get_full_path()})
    return HttpResponseRedirect(f"{reverse('account_reauthenticate')}?{back}")
