"""Twilio's signature on the handshake, against vectors computed by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from apps.telephony.signatures import Secrets, Signed, stream_signature, webhook_is_signed
from tests.support.twilio_requests import stream_signature_is_valid

TOKEN = "12345"
URL = "wss://voice.example.com/media/twilio"


def by_hand(url: str, *, token: str = TOKEN) -> str:
    """base64(HMAC-SHA1(token, URL)): a stream's handshake has no parameters to append."""
    return base64.b64encode(hmac.new(token.encode(), url.encode(), hashlib.sha1).digest()).decode()


def is_valid(signature: str | None, *, url: str = URL) -> bool:
    return stream_signature_is_valid(auth_token=TOKEN, url=url, signature=signature)


def test_it_signs_as_documented() -> None:
    assert stream_signature(auth_token=TOKEN, url=URL) == by_hand(URL)


def test_the_documented_vector_holds_for_the_algorithm_by_hand() -> None:
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    parameters = (
        "CallSidCA1234567890ABCDECaller+14158675309Digits1234From+14158675309To+18005551212"
    )
    assert by_hand(url + parameters) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


@pytest.mark.parametrize(
    "signed",
    [
        URL,
        URL + "/",
        "wss://voice.example.com:443/media/twilio",
        "wss://voice.example.com:443/media/twilio/",
    ],
)
def test_it_accepts_every_way_in_which_twilio_may_write_the_url(signed: str) -> None:
    assert is_valid(by_hand(signed))
    assert is_valid(by_hand(signed), url=URL + "/")


@pytest.mark.parametrize(
    "signed",
    [
        "https://voice.example.com/media/twilio",
        "wss://voice.example.com/media/other",
        "wss://evil.example.com/media/twilio",
        URL + "?token=1",
    ],
)
def test_it_refuses_a_signature_over_another_url(signed: str) -> None:
    assert not is_valid(by_hand(signed))


def test_it_refuses_another_token_and_no_signature_at_all() -> None:
    assert not is_valid(by_hand(URL, token="54321"))
    assert not is_valid(None)
    assert not is_valid("")
    assert not is_valid("é")


def test_the_documented_request_is_taken_and_one_with_a_digit_more_is_not() -> None:
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    number = "+14158675309"
    fields = {"CallSid": "CA1234567890ABCDE", "Caller": number, "From": number, "Digits": "1234"}
    fields |= {"To": "+18005551212"}
    signed, secrets = Signed("RSOYDt4T1cUTdK1PDd93/VVr8B8="), [Secrets("12345")]
    assert webhook_is_signed(secrets=secrets, url=url, signed=signed, fields=fields)
    more = {**fields, "Digits": "12345"}
    assert not webhook_is_signed(secrets=secrets, url=url, signed=signed, fields=more)
