"""<Dial>: who is rung, who hears what, and what the action learns."""

from __future__ import annotations

import pytest

from apps.simulator.twilio.people import Person
from apps.simulator.twilio.state import Call
from tests.simulator.twilio.app import Phones, phones
from tests.simulator.twilio.conftest import OURS, THEIRS

DESK, HOME = "+12025550198", "+12025550199"


async def _call(net: Phones, body: str) -> Call:
    net.app.answers["/in"] = body
    return await net.over(net.twilio.dial_in(OURS, THEIRS))


async def test_the_first_who_answers_is_joined_and_the_others_stop_ringing() -> None:
    async with phones() as net:
        net.twilio.people[DESK] = Person(after_s=8, hang_up_after_s=100)
        net.twilio.people[HOME] = Person("silent")
        both = f"<Number>{DESK}</Number><Number>{HOME}</Number>"
        net.app.answers |= {
            "/in": f'<Dial action="/after">{both}</Dial>',
            "/after": "<Hangup/>",
        }
        call = net.twilio.dial_in(OURS, THEIRS)
        await net.twilio.until(lambda: f"bridge: {DESK}" in net.heard(call))

        _, desk, home = net.twilio.calls
        assert home.status == "canceled"
        await net.over(call)
        assert desk.status == "completed"
        assert (desk.parent_sid, desk.direction) == (call.sid, "outbound-dial")
        assert (desk.from_, desk.to) == (THEIRS, DESK)
        told = net.told("/after")[0]
        assert (told["DialCallStatus"], told["DialBridged"]) == ("completed", "true")
        assert told["DialCallSid"] == desk.sid
        assert int(told["DialCallDuration"]) >= 99
        assert net.heard(call) == [f"ring: {DESK}, {HOME}", f"bridge: {DESK}"]


@pytest.mark.parametrize(
    ("person", "status"),
    [
        (Person("busy"), "busy"),
        (Person("silent"), "no-answer"),
        (Person("unreachable"), "failed"),
    ],
)
async def test_the_action_learns_why_nobody_was_joined(person: Person, status: str) -> None:
    async with phones() as net:
        net.twilio.people[DESK] = person
        net.app.answers["/after"] = "<Say>Back to the bot</Say>"
        call = await _call(net, f'<Dial action="/after" timeout="15">{DESK}</Dial><Say>No</Say>')

        told = net.told("/after")[0]
        assert (told["DialCallStatus"], told["DialBridged"]) == (status, "false")
        assert net.heard(call)[-1] == "say: Back to the bot"


async def test_without_an_action_the_document_goes_on() -> None:
    async with phones() as net:
        net.twilio.people[DESK] = Person("busy")
        call = await _call(net, f"<Dial>{DESK}</Dial><Say>Nobody is there</Say>")
        assert net.heard(call)[-1] == "say: Nobody is there"


async def test_the_callees_leg_has_callbacks_of_its_own() -> None:
    async with phones() as net:
        net.twilio.people[DESK] = Person(hang_up_after_s=5)
        call = await _call(
            net,
            '<Dial><Number statusCallback="/leg" '
            f'statusCallbackEvent="initiated ringing answered completed">{DESK}</Number></Dial>',
        )

        told = net.told("/leg")
        assert [one["CallStatus"] for one in told] == [
            "initiated",
            "ringing",
            "in-progress",
            "completed",
        ]
        assert {one["ParentCallSid"] for one in told} == {call.sid}


async def test_the_callee_hears_the_whisper_first() -> None:
    async with phones() as net:
        net.app.answers["/whisper"] = "<Say>A caller about towels</Say>"
        net.twilio.people[DESK] = Person(hang_up_after_s=30)
        call = await _call(net, f'<Dial><Number url="/whisper">{DESK}</Number></Dial>')

        desk = net.twilio.calls[1]
        assert net.heard(desk) == ["say: A caller about towels", f"bridge: {THEIRS}"]
        assert "say: A caller about towels" not in net.heard(call)
        assert net.told("/whisper")[0]["ParentCallSid"] == call.sid


async def test_a_whisper_that_hangs_up_joins_nobody() -> None:
    async with phones() as net:
        net.app.answers |= {"/whisper": "<Hangup/>", "/after": "<Hangup/>"}
        await _call(net, f'<Dial action="/after"><Number url="/whisper">{DESK}</Number></Dial>')
        assert net.told("/after")[0]["DialBridged"] == "false"


async def test_the_caller_is_answered_when_joined_if_the_document_says_so() -> None:
    async with phones() as net:
        net.twilio.people[DESK] = Person(after_s=10, hang_up_after_s=5)
        late = await _call(net, f'<Dial answerOnBridge="true">{DESK}</Dial>')
        at_once = await _call(net, f"<Dial>{DESK}</Dial>")

        answers = [one.times.started for one in net.twilio.calls]
        assert None not in answers
        assert late.times.started >= net.twilio.calls[1].times.started  # type: ignore[operator]
        assert at_once.times.started < net.twilio.calls[3].times.started  # type: ignore[operator]


async def test_a_stranger_may_not_be_shown_as_the_caller() -> None:
    async with phones() as net:
        call = await _call(net, f'<Dial callerId="+12125550101">{DESK}</Dial>')
        assert [code for code, _ in net.twilio.world.alerts] == [13214]
        assert "application error" in net.heard(call)[-1]
        assert len(net.twilio.calls) == 1


async def test_our_own_number_may_be_shown() -> None:
    async with phones() as net:
        net.twilio.people[DESK] = Person(hang_up_after_s=1)
        await _call(net, f'<Dial callerId="{OURS}">{DESK}</Dial>')
        assert net.twilio.calls[1].from_ == OURS


@pytest.mark.parametrize(("to", "code"), [("12025550198", 13223), ("+8821234567", 13227)])
async def test_what_cannot_be_rung_fails(to: str, code: int) -> None:
    async with phones() as net:
        net.twilio.account.refused["+882"] = 13227
        net.app.answers["/after"] = "<Hangup/>"
        await _call(net, f'<Dial action="/after">{to}</Dial>')
        assert net.told("/after")[0]["DialCallStatus"] == "failed"
        assert [one for one, _ in net.twilio.world.alerts] == [code]


async def test_a_sip_address_is_rung() -> None:
    async with phones() as net:
        net.twilio.people["sip:desk@example.com"] = Person(hang_up_after_s=1)
        await _call(net, "<Dial><Sip>sip:desk@example.com</Sip></Dial>")
        assert net.twilio.calls[1].to == "sip:desk@example.com"


async def test_the_time_limit_ends_the_callees_leg_and_not_the_callers() -> None:
    async with phones() as net:
        call = await _call(net, f'<Dial timeLimit="30">{DESK}</Dial><Say>Time is up</Say>')
        assert net.heard(call)[-1] == "say: Time is up"
        assert net.twilio.calls[1].seconds >= 29


async def test_when_the_caller_leaves_the_callees_leg_ends() -> None:
    async with phones() as net:
        net.app.answers["/in"] = f"<Dial>{DESK}</Dial>"
        call = net.twilio.dial_in(OURS, THEIRS)
        await net.twilio.until(lambda: f"bridge: {DESK}" in net.heard(call))

        net.twilio.hangs_up(call)

        await net.over(net.twilio.calls[1])
        assert net.twilio.calls[1].status == "completed"


async def test_rest_may_end_the_callees_leg() -> None:
    async with phones() as net:
        net.app.answers |= {"/in": f'<Dial action="/after">{DESK}</Dial>', "/after": "<Hangup/>"}
        call = net.twilio.dial_in(OURS, THEIRS)
        await net.twilio.until(lambda: f"bridge: {DESK}" in net.heard(call))

        await net.post(f"/Calls/{net.twilio.calls[1].sid}", Status="completed")

        await net.over(call)
        assert net.told("/after")[0]["DialCallStatus"] == "completed"


async def test_legs_are_listed_by_their_parent() -> None:
    async with phones() as net:
        net.twilio.people[DESK] = Person(hang_up_after_s=1)
        call = await _call(net, f"<Dial>{DESK}</Dial>")
        listed = (await net.get("/Calls", ParentCallSid=call.sid)).json()["calls"]
        assert [one["to"] for one in listed] == [DESK]
