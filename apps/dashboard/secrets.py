"""A new secret, shown once: in the answer to the request that made it, and nowhere else."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from apps.dashboard.pages import page


def shown_once(
    request: HttpRequest, *, title: str, what: str, use: str, secret: str, onward: str
) -> HttpResponse:
    """Show a secret. No message, session, cookie or cache ever holds it.

    what: its noun; use: what it is for; onward: the page that a reload shows instead.
    """
    answer = page(
        request,
        "dashboard/secret.html",
        title=title,
        what=what,
        use=use,
        secret=secret,
        onward=onward,
    )
    answer["Cache-Control"] = "no-store"
    return answer
