"""The page for talking to a bot, and what its script asks for. Answers to the script are JSON."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_POST
from rest_framework.exceptions import APIException, Throttled, ValidationError

from apps.bots.models import TwilioConfig
from apps.calls.browser import browser_call_abandon, browser_call_begin
from apps.calls.caller_voice import (
    LONGEST,
    VoiceMissing,
    caller_voice_missing,
    caller_voice_speak,
)
from apps.calls.dial_serializers import DialSerializer
from apps.calls.dialling import NotNow, WishRefused, call_dial
from apps.calls.lines import Full
from apps.calls.models import Call
from apps.core.parsers import json_read
from apps.dashboard.pages import needs, page
from apps.dashboard.scoping import actor_in, may, narrowed, person_of
from apps.dashboard.talk.choices import choices_of, numbers_of
from apps.telephony.rest import MEANINGS

SCOPE = "calls:write"
LARGEST = 64 * 1024

Answer = Callable[..., HttpResponse]


class Wrong(Exception):
    """What was asked for cannot be. fields: what is wrong, by the names of the page's fields."""

    def __init__(self, why: str, *, status: int = 400, fields: Mapping[str, Any] | None = None):
        super().__init__(why)
        self.status = status
        self.fields = dict(fields or {})


@require_GET
def talk(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show the page."""
    config = _config(request, pk)
    choices = choices_of(config)
    return page(
        request,
        "dashboard/talk.html",
        title=f"Talk to {config}",
        crumbs=(
            ("Bots", reverse("admin:bots_twilioconfig_changelist")),
            (str(config), reverse("admin:bots_twilioconfig_change", args=[pk])),
        ),
        config=config,
        choices=choices,
        numbers=numbers_of(config),
        voice_missing=caller_voice_missing(),
        longest=LONGEST,
        talk_urls={
            **{name: reverse(f"admin:bots_twilioconfig_talk_{name}", args=[pk]) for name in _ASKED},
            "call": reverse("admin:calls_call_change", args=[uuid.UUID(int=0)]),
            "user": str(person_of(request).pk),
        },
    )


def answers(view: Callable[[HttpRequest, TwilioConfig, dict[str, Any]], Any]) -> Answer:
    """Have a view take the JSON of a script's request, and say in JSON what is wrong with it."""

    @wraps(view)
    def answer(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        try:
            found = view(request, _config(request, pk), _body(request))
        except Wrong as wrong:
            told = {"error": str(wrong), "fields": wrong.fields}
            return JsonResponse(told, status=wrong.status)
        return found if isinstance(found, HttpResponse) else JsonResponse(found)

    return require_POST(answer)


@answers
def begin(request: HttpRequest, config: TwilioConfig, asked: dict[str, Any]) -> dict[str, Any]:
    """Begin a call: answers with what lets the page in."""
    variables = asked.get("variables") or {}
    if not isinstance(variables, dict):
        raise Wrong("The variables are no object.")
    try:
        begun = browser_call_begin(
            account=config.account,
            config_id=config.pk,
            actor=actor_in(request),
            variables=variables,
            draft=asked.get("version") == "draft",
        )
    except WishRefused as refused:
        raise Wrong("Some of the variables are wrong.", fields=refused.fields) from None
    except NotNow as refused:
        raise Wrong(str(refused), status=409, fields={refused.field: [str(refused)]}) from None
    except Full as full:
        raise Wrong(str(full), status=409) from None
    return {"call": str(begun.call.pk), "path": begun.path, "start": dict(begun.start)}


@answers
def abandon(request: HttpRequest, config: TwilioConfig, asked: dict[str, Any]) -> dict[str, Any]:
    """Give back the line of a call that could not connect."""
    try:
        browser_call_abandon(account=config.account, call_id=uuid.UUID(str(asked.get("call"))))
    except (ValueError, Call.DoesNotExist):
        raise Http404 from None
    return {}


@answers
def speech(request: HttpRequest, config: TwilioConfig, asked: dict[str, Any]) -> HttpResponse:
    """Speak what was typed, as the caller: answers with mu-law 8 kHz."""
    text = str(asked.get("text") or "").strip()
    if not any(map(str.isalnum, text)):
        raise Wrong("Type what the caller says.", fields={"text": ["Some words."]})
    if len(text) > LONGEST:
        raise Wrong(f"Up to {LONGEST} characters.", fields={"text": [f"Up to {LONGEST}."]})
    try:
        audio = caller_voice_speak(text, who=f"user:{person_of(request).pk}")
    except Throttled as throttled:
        raise Wrong(str(throttled.detail), status=429) from None
    except VoiceMissing as missing:
        raise Wrong(str(missing), status=503) from None
    return HttpResponse(audio, content_type="audio/basic")


@answers
def dial(request: HttpRequest, config: TwilioConfig, asked: dict[str, Any]) -> dict[str, Any]:
    """Have the bot call a phone: answers with the page of the call."""
    wanted = {name: asked.get(name) for name in ("to", "from") if asked.get(name)}
    variables = asked.get("variables") or {}
    body = DialSerializer(data={**wanted, "config_id": str(config.pk), "variables": variables})
    try:
        body.is_valid(raise_exception=True)
        call = call_dial(account=config.account, wish=body.wish(), actor=actor_in(request))
    except ValidationError as wrong:
        raise Wrong("Some fields are wrong.", fields=_plain(wrong.detail)) from None
    except WishRefused as refused:
        raise Wrong("Some fields are wrong.", fields=refused.fields) from None
    except NotNow as refused:
        why = str(refused)
        fields = {refused.field: [why]} if refused.field else {}
        raise Wrong(why, status=409, fields=fields) from None
    except Full as full:
        raise Wrong(str(full), status=409) from None
    if call.status == Call.Status.FAILED and not call.call_sid:
        raise _refused(call)
    return {"url": reverse("admin:calls_call_change", args=[call.pk])}


_ASKED: Mapping[str, Answer] = {
    "begin": begin,
    "abandon": abandon,
    "speech": speech,
    "dial": dial,
}


def talk_urls() -> list[URLPattern]:
    """Return the paths of the page and its answers, for the admin class of bots."""
    return [
        path("<uuid:pk>/talk/", needs(SCOPE)(talk), name="bots_twilioconfig_talk"),
        *(
            path(
                f"<uuid:pk>/talk/{name}/", needs(SCOPE)(view), name=f"bots_twilioconfig_talk_{name}"
            )
            for name, view in _ASKED.items()
        ),
    ]


def _config(request: HttpRequest, pk: uuid.UUID) -> TwilioConfig:
    """Return the bot, if the user may make calls with it. Raises Http404."""
    rows = narrowed(request, TwilioConfig.objects.filter(deleted_at=None), SCOPE)
    config = get_object_or_404(rows.select_related("account", "current"), pk=pk)
    if not may(request, "configs:read", config.account_id):
        raise Http404
    return config


def _refused(call: Call) -> Wrong:
    """Return what Twilio, who would not place a call, is told to have said, and of which field."""
    why = call.error or "Twilio did not place the call."
    meaning = MEANINGS.get(int(call.error_code)) if call.error_code.isdecimal() else None
    return Wrong(why, status=409, fields={meaning.field: [why]} if meaning else {})


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        if len(request.body) > LARGEST:
            raise Wrong("Too long.", status=413)
        found = json_read(request.body or b"{}")
    except (ValueError, APIException):
        found = None
    if not isinstance(found, dict):
        raise Wrong("That is no JSON object.")
    return found


def _plain(detail: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(detail, cls=DjangoJSONEncoder))
    return found
