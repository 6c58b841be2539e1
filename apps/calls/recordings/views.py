"""GET and DELETE /calls/{id}/recording."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException, NotFound
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.audit import Actor
from apps.accounts.authentication import account_of, actor_of
from apps.calls.recordings import answers, schema
from apps.calls.recordings.models import Recording
from apps.calls.recordings.selectors import recording_get
from apps.calls.recordings.services import recording_erase
from apps.core.renderers import JsonRenderer

# What a recording that is being made will take to be ready, once its call is over.
RETRY_AFTER_S = 10

_WAITING: Mapping[str, str] = {
    Recording.Status.RECORDING: "The call is still being recorded.",
    Recording.Status.PROCESSING: "The recording is being made.",
}
_MISSING: Mapping[str, str] = {
    Recording.Status.FAILED: "The recording was lost before it could be stored.",
    Recording.Status.DELETED: "The recording has been erased.",
}


class WavRenderer(BaseRenderer):
    """Says that ``audio/wav`` may be asked for; the view answers the sound itself."""

    media_type = "audio/wav"
    format = "wav"
    charset = None
    render_style = "binary"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        return JsonRenderer().render(data)


class StorageAway(APIException):
    """The storage does not give the file out now."""

    status_code = 503
    default_detail = "The storage of recordings does not answer; try again later."
    default_code = "unavailable-error"


@schema.RECORDING
class RecordingView(APIView):
    """A call's recording. Another account's call is a 404."""

    required_scopes: ClassVar[Mapping[str, str]] = {"GET": "calls:read", "DELETE": "calls:write"}
    renderer_classes = (JsonRenderer, WavRenderer)

    def get(self, request: Request, pk: uuid.UUID) -> HttpResponseBase:
        recording = _found(request, pk)
        if waiting := _WAITING.get(recording.status):
            return answers.refusal(409, waiting, {"Retry-After": str(RETRY_AFTER_S)})
        if missing := _MISSING.get(recording.status):
            raise NotFound(missing)
        try:
            return answers.sound_answer(request._request, recording)
        except answers.StorageAway:
            raise StorageAway from None

    def delete(self, request: Request, pk: uuid.UUID) -> HttpResponseBase:
        actor: Actor = actor_of(request)
        try:
            recording_erase(account=account_of(request), call_id=pk, actor=actor)
        except Recording.DoesNotExist:
            raise NotFound(_NONE) from None
        return Response(status=204)


_NONE = "There is no recording of such a call here."


def _found(request: Request, call_id: uuid.UUID) -> Recording:
    try:
        return recording_get(account_of(request), call_id)
    except Recording.DoesNotExist:
        raise NotFound(_NONE) from None
