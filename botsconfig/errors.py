"""What an error looks like: a page to people at the dashboard, the API's envelope to all others."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import csrf_exempt

from apps.core import views

_WORDS = {
    400: ("This request makes no sense", "Go back and try again."),
    403: (
        "You may not see this",
        "Your role in this account does not include it. An owner or admin of the account can "
        "change your role.",
    ),
    404: (
        "There is nothing here",
        "It may have been deleted, or belong to an account that you are not in.",
    ),
    419: (
        "This page was open for too long",
        "Nothing was changed. Go back, load the page again, and repeat what you did.",
    ),
    500: (
        "Something went wrong on our side",
        "Nothing more was done. What it was stands in the server's log.",
    ),
}


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _page(request, 400) or views.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _page(request, 403) or views.forbidden(request, exception)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose token is missing or too old."""
    return _page(request, 419, status=403) or views.forbidden(request)


# A POST to an unknown path is no forgery: a 404 like any other, not the page of the CSRF check.
@csrf_exempt
def not_found(request: HttpRequest, exception: Exception | None = None, **_: Any) -> HttpResponse:
    return _page(request, 404) or views.not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    return _page(request, 500) or views.server_error(request)


def _page(request: HttpRequest, kind: int, *, status: int = 0) -> HttpResponse | None:
    """Return a page that asks nothing of the database; None to who does not look at pages."""
    asks = "text/html" in request.headers.get("Accept", "")
    if not (request.path.startswith("/admin/") and asks):
        return None
    title, text = _WORDS[kind]
    html = render_to_string("dashboard/error.html", {"title": title, "text": text})
    return HttpResponse(html, status=status or kind)
