"""A call's recording for the player on its page: the sound, and what it looks like."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from apps.calls.models import Call, Recording
from apps.calls.recordings.answers import StorageAway, refusal, sound_answer
from apps.calls.recordings.peaks import recording_peaks
from apps.calls.recordings.selectors import recording_get

_AWAY: Final = "The storage of recordings does not answer; try again later."
_NONE: Final = "There is no recording of this call to listen to."


def recording_sound(request: HttpRequest, call: Call) -> HttpResponseBase:
    """Answer the recording's sound, or a part of it."""
    recording = _ready(call)
    if recording is None:
        return refusal(404, _NONE, {})
    try:
        return sound_answer(request, recording)
    except StorageAway:
        return refusal(503, _AWAY, {})


def recording_shape(request: HttpRequest, call: Call) -> HttpResponse:
    """Answer ``{"caller": [0…255], "bot": […]}``: the loudest of each column, see ``Peaks``."""
    recording = _ready(call)
    if recording is None:
        return refusal(404, _NONE, {})
    try:
        peaks = recording_peaks(recording)
    except OSError:
        return refusal(503, _AWAY, {})
    shape = {"caller": list(peaks.caller), "bot": list(peaks.bot)}
    return JsonResponse(shape, headers={"Cache-Control": "private, no-cache"})


def _ready(call: Call) -> Recording | None:
    try:
        recording = recording_get(call.account, call.pk)
    except Recording.DoesNotExist:
        return None
    return recording if recording.status == Recording.Status.READY else None
