"""The documents that Twilio gets from us, character by character."""

from __future__ import annotations

import pytest

from apps.telephony.twiml import (
    PARAMETER_CHARACTERS,
    TwimlError,
    hang_up_document,
    spoken_document,
    stream_document,
)

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def document(*, url: str = "wss://h/media/twilio", parameters: dict[str, str]) -> str:
    return stream_document(
        stream_url=url,
        action_url="https://h/after?a=1&b=2",
        status_url="https://h/status",
        parameters=parameters,
    )


def test_the_stream_document() -> None:
    assert document(parameters={"bot": "7c1e", "token": 'a<b>&"é'}) == (
        f'{HEAD}<Response><Connect action="https://h/after?a=1&amp;b=2" method="POST">'
        '<Stream statusCallback="https://h/status" statusCallbackMethod="POST" '
        'url="wss://h/media/twilio"><Parameter name="bot" value="7c1e" />'
        '<Parameter name="token" value="a&lt;b&gt;&amp;&quot;é" /></Stream></Connect>'
        "<Hangup /></Response>"
    )


@pytest.mark.parametrize("url", ["wss://h/media?token=1", "wss://h/media#x"])
def test_a_stream_url_carries_no_query(url: str) -> None:
    with pytest.raises(TwimlError, match="Use parameters"):
        document(url=url, parameters={})


def test_a_parameter_stays_below_twilios_limit() -> None:
    room = PARAMETER_CHARACTERS - len("token") - 1
    assert "x" * room in document(parameters={"token": "x" * room})
    with pytest.raises(TwimlError, match="Parameter token"):
        document(parameters={"token": "x" * (room + 1)})


def test_a_refused_parameter_does_not_show_its_value() -> None:
    with pytest.raises(TwimlError) as refused:
        document(parameters={"token": "swordfish" * 100})
    assert "swordfish" not in str(refused.value)


def test_the_short_documents() -> None:
    assert hang_up_document() == f"{HEAD}<Response><Hangup /></Response>"
    assert spoken_document("Not in <service> & gone.", language="en-GB") == (
        f'{HEAD}<Response><Say language="en-GB">Not in &lt;service&gt; &amp; gone.</Say>'
        "<Hangup /></Response>"
    )
