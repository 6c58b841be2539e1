"""What Twilio refuses, in our envelope."""

from __future__ import annotations

import orjson
import pytest
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from apps.accounts.twilio_errors import TwilioErrors, TwilioRefusal
from apps.telephony.rest import MEANINGS, TwilioError, answer_read


def refused(code: int, status: int = 400) -> TwilioError:
    with pytest.raises(TwilioError) as caught:
        answer_read(status=status, body=orjson.dumps({"code": code, "message": "No."}))
    return caught.value


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (refused(21211), 400),
        (refused(21215), 400),
        (refused(20003, 401), 409),
        (TwilioError("authentication_failed", "No.", code=20003, field="auth_token"), 400),
        (refused(99999), 400),
        (refused(20404, 404), 409),
        (refused(10001), 409),
        (refused(10004), 409),
        (refused(20429, 429), 503),
        (refused(20500, 500), 502),
        (TwilioError("unreachable", "Nobody there."), 503),
        (TwilioError("unavailable", "No answer.", settled=False), 502),
    ],
)
def test_each_refusal_has_the_status_that_says_what_to_do(error: TwilioError, status: int) -> None:
    assert TwilioRefusal(error).status_code == status


class Dialler(TwilioErrors, APIView):
    """Twilio refuses whatever it asks."""

    permission_classes = ()
    authentication_classes = ()
    error: TwilioError = TwilioError("", "")

    def get(self, request: Request) -> Response:
        raise self.error


def answered(error: TwilioError) -> Response:
    answer = Dialler.as_view(error=error)(APIRequestFactory().get("/"))
    assert isinstance(answer, Response)
    return answer


def test_the_envelope_has_our_name_the_hint_the_field_and_twilios_code(db: None) -> None:
    data = answered(refused(21210)).data
    hint = MEANINGS[21210].hint
    del data["request_id"]
    assert data == {
        "error": "twilio-error",
        "info": hint,
        "fields": {"from": [hint]},
        "reason": "caller_id_not_owned",
        "twilio_code": 21210,
    }


def test_what_was_not_done_may_be_sent_again(db: None) -> None:
    answer = answered(refused(20429, 429))
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert "Retry-After" not in answered(refused(20500, 500))
