"""Idempotency-Key: a POST that is sent again is answered again, and done once.

After draft-ietf-httpapi-idempotency-key-header-07. A gate opens an attempt behind authentication
and permissions and before the view; the middleware keeps the answer when the view, and so every
transaction of its own, is over. Neither is known to any view.
"""

from __future__ import annotations

import hashlib
import logging
import re
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from apps.core.crypto import DecryptionError
from apps.core.errors import Conflict, Unprocessable
from apps.core.middleware import GetResponse
from apps.core.models import IdempotentAnswer

if TYPE_CHECKING:
    # rest_framework.views imports this module while it is being imported itself.
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LIFETIME = timedelta(hours=24)
# Longer than any POST of ours takes. What is still in flight then has crashed, and the next one
# with the key takes over. If it crashed between its commit and this module's note of the answer,
# its work is done a second time: the one gap that a note outside the work's transaction leaves.
LEASE = timedelta(seconds=60)
# Verdicts on the request itself, which sending it again cannot change. All other errors are of
# the moment (a limit, a permission, a row that is not there, a fault of ours): nothing was done,
# and a retry shall run.
LASTING_ERRORS = frozenset({400, 413, 415, 422})
KEPT_HEADERS = ("Cache-Control", "Content-Type", "ETag", "Location")

_FORM = re.compile(r"[\x21-\x7e]{1,255}")
_ATTEMPT = "_idempotent_attempt"
# Each further round means that somebody removed the row between our insert and our look at it.
_ROUNDS = 5
_BATCH = 1_000


class InFlight(Conflict):
    """The first request with this key is not answered yet."""

    default_detail = "A request with this Idempotency-Key is still being worked on."
    wait = 1  # seconds; DRF makes it Retry-After


class Answered(Exception):
    """The request has its answer already. The exception handler gives it out."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__("answered before")
        self.response = response


class IdempotencyGate(BaseThrottle):
    """Opens an attempt for a POST with a key, or raises what to answer instead.

    A throttle by its place alone: DRF asks throttles in every view, after authentication and
    permissions and before the handler, and takes them from the settings. The owner of the key is
    whatever authentication made ``request.auth``, by its ``account_id``; without one the header
    means nothing.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        key = request.headers.get(HEADER)
        owner = getattr(request.auth, "account_id", None)
        if request.method == "POST" and key is not None and owner is not None:
            if not _FORM.fullmatch(key):
                raise ValidationError({HEADER: ["1 to 255 visible ASCII characters."]})
            bare = request._request
            attempt = attempt_open(scope=str(owner), key=key, fingerprint=_fingerprint(bare))
            setattr(bare, _ATTEMPT, attempt)
        return True


class IdempotencyMiddleware:
    """Keeps the answer of an attempt that the gate has opened.

    A database that fails here does not take an answer back that is true: it goes out, unkept.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        attempt: uuid.UUID | None = getattr(request, _ATTEMPT, None)
        if attempt is not None:
            try:
                attempt_close(attempt=attempt, response=response)
            except DatabaseError:
                logger.exception("An answer could not be kept")
        return response


def attempt_open(*, scope: str, key: str, fingerprint: str) -> uuid.UUID:
    """Begin, and return the attempt's id; of any number at once, one does.

    Raises Answered with the first answer, InFlight while there is none, and Unprocessable if the
    key stands for another request. Must not run inside a transaction: others would not see it.
    """
    for _ in range(_ROUNDS):
        now = timezone.now()
        mine = IdempotentAnswer(
            scope=scope, key=key, fingerprint=fingerprint, created_at=now, leased_until=now + LEASE
        )
        IdempotentAnswer.objects.bulk_create([mine], ignore_conflicts=True)
        found = IdempotentAnswer.objects.defer("body").filter(scope=scope, key=key).first()
        if found is None:
            continue
        if found.pk == mine.pk:
            return mine.pk
        if not _is_void(found, fingerprint, now):
            raise _verdict(found, fingerprint)
        # All of it in the condition: it may have been answered, or taken over, since we looked.
        IdempotentAnswer.objects.filter(
            pk=found.pk, state=found.state, leased_until=found.leased_until
        ).delete()
    raise InFlight


def attempt_close(*, attempt: uuid.UUID, response: HttpResponse) -> None:
    """Keep the answer; or forget the attempt, so that a retry runs.

    One that was taken over meanwhile keeps nothing.
    """
    row = IdempotentAnswer.objects.filter(pk=attempt)
    if response.streaming or not _is_lasting(response.status_code):
        row.delete()
        return
    row.update(
        state=IdempotentAnswer.State.DONE,
        status=response.status_code,
        headers={name: response[name] for name in KEPT_HEADERS if name in response},
        # One character per byte, whatever the bytes are.
        body=response.content.decode("latin-1"),
    )


def answers_purge(*, now: datetime | None = None) -> int:
    """Remove what nobody can ask for any more, a batch at a time; returns how many."""
    old = IdempotentAnswer.objects.filter(created_at__lte=(now or timezone.now()) - LIFETIME)
    removed = 0
    while batch := list(old.values_list("pk", flat=True)[:_BATCH]):
        removed += old.filter(pk__in=batch).delete()[0]
    return removed


def _fingerprint(request: HttpRequest) -> str:
    head = f"{request.method} {request.get_full_path()}\n"
    return hashlib.sha256(head.encode() + request.body).hexdigest()


def _is_void(found: IdempotentAnswer, fingerprint: str, now: datetime) -> bool:
    if found.created_at <= now - LIFETIME:
        return True
    crashed = found.state == IdempotentAnswer.State.IN_FLIGHT and found.leased_until <= now
    return crashed and found.fingerprint == fingerprint


def _verdict(found: IdempotentAnswer, fingerprint: str) -> Exception:
    if found.fingerprint != fingerprint:
        return Unprocessable(f"This {HEADER} was used with another request.")
    if found.state == IdempotentAnswer.State.IN_FLIGHT:
        return InFlight()
    try:
        return Answered(_again(found))
    except DecryptionError:
        return Conflict("The first answer was kept under an encryption key that is gone.")


def _again(found: IdempotentAnswer) -> HttpResponse:
    response = HttpResponse(found.body.encode("latin-1"), status=found.status)
    del response["Content-Type"]
    headers: dict[str, Any] = found.headers
    for name, value in headers.items():
        response[name] = value
    response[REPLAYED] = "true"
    return response


def _is_lasting(status: int) -> bool:
    return 200 <= status < 300 or status in LASTING_ERRORS
