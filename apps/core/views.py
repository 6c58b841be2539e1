"""Health, and the envelope for what fails before any API view is reached."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from apps.core.errors import envelope
from apps.core.health import readiness
from apps.core.routing import read_only


@read_only
def healthz(request: HttpRequest) -> JsonResponse:
    """The process is alive."""
    return JsonResponse({"status": "ok"})


@read_only
def readyz(request: HttpRequest) -> JsonResponse:
    """The process can take work: 200, else 503 and what is wrong."""
    checks = readiness()
    ready = all(found == "ok" for found in checks.values())
    answer = {"status": "ready" if ready else "unavailable", "checks": checks}
    return JsonResponse(answer, status=200 if ready else 503)


ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<rect width="32" height="32" rx="7" fill="#1f6feb"/>'
    '<path d="M9 13v6M13 9v14M17 12v8M21 7v18M25 14v4" stroke="#fff" '
    'stroke-width="2.4" stroke-linecap="round"/></svg>'
)


@read_only
def favicon(request: HttpRequest) -> HttpResponse:
    """A small waveform."""
    return HttpResponse(
        ICON, content_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"}
    )


def bad_request(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    return _answer(400, "The request is malformed.")


def forbidden(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    return _answer(403, "This is not allowed.")


# A POST to an unknown path is no forgery: a 404 like any other, not the page of the CSRF check.
@csrf_exempt
def not_found(request: HttpRequest, exception: Exception | None = None, **_: Any) -> JsonResponse:
    return _answer(404, "There is no such thing here.")


def server_error(request: HttpRequest) -> JsonResponse:
    return _answer(500, "Something went wrong on our side.")


def _answer(status: int, info: str) -> JsonResponse:
    return JsonResponse(envelope(status, info), status=status)
