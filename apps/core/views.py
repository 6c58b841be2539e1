"""Health, and the envelope for what fails before any API view is reached."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse

from apps.core.errors import envelope
from apps.core.health import readiness


def healthz(request: HttpRequest) -> JsonResponse:
    """The process is alive."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """The process can take work: 200, else 503 and what is wrong."""
    checks = readiness()
    ready = all(found == "ok" for found in checks.values())
    answer = {"status": "ready" if ready else "unavailable", "checks": checks}
    return JsonResponse(answer, status=200 if ready else 503)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    return _answer(400, "The request is malformed.")


def forbidden(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    return _answer(403, "This is not allowed.")


def not_found(request: HttpRequest, exception: Exception | None = None, **_: Any) -> JsonResponse:
    return _answer(404, "There is no such thing here.")


def server_error(request: HttpRequest) -> JsonResponse:
    return _answer(500, "Something went wrong on our side.")


def _answer(status: int, info: str) -> JsonResponse:
    return JsonResponse(envelope(status, info), status=status)
