"""Signatures, by the vectors of others and by the specification's own library."""

from __future__ import annotations

import json
import time

import pytest
from standardwebhooks.webhooks import Webhook

from apps.webhooks import signing

# Of the reference libraries' tests, github.com/standard-webhooks/standard-webhooks.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'


def test_it_signs_as_the_reference_does() -> None:
    found = signing.signature(SECRET, id=ID, timestamp=1614265330, body=BODY)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_reference_verifies_each_of_several() -> None:
    old, new = signing.secret_new(), signing.secret_new()
    body = json.dumps({"text": "Größe? 🙂"}, ensure_ascii=False).encode()
    headers = signing.headers([new, old], id=ID, timestamp=int(time.time()), body=body)
    for secret in (old, new):
        assert Webhook(secret).verify(body, headers) == json.loads(body)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_",
        "whsec_QUJD",  # three bytes
        "whsec_" + "QUJD" * 22,  # 66 bytes
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-w",
        "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwü",
    ],
)
def test_what_is_no_secret_is_refused_without_a_word_of_it(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_ and base64 of 24 to 64 bytes") as caught:
        signing.secret_bytes(secret)
    assert not secret or secret not in str(caught.value) or secret == "whsec_"


def test_new_secrets_differ_and_have_256_bits() -> None:
    found = {signing.secret_new() for _ in range(50)}
    assert {len(signing.secret_bytes(secret)) for secret in found} == {32}
    assert len(found) == 50
