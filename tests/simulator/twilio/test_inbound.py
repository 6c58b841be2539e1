"""Calls to our numbers: whose settings count, what is fetched, and what happens when it fails."""

from __future__ import annotations

import httpx
import pytest

from apps.simulator.twilio.people import Person
from apps.simulator.twilio.state import Call
from tests.simulator.twilio.app import APP, XML, Phones, phones
from tests.simulator.twilio.conftest import OURS, THEIRS

SORRY = "say: We are sorry, an application error has occurred. Goodbye."


async def _call(net: Phones, person: Person | None = None) -> Call:
    return await net.over(net.twilio.dial_in(OURS, THEIRS, person))


async def test_a_number_asks_its_voice_url_while_it_rings() -> None:
    async with phones() as net:
        net.app.answers["/in"] = "<Say>Hello</Say>"
        call = await _call(net)

        asked = net.told("/in")[0]
        assert (asked["To"], asked["From"]) == (OURS, THEIRS)
        assert (asked["CallStatus"], asked["Direction"]) == ("ringing", "inbound")
        assert "CallToken" in asked
        assert call.history == ["ringing", "in-progress", "completed"]
        assert net.heard(call) == ["say: Hello"]


async def test_the_number_is_told_of_the_end() -> None:
    async with phones() as net:
        net.app.answers["/in"] = "<Hangup/>"
        await _call(net)
        assert [(one["CallStatus"], one["SequenceNumber"]) for one in net.told()] == [
            ("completed", "0")
        ]


async def test_an_application_wins_over_the_numbers_own_urls() -> None:
    async with phones() as net:
        net.app.answers["/app"] = "<Say>By the application</Say>"
        made = await net.post("/Applications", FriendlyName="Bot", VoiceUrl=f"{APP}/app")
        number = next(iter(net.twilio.world.numbers.values()))
        number.settings["VoiceApplicationSid"] = made.json()["sid"]

        assert net.heard(await _call(net)) == ["say: By the application"]
        assert net.told("/in") == net.told() == []


@pytest.mark.parametrize(
    ("reason", "status"), [("busy", "busy"), ("rejected", "no-answer"), ("", "no-answer")]
)
async def test_a_reject_that_comes_first_is_not_answered(reason: str, status: str) -> None:
    async with phones() as net:
        net.app.answers["/in"] = f'<Reject reason="{reason}"/>' if reason else "<Reject/>"
        call = await _call(net)
        assert call.history == ["ringing", status]
        assert call.seconds == 0


async def test_a_late_reject_is_passed_over() -> None:
    async with phones() as net:
        net.app.answers["/in"] = "<Say>Hello</Say><Reject/>"
        assert (await _call(net)).status == "completed"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (500, 11200),
        (404, 11200),
        (204, 12300),
        (httpx.ReadError("broken"), 11205),
        (httpx.ConnectError("refused"), 11205),
        (httpx.Response(200, headers={"content-type": "application/json"}, text="{}"), 12300),
        (httpx.Response(200, headers={"content-type": XML}, text="<Response>"), 12100),
        (httpx.Response(200, headers={"content-type": XML}, text="x" * 65_537), 11750),
        ("<Shout>Hello</Shout>", 12200),
    ],
)
async def test_a_failure_goes_to_the_fallback_which_learns_why(
    answer: str | int | Exception | httpx.Response, code: int
) -> None:
    async with phones() as net:
        number = next(iter(net.twilio.world.numbers.values()))
        number.settings["VoiceFallbackUrl"] = f"{APP}/fallback"
        net.app.answers |= {"/in": answer, "/fallback": "<Say>Sorry</Say>"}
        call = await _call(net)

        asked = net.told("/fallback")[0]
        assert (asked["ErrorCode"], asked["ErrorUrl"]) == (str(code), f"{APP}/in")
        assert net.heard(call) == ["say: Sorry"]
        assert [one for one, _ in net.twilio.world.alerts] == [code]


async def test_without_a_fallback_twilio_apologises() -> None:
    async with phones() as net:
        net.app.answers["/in"] = 500
        call = await _call(net)
        assert net.heard(call) == [SORRY]
        assert call.status == "completed"


async def test_a_connection_that_fails_is_tried_once_more_with_one_token() -> None:
    async with phones() as net:
        net.app.answers["/in"] = httpx.ConnectError("refused")
        await _call(net)
        tries = [one for one in net.twilio.sent if one.url == f"{APP}/in"]
        assert len(tries) == 2
        assert len({one.headers["I-Twilio-Idempotency-Token"] for one in tries}) == 1


async def test_the_urls_fragment_says_how_often_to_try_and_is_not_signed() -> None:
    async with phones() as net:
        number = next(iter(net.twilio.world.numbers.values()))
        number.settings["VoiceUrl"] = f"{APP}/in#rc=3"
        net.app.answers["/in"] = httpx.ConnectError("refused")
        await _call(net)
        assert [one.url for one in net.twilio.sent[:5]] == [f"{APP}/in"] * 4 + [f"{APP}/status"]


async def test_a_redirect_goes_on_elsewhere() -> None:
    async with phones() as net:
        net.app.answers |= {
            "/in": '<Say>One</Say><Redirect method="GET">next?a=1</Redirect><Say>Never</Say>',
            "/next": "<Say>Two</Say>",
        }
        call = await _call(net)
        assert net.heard(call) == ["say: One", "say: Two"]
        asked = net.twilio.sent[1]
        assert asked.method == "GET"
        assert asked.url.startswith(f"{APP}/next?a=1&CallSid={call.sid}")


async def test_what_is_played_is_written_down() -> None:
    async with phones() as net:
        net.app.answers["/in"] = '<Play>/a.wav</Play><Play digits="1w2"/><Record/><Say>Done</Say>'
        assert net.heard(await _call(net)) == [f"play: {APP}/a.wav", "digits: 1w2", "say: Done"]


async def test_a_caller_may_give_up_while_it_rings() -> None:
    async with phones() as net:
        net.app.answers["/in"] = '<Dial answerOnBridge="true" timeout="600">+12025550199</Dial>'
        net.twilio.people["+12025550199"] = Person("silent")
        call = net.twilio.dial_in(OURS, THEIRS)
        await net.twilio.until(lambda: len(net.twilio.calls) == 2)

        net.twilio.hangs_up(call)

        await net.over(net.twilio.calls[1])
        assert call.history == ["ringing", "no-answer"]
        assert net.twilio.calls[1].status == "canceled"


async def test_a_number_that_is_nobodys_cannot_be_called() -> None:
    async with phones() as net:
        with pytest.raises(LookupError):
            net.twilio.dial_in("+12025550199", THEIRS)


async def test_a_trunks_number_asks_for_no_document() -> None:
    async with phones() as net:
        number = next(iter(net.twilio.world.numbers.values()))
        number.settings["TrunkSid"] = "TK" + "1" * 32
        with pytest.raises(LookupError, match="trunk"):
            net.twilio.dial_in(OURS, THEIRS)
