"""What Twilio refuses, in the API's envelope: one translation for every endpoint that asks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.response import Response

from apps.core.errors import Fields
from apps.telephony.rest import TwilioError

# Our names for what is wrong with the present state of things, not with the request.
_OF_THE_STATE = frozenset(
    ("account_inactive", "call_not_in_progress", "not_found", "too_many_calls", "trial_account")
)
RETRY_AFTER_S = 1


class TwilioRefusal(APIException):
    """``{"error": "twilio-error", "info": hint, "fields", "reason", "twilio_code"}``.

    400: the request; 409: the state of things; 503: Twilio did nothing, so it may be sent again;
    502: what became of it is not known. reason: our name. twilio_code: 0 where Twilio said none.
    """

    default_code = "twilio-error"

    def __init__(self, refused: TwilioError, *, field: str = "") -> None:
        """field: the member of the request that is to blame, if the error does not say it."""
        super().__init__(refused.hint)
        self.status_code = status_of(refused)
        self.error = self.default_code
        blamed = refused.field or field
        self.fields: Fields = {blamed: [refused.hint]} if blamed else {}
        self.members: Mapping[str, Any] = {
            "reason": refused.reason,
            "twilio_code": refused.code,
        }
        if self.status_code == status.HTTP_503_SERVICE_UNAVAILABLE:
            self.wait = RETRY_AFTER_S  # DRF makes it Retry-After


def status_of(refused: TwilioError) -> int:
    """Return the status that a refusal is answered with.

    Credentials that no member of the request brought are those of a stored connection.
    """
    if not refused.settled:
        return status.HTTP_502_BAD_GATEWAY
    if refused.is_unprocessed or refused.reason == "unreachable":
        return status.HTTP_503_SERVICE_UNAVAILABLE
    stored = refused.reason == "authentication_failed" and not refused.field
    if stored or refused.reason in _OF_THE_STATE:
        return status.HTTP_409_CONFLICT
    return status.HTTP_400_BAD_REQUEST


class TwilioErrors:
    """For views that ask Twilio: what it refuses is answered in the envelope."""

    def handle_exception(self, exc: Exception) -> Response:
        found = TwilioRefusal(exc) if isinstance(exc, TwilioError) else exc
        answer: Response = super().handle_exception(found)  # type: ignore[misc]
        return answer
