"""TwiML as Twilio reads it."""

from __future__ import annotations

import pytest

from apps.simulator.twiml import (
    Callee,
    Connect,
    Dial,
    Hangup,
    Pause,
    Play,
    Record,
    Redirect,
    Reject,
    Say,
    Stream,
    TwimlRefused,
    interpret,
)
from apps.telephony import twiml


def response(body: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{body}</Response>'


def stream(attributes: str, body: str = "") -> str:
    return response(f"<Connect><Stream {attributes}>{body}</Stream></Connect>")


def test_it_reads_what_the_platform_writes() -> None:
    document = twiml.stream_document(
        stream_url="wss://voice.example.com/media/twilio",
        action_url="https://voice.example.com/after?a=1&b=2",
        status_url="https://voice.example.com/status",
        parameters={"bot": "7c1e", "token": 'a<b>&"é'},
    )
    connect, hangup = interpret(document).verbs
    assert connect == Connect(
        Stream(
            "wss://voice.example.com/media/twilio",
            status_callback="https://voice.example.com/status",
            parameters={"bot": "7c1e", "token": 'a<b>&"é'},
        ),
        action="https://voice.example.com/after?a=1&b=2",
    )
    assert hangup == Hangup()


def test_it_reads_the_other_verbs() -> None:
    body = (
        '<Say language="en-GB">Not in service.</Say><Pause/><Pause length="3"/>'
        '<Redirect method="GET">https://x/y</Redirect><Hangup/>'
    )
    assert interpret(response(body)).verbs == (
        Say("Not in service.", language="en-GB"),
        Pause(1),
        Pause(3),
        Redirect("https://x/y", "GET"),
        Hangup(),
    )
    assert interpret(response('<Reject reason="busy"/>')).verbs == (Reject("busy"),)


def test_it_reads_a_transfer() -> None:
    body = (
        '<Dial action="/after" timeout="20" timeLimit="600" callerId="+14155550100" '
        'answerOnBridge="true"><Number url="/whisper" statusCallback="/status" '
        'statusCallbackEvent="ringing answered">+12025550143</Number>'
        "<Sip>sip:desk@example.com</Sip></Dial>"
    )
    assert interpret(response(body)).verbs == (
        Dial(
            (
                Callee(
                    "+12025550143", "/whisper", "POST", "/status", "POST", ("ringing", "answered")
                ),
                Callee("sip:desk@example.com"),
            ),
            action="/after",
            caller_id="+14155550100",
            timeout_s=20,
            time_limit_s=600,
            answer_on_bridge=True,
        ),
    )
    assert interpret(response("<Dial>+12025550143</Dial>")).verbs == (
        Dial((Callee("+12025550143"),)),
    )


def test_it_reads_what_is_played_and_passes_over_a_recording() -> None:
    document = interpret(
        response('<Play>https://x/a.wav</Play><Play digits="1w#"/><Record maxLength="3"/>')
    )
    assert document.verbs == (Play("https://x/a.wav"), Play(digits="1w#"), Record())
    assert "does not record" in document.warnings[0]


def test_it_strips_a_query_and_warns() -> None:
    document = interpret(stream('url="wss://x/media?token=1"'))
    connect = document.connect()
    assert connect is not None
    assert connect.stream.url == "wss://x/media"
    assert [warning[:5] for warning in document.warnings] == ["31920"]


def test_it_warns_of_a_plain_socket_but_not_on_the_loopback() -> None:
    assert interpret(stream('url="ws://127.0.0.1:8000/media"')).warnings == ()
    assert interpret(stream('url="ws://voice.example.com/media"')).warnings[0][:5] == "31922"


@pytest.mark.parametrize(
    ("document", "code", "words"),
    [
        ("", "12100", "not XML"),
        (" " + response(""), "12100", "not XML"),
        (response('<Redirect url="a&b"/>'), "12100", "not XML"),
        ("<Answer/>", "12100", "<Answer>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><Response/>', "12100", "DOCTYPE"),
        (response("<Say>" + "x" * 65_536 + "</Say>"), "11750", "64 kB"),
        (response("<hangup/>"), "12200", "case counts"),
        (response("<Enqueue/>"), "12200", "<Enqueue>"),
        (response('<Hangup after="3"/>'), "12200", "no attribute after"),
        (response('<Pause length="long"/>'), "12200", "whole number"),
        (response('<Reject reason="no"/>'), "12200", "rejected or busy"),
        (response("<Redirect/>"), "12200", "needs a URL"),
        (response("<Dial/>"), "12200", "takes a number"),
        (response("<Dial><Queue>a</Queue></Dial>"), "12200", "holds no <Queue>"),
        (response("<Dial><Sip>desk</Sip></Dial>"), "12200", "names nobody"),
        (response('<Dial timeout="soon">+12025550143</Dial>'), "12200", "whole number"),
        (response("<Dial>" + "<Number>+12025550143</Number>" * 11 + "</Dial>"), "12200", "10"),
        (response('<Dial><Number statusCallbackEvent="a">1</Number></Dial>'), "12200", "ringing"),
        (response("<Play/>"), "12200", "a URL, or digits"),
        (response('<Play digits="x"/>'), "12200", "0-9"),
        (response("<Connect/>"), "12200", "exactly one <Stream>"),
        (stream('url="https://x/media"'), "31922", "wss"),
        (stream('url="/media"'), "31923", "malformed"),
        (stream("name='a'"), "31923", "missing"),
        (stream('url="wss://x/m" track="both_tracks"'), "31941", "inbound_track"),
        (stream('url="wss://x/m" codec="pcm"'), "12200", "no attribute codec"),
        (stream('url="wss://x/m"', "<Param/>"), "12200", "holds no <Param>"),
        (stream('url="wss://x/m"', '<Parameter name="a"/>'), "12200", "a name and a value"),
    ],
)
def test_it_refuses_what_twilio_refuses(document: str, code: str, words: str) -> None:
    with pytest.raises(TwimlRefused, match=words) as refused:
        interpret(document)
    assert refused.value.code == code


@pytest.mark.parametrize(("length", "taken"), [(495, True), (496, False)])
def test_a_parameter_stays_below_500_characters(length: int, taken: bool) -> None:
    document = stream('url="wss://x/m"', f'<Parameter name="name" value="{"x" * length}"/>')
    if taken:
        assert interpret(document).connect() is not None
    else:
        with pytest.raises(TwimlRefused, match="under 500"):
            interpret(document)


def test_a_reject_behind_another_verb_comes_too_late() -> None:
    assert "is answered" in interpret(response("<Say>Hi</Say><Reject/>")).warnings[0]
