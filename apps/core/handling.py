"""Answers every exception of an API view with the envelope of ``apps.core.errors``."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.core.signals import got_request_exception
from django.http import Http404, HttpResponse
from rest_framework import status
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

from apps.core.errors import NotJson, PayloadTooLarge, envelope, fields_flatten
from apps.core.idempotency import Answered

logger = logging.getLogger(__name__)


def exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse:
    """Answer every exception of an API view with the envelope."""
    if isinstance(exc, Answered):
        return exc.response
    if isinstance(exc, RequestDataTooBig):
        exc = PayloadTooLarge()
    elif isinstance(exc, SuspiciousOperation | BadRequest):
        # What Django would answer with 400 itself: a thousand parameters in the query, say.
        exc = ParseError("The request is malformed.")
    _answer_in_json(context.get("request"))
    response = drf_exception_handler(exc, context)
    if response is None:
        return _server_error(exc, context)
    response.data = _envelope_of(exc, response.status_code)
    return response


def _answer_in_json(request: Any) -> None:
    # A view of YAML or of pages answers its errors as all others do.
    if request is not None:
        request.accepted_renderer = JSONRenderer()
        request.accepted_media_type = JSONRenderer.media_type


def _envelope_of(exc: Exception, status_code: int) -> dict[str, Any]:
    if isinstance(exc, ValidationError):
        fields = fields_flatten(exc.detail)
        count = len(fields)
        info = "1 field is invalid" if count == 1 else f"{count} fields are invalid"
        return envelope(status_code, info, fields=fields)
    if isinstance(exc, Http404 | PermissionDenied):
        info = "There is no such thing here." if status_code == 404 else "This is not allowed."
        return envelope(status_code, info)
    own = NotJson.default_code if isinstance(exc, NotJson) else ""
    return envelope(
        status_code,
        str(getattr(exc, "detail", exc)),
        error=getattr(exc, "error", own),
        fields=getattr(exc, "fields", None),
        members=getattr(exc, "members", None),
    )


def _server_error(exc: Exception, context: dict[str, Any]) -> Response:
    # Answered here rather than by Django, whose page in DEBUG is HTML; so it is told, and logged,
    # here too. Test clients hear the signal and raise.
    request = getattr(context.get("request"), "_request", None)
    got_request_exception.send(sender=exception_handler, request=request)
    logger.error("Unhandled exception in a view", exc_info=exc)
    code = status.HTTP_500_INTERNAL_SERVER_ERROR
    return Response(envelope(code, "Something went wrong on our side."), status=code)
