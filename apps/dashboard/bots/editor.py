"""The editor: a bot's page, and the page of one to be made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from apps.accounts.models import Account
from apps.bots.document import document_warnings
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.presentation import version_status
from apps.bots.services import NotADraft, StaleVersion, Written
from apps.dashboard.bots.form import BotForm
from apps.dashboard.bots.history import changes_between
from apps.dashboard.bots.lookup import (
    WRITE,
    accounts_of_writer,
    bot_get,
    catalogue_for,
    crumbs,
    version_get,
)
from apps.dashboard.bots.saving import (
    Refused,
    Save,
    Unchanged,
    bot_create,
    bot_save,
    patch_of,
    stored_new,
    stored_of,
)
from apps.dashboard.bots.shapes import form_shown
from apps.dashboard.bots.together import undone
from apps.dashboard.pages import page
from apps.dashboard.scoping import actor_in, may

# What a form asks for: to be saved so that it takes calls, or to be written once more as it is.
PUBLISH, SHOW = "publish", "show"
# The page lets what it kept go: it is stored.
SAVED = "#saved"
TEMPLATE = "dashboard/bots/editor.html"


@dataclass(slots=True)
class Editing:
    """A bot in the editor. version: that the page is written from. stale: the one that somebody
    saved meanwhile."""

    account: Account
    form: BotForm
    config: TwilioConfig | None = None
    version: TwilioConfigVersion | None = None
    stale: TwilioConfigVersion | None = None
    accounts: list[Account] = field(default_factory=list)


def edit(request: HttpRequest, config: TwilioConfig) -> HttpResponse:
    """Show a bot, which the user may read, or save what was entered."""
    if request.method != "POST":
        return _shown(request, editing_of(config))
    if not may(request, WRITE, config.account_id):
        raise PermissionDenied
    editing = editing_of(config, request)
    if request.POST.get("do") == SHOW:
        return _shown(request, editing)
    return _posted(request, config, editing)


def _posted(request: HttpRequest, config: TwilioConfig, editing: Editing) -> HttpResponse:
    try:
        return _saved(request, _save(request, editing))
    except Refused:
        messages.error(request, "Nothing was saved: look at what is marked below.")
    except Unchanged:
        messages.info(request, "Nothing has changed, so nothing was saved.")
        return _back(config)
    except NotADraft:
        messages.error(request, "A newer version takes calls; restore this one to bring it back.")
    except StaleVersion:
        config.refresh_from_db()
        editing.stale = version_get(config, None)
    except TwilioConfig.DoesNotExist:
        raise Http404 from None
    return _shown(request, editing)


def add(request: HttpRequest) -> HttpResponse:
    """Show the page of a new bot, or make it."""
    accounts = list(accounts_of_writer(request))
    if not accounts:
        raise PermissionDenied
    asked = request.POST.get("account") or request.GET.get("account")
    account = next((one for one in accounts if str(one.pk) == asked), None)
    if asked and account is None:
        raise Http404
    if account is None and len(accounts) > 1:
        return _account_asked(request, accounts)
    account = account or accounts[0]
    data = request.POST.dict() if request.method == "POST" else None
    form = BotForm(stored_new(account), catalogue_for(account), data)
    editing = Editing(account, form, accounts=accounts)
    if data is None or data.get("do") == SHOW:
        return _shown(request, editing)
    publish = data.get("do") == PUBLISH
    try:
        written = bot_create(account=account, form=form, actor=actor_in(request), publish=publish)
    except Refused:
        messages.error(request, "No bot was made: look at what is marked below.")
        return _shown(request, editing)
    _told(request, written, "is made" if publish else "is made, as a draft that takes no calls yet")
    made = reverse("admin:bots_twilioconfig_connect", args=[written.config.pk])
    return HttpResponseRedirect(made + SAVED)


def _account_asked(request: HttpRequest, accounts: list[Account]) -> HttpResponse:
    # None is taken for granted: a bot in the wrong account is read by strangers.
    template = "dashboard/bots/account.html"
    return page(request, template, title="New bot", crumbs=crumbs(), accounts=accounts)


def editing_of(config: TwilioConfig, request: HttpRequest | None = None) -> Editing:
    """Return a bot as it is stored, or, with a request, as it was entered."""
    data = None if request is None else request.POST.dict()
    version = version_get(config, None if data is None else data.get("version"))
    form = BotForm(stored_of(version), catalogue_for(config.account, version), data)
    return Editing(config.account, form, config, version)


def editing_asked(request: HttpRequest) -> Editing:
    """Return what a part of the editor's page is about: the bot that its form names, or a new one.

    The form is as it was entered. Raises Http404, or PermissionDenied for who may not save.
    """
    given = request.POST if request.method == "POST" else request.GET
    data = {name: text for name, text in given.items() if isinstance(text, str)}
    if data.get("bot"):
        config = bot_get(request, data["bot"], WRITE)
        version = version_get(config, data.get("version"))
        form = BotForm(stored_of(version), catalogue_for(config.account, version), data)
        return Editing(config.account, form, config, version)
    account = next(
        (one for one in accounts_of_writer(request) if str(one.pk) == data.get("account")), None
    )
    if account is None:
        raise Http404
    return Editing(account, BotForm(stored_new(account), catalogue_for(account), data))


def own_keys(editing: Editing) -> list[str]:
    """The providers that the bot brings a key of its own for."""
    return [] if editing.version is None else list(editing.version.secrets.get("api_keys", {}))


def _save(request: HttpRequest, editing: Editing) -> Written:
    if editing.config is None or editing.version is None:
        raise Http404
    onto = request.POST.get("onto", "")
    save = Save(
        config=editing.config,
        base=editing.version,
        onto=int(onto) if onto.isdecimal() and len(onto) < 10 else editing.version.number,
        actor=actor_in(request),
        publish=request.POST.get("do") == PUBLISH,
    )
    return bot_save(save, editing.form)


def _saved(request: HttpRequest, written: Written) -> HttpResponse:
    number = written.version.number
    if written.config.current_id == written.version.pk:
        _told(request, written, f"takes calls as version {number}")
    else:
        _told(request, written, f"has a draft, version {number}, which takes no calls yet")
    return _back(written.config)


def _told(request: HttpRequest, written: Written, what: str) -> None:
    messages.success(request, f"{written.config} {what}.")
    for note in written.notes:
        messages.warning(request, note)


def _back(config: TwilioConfig) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:bots_twilioconfig_change", args=[config.pk]) + SAVED)


def _shown(request: HttpRequest, editing: Editing) -> HttpResponse:
    config, version = editing.config, editing.version
    context: dict[str, Any] = {
        **form_shown(editing.form, own_keys(editing)),
        "bot": config,
        "account": editing.account,
        "accounts": editing.accounts,
        "version": version,
        "may_save": may(request, WRITE, editing.account.pk),
        "complaints": editing.form.complaints,
        "tab": "editor",
        "query": _query(editing),
    }
    if config is not None and version is not None:
        context["status"] = version_status(config, version)
        context["warnings"] = list(document_warnings(version.document))
    if editing.stale is not None:
        context |= _stale(request, editing, editing.stale)
    title = str(config) if config else "New bot"
    return page(request, TEMPLATE, title=title, crumbs=crumbs(), **context)


def _stale(request: HttpRequest, editing: Editing, theirs: TwilioConfigVersion) -> dict[str, Any]:
    """What is told of a version that somebody saved meanwhile."""
    config, version = editing.config, editing.version
    if config is None or version is None:
        return {}
    save = Save(config, version, theirs.number, actor_in(request), publish=False)
    return {
        "stale": theirs,
        "onto": theirs.number,
        "stale_changes": changes_between(version, theirs),
        "undone": undone(version, theirs, patch_of(save, editing.form)),
    }


def _query(editing: Editing) -> str:
    """What a part of the page tells of the form that it is in."""
    if editing.config is None or editing.version is None:
        return urlencode({"account": editing.account.pk})
    return urlencode({"bot": editing.config.pk, "version": editing.version.number})
