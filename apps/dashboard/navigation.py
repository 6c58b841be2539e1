"""The menu: what a person may see, and nothing else."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from apps.accounts.models import Account
from apps.accounts.scopes import ADMIN
from apps.dashboard.scoping import accounts_shown, may, shows_several

SUPERUSERS: Final = "superuser"
SETTINGS: Final = "admin:accounts_account_changelist"

# Heading, then for each page: title, icon, URL name, the scope that it needs.
_MENU: Final = (
    (
        "Phones",
        (
            ("Home", "home", "admin:index", ""),
            ("Bots", "smart_toy", "admin:bots_twilioconfig_changelist", "configs:read"),
            ("Calls", "call", "admin:calls_call_changelist", "calls:read"),
            ("Numbers", "dialpad", "admin:calls_phonenumber_changelist", "phones:read"),
        ),
    ),
    (
        "Connections",
        (
            ("Twilio", "hub", "admin:accounts_twilioconnection_changelist", "phones:read"),
            ("Vendor keys", "vpn_key", "admin:accounts_credential_changelist", ADMIN),
            ("Webhooks", "webhook", "admin:webhooks_endpoint_changelist", "webhooks:read"),
            ("API keys", "key", "admin:accounts_apikey_changelist", ADMIN),
        ),
    ),
    (
        "Account",
        (
            ("Settings", "tune", "admin:accounts_account_changelist", ADMIN),
            ("Audit log", "history", "admin:accounts_auditentry_changelist", ADMIN),
            ("People", "group", "admin:accounts_user_changelist", SUPERUSERS),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the menu in unfold's form."""
    groups = []
    for heading, pages in _MENU:
        items = [
            {
                "title": title,
                "icon": icon,
                "link": _single(request) or link if name == SETTINGS else link,
                "active": _is_here(request, link),
            }
            for title, icon, name, scope in pages
            if _allowed(request, scope) and (link := _link(name))
        ]
        groups.append({"title": heading, "items": items})
    return [group for group in groups if group["items"]]


def _allowed(request: HttpRequest, scope: str) -> bool:
    if scope == SUPERUSERS:
        return bool(request.user.is_superuser)
    return not scope or may(request, scope)


def _single(request: HttpRequest) -> str:
    """Return the page of the only account shown; empty where there are several."""
    accounts = accounts_shown(request, "configs:read")
    if accounts is None and not shows_several(request):
        accounts = list(Account.objects.values_list("pk", flat=True)[:1])
    if accounts is None or len(accounts) != 1:
        return ""
    return reverse("admin:accounts_account_change", args=[accounts[0]])


def _link(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:  # a page that this installation does not have
        return ""


def _is_here(request: HttpRequest, link: str) -> bool:
    home = reverse("admin:index")
    return request.path == home if link == home else request.path.startswith(link)
