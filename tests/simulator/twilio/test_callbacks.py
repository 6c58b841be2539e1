"""Status callbacks: their fields, their signature, and what becomes of them on the way."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from twilio.request_validator import RequestValidator, get_signature_algorithm

from apps.simulator.twilio.signing import SharedKey, signature_headers
from tests.simulator.twilio.conftest import Rest
from tests.support.twilio import TwilioStandIn

URL = "https://voice.example.com/status?call=7c%2F1"
ALL = ["initiated", "ringing", "answered", "completed"]
LIFE = ("initiated", "ringing", "in-progress", "completed")


@csrf_exempt
def take(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.POST.get("CallStatus", ""), content_type="text/plain")


@csrf_exempt
def document(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<Response><Say>Hello</Say></Response>", content_type="text/xml")


urlpatterns = [path("status", take), path("document", document)]
pytestmark = pytest.mark.urls(__name__)


def _deliver(twilio: TwilioStandIn) -> list[dict[str, Any]]:
    answers = twilio.deliver(Client())
    assert {one.status_code for one in answers} <= {200}
    return [dict(one.fields) for one in twilio.sent]


def test_every_event_that_was_asked_for_is_told_in_order(rest: Rest) -> None:
    rest.dial(StatusCallback=URL, StatusCallbackEvent=ALL)
    rest.twilio.moves(rest.twilio.call, *LIFE)

    told = _deliver(rest.twilio)

    assert [one["CallStatus"] for one in told] == list(LIFE)
    assert [one["SequenceNumber"] for one in told] == ["0", "1", "2", "3"]
    assert {one["CallbackSource"] for one in told} == {"call-progress-events"}
    assert "CallDuration" not in told[2]
    last = told[3]
    assert (last["CallDuration"], last["Duration"], last["SipResponseCode"]) == ("0", "0", "200")
    assert parsedate_to_datetime(last["Timestamp"]) is not None


def test_without_a_wish_only_the_end_is_told(rest: Rest) -> None:
    rest.dial(StatusCallback=URL)
    rest.twilio.moves(rest.twilio.call, "initiated", "ringing", "busy")

    told = _deliver(rest.twilio)

    assert [(one["CallStatus"], one["SipResponseCode"]) for one in told] == [("busy", "486")]


def test_a_callback_is_signed_over_the_exact_url_and_every_field(rest: Rest) -> None:
    rest.dial(StatusCallback=URL)
    rest.twilio.moves(rest.twilio.call, "completed")
    _deliver(rest.twilio)

    sent = rest.twilio.sent[0]
    signature = sent.headers["X-Twilio-Signature"]
    assert sent.url == URL
    assert RequestValidator(rest.twilio.token).validate(URL, sent.fields, signature)
    assert not RequestValidator("another").validate(URL, sent.fields, signature)


def test_a_shared_key_may_sign_instead(rest: Rest) -> None:
    rest.twilio.shared_key = SharedKey("webhooks_sharedkey_1", "s3cret")
    rest.dial(StatusCallback=URL)
    rest.twilio.moves(rest.twilio.call, "completed")
    _deliver(rest.twilio)

    sent = rest.twilio.sent[0]
    algorithm = get_signature_algorithm(sent.headers["X-Twilio-Webhooks-Signature-Settings"])
    assert algorithm == "HMAC_SHA256"
    assert RequestValidator("s3cret").validate(
        URL, sent.fields, sent.headers["X-Twilio-Signature"], algorithm
    )


def test_a_callback_may_come_twice_with_one_token(rest: Rest) -> None:
    rest.twilio.callbacks.twice("completed")
    rest.dial(StatusCallback=URL)
    rest.twilio.moves(rest.twilio.call, "completed")
    _deliver(rest.twilio)

    one, two = rest.twilio.sent
    assert one.fields == two.fields
    token = "I-Twilio-Idempotency-Token"
    assert one.headers[token] == two.headers[token]


def test_a_callback_may_be_lost(rest: Rest) -> None:
    rest.twilio.callbacks.dropped("ringing")
    rest.dial(StatusCallback=URL, StatusCallbackEvent=ALL)
    rest.twilio.moves(rest.twilio.call, *LIFE)

    told = _deliver(rest.twilio)

    assert [one["SequenceNumber"] for one in told] == ["0", "2", "3"]


def test_callbacks_may_change_places(rest: Rest) -> None:
    rest.twilio.callbacks.swapped("ringing")
    rest.dial(StatusCallback=URL, StatusCallbackEvent=ALL)
    rest.twilio.moves(rest.twilio.call, *LIFE)

    told = _deliver(rest.twilio)

    assert [one["SequenceNumber"] for one in told] == ["0", "2", "1", "3"]


def test_any_webhook_can_be_sent(twilio: TwilioStandIn) -> None:
    twilio.post(URL, CallSid="CA1", CallStatus="ringing")

    assert [one.content for one in twilio.deliver(Client())] == [b"ringing"]
    assert twilio.sent[0].status == 200


def test_a_json_webhook_is_signed_by_the_hash_of_its_body(twilio: TwilioStandIn) -> None:
    twilio.post(URL, as_json=True, CallSid="CA1")
    twilio.deliver(Client())

    sent = twilio.sent[0]
    assert sent.url.startswith(f"{URL}&bodySHA256=")
    assert RequestValidator(twilio.token).validate(
        sent.url, '{"CallSid": "CA1"}', sent.headers["X-Twilio-Signature"]
    )


def test_a_get_webhook_is_signed_by_its_url_alone(twilio: TwilioStandIn) -> None:
    twilio.post(URL, method="GET", CallSid="CA1")
    twilio.deliver(Client())

    sent = twilio.sent[0]
    assert sent.url == f"{URL}&CallSid=CA1"
    assert RequestValidator(twilio.token).validate(sent.url, {}, sent.headers["X-Twilio-Signature"])


def test_a_signature_follows_the_vector_of_the_vendors_own_page() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    headers = signature_headers("https://mycompany.com/myapp.php?foo=1&bar=2", fields, "12345")
    assert headers == {"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}


def test_a_call_that_lives_is_served_by_a_test_client(rest: Rest) -> None:
    rest.twilio.live()
    rest.dial(Twiml=None, Url=URL.replace("status", "document"), StatusCallback=URL)

    rest.twilio.deliver_until(Client(), lambda: rest.twilio.call.ended)
    rest.twilio.deliver(Client())

    assert rest.twilio.heard(rest.twilio.call) == ["say: Hello"]
    assert [one.url for one in rest.twilio.sent] == [URL.replace("status", "document"), URL]
