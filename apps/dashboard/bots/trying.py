"""Parts of the editor that answer while one edits: a slot's fields, a voice, a tool, a preview."""

from __future__ import annotations

import io
import json
import uuid
import wave
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST
from rest_framework.exceptions import APIException, ValidationError

from apps.accounts.credentials import credential_addresses
from apps.bots.rendering import Caller, config_render, variables_check
from apps.bots.samples import Unspoken, sample_speak
from apps.bots.serializers import RenderQuerySerializer, ToolTrialSerializer
from apps.bots.tooltrials import UnknownTool, tool_try
from apps.core.errors import fields_flatten
from apps.core.parsers import json_read
from apps.dashboard.bots.editor import editing_asked, own_keys
from apps.dashboard.bots.fields import Field, Shown
from apps.dashboard.bots.lookup import READ, WRITE, bot_get, crumbs, version_get
from apps.dashboard.bots.parts import SLOTS
from apps.dashboard.bots.shapes import slot_shown
from apps.dashboard.pages import page
from apps.dashboard.scoping import actor_in, may, person_of
from apps.telephony.twiml import TwimlError
from apps.voice.g711 import decode

RATE = 8_000


def slot(request: HttpRequest, kind: str) -> HttpResponse:
    """The fields of a slot, for the provider that was just chosen."""
    found = next((one for one in SLOTS if one == kind), None)
    if found is None:
        raise Http404
    editing = editing_asked(request)
    shown = slot_shown(editing.form, found, own_keys(editing))
    context = {"slot": shown, "may_save": True}
    return render(request, "dashboard/bots/slot_fields.html", context)


@require_POST
def hear(request: HttpRequest) -> HttpResponse:
    """Speak a sentence with the voice that is chosen in the form: a WAV, or why not, in words."""
    editing = editing_asked(request)
    secrets = {} if editing.version is None else editing.version.secrets
    try:
        audio = sample_speak(
            account=editing.account,
            native=editing.form.body(),
            secrets=secrets,
            who=f"user:{person_of(request).pk}",
        )
    except ValidationError as exc:
        told = [f"{path}: {' '.join(texts)}" for path, texts in fields_flatten(exc.detail).items()]
        return _unheard(" ".join(told))
    except Unspoken as exc:
        return _unheard(str(exc))
    except APIException as exc:
        return _unheard(str(exc.detail))
    return HttpResponse(wav_of(audio), content_type="audio/wav")


def _unheard(why: str) -> HttpResponse:
    # Not an error of the page's: its console stays quiet.
    return JsonResponse({"error": why})


def wav_of(mulaw: bytes) -> bytes:
    """Wrap mu-law audio (8,000 Hz, mono) as a WAV of 16-bit samples, which every browser plays."""
    found = io.BytesIO()
    with wave.open(found, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(decode(mulaw))
    return found.getvalue()


@require_POST
def try_tool(request: HttpRequest, id: uuid.UUID, name: str) -> HttpResponse:
    """Ask a saved tool's webhook, for real, and show all that came of it."""
    config = bot_get(request, id, READ)
    if not may(request, WRITE, config.account_id):
        raise PermissionDenied
    context: dict[str, Any] = {"name": name}
    try:
        given = json_read(request.POST.get("arguments") or "{}")
        form = ToolTrialSerializer(data={"arguments": given})
        form.is_valid(raise_exception=True)
        arguments = form.validated_data["arguments"]
        version = version_get(config, None)
        trial = tool_try(config, version, name, arguments, actor_in(request))
        body = trial["request"]["body"]
        context |= {"trial": trial, "asked": json.dumps(body, indent=2) if body else ""}
    except ValueError:
        context["error"] = "The arguments are no JSON."
    except ValidationError as exc:
        told = fields_flatten(exc.detail).items()
        context["error"] = " ".join(f"{path}: {' '.join(texts)}" for path, texts in told)
    except (UnknownTool, APIException) as exc:
        context["error"] = str(exc)
    return render(request, "dashboard/bots/trial.html", context)


_PREVIEW = (
    Field("from", "Caller", "Their number, such as +4930123456."),
    Field("to", "Number called"),
    Field("version", "Version", "Empty: the one that takes calls.", widget="number", minimum=1),
    Field("variables", "Variables", 'A JSON object, such as {"guest": "Ada"}.', widget="json"),
)


def preview(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """What a caller would get. Changes nothing, asks nobody."""
    config = bot_get(request, id, READ)
    given = {field.path: request.GET.get(field.path, "") for field in _PREVIEW}
    rendered: dict[str, Any] | None = None
    wrong: dict[str, list[str]] = {}
    try:
        rendered = _rendered(config, {name: text for name, text in given.items() if text})
    except ValidationError as exc:
        wrong = fields_flatten(exc.detail)
    shown = [
        Shown(
            field,
            given[field.path],
            tuple(text for path in wrong if _is_of(path, field.path) for text in wrong[path]),
        )
        for field in _PREVIEW
    ]
    return page(
        request,
        "dashboard/bots/preview.html",
        title="Preview",
        crumbs=crumbs(config),
        bot=config,
        tab="preview",
        fields=shown,
        rendered=rendered,
    )


def _is_of(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}.")


def _rendered(config: Any, given: dict[str, str]) -> dict[str, Any]:
    """Raises ValidationError by the parameter."""
    form = RenderQuerySerializer(data=given)
    form.is_valid(raise_exception=True)
    asked = form.validated_data
    if wrong := variables_check(asked["variables"]):
        raise ValidationError({"variables": wrong})
    number = asked.get("version") or (config.current.number if config.current else None)
    version = version_get(config, number)
    keys = credential_addresses(config.account)
    caller = Caller(asked["from"], asked["to"], asked["variables"])
    try:
        return config_render(config, version, caller, keys)
    except TwimlError as exc:
        raise ValidationError({"variables": [str(exc)]}) from None
