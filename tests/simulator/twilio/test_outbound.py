"""Outbound calls that live: the queue, ringing, what callees do, limits and machine detection."""

from __future__ import annotations

import pytest

from apps.simulator.twilio.people import Person
from tests.simulator.twilio.app import APP, phones
from tests.simulator.twilio.conftest import OURS, THEIRS

STATUS = {"StatusCallback": f"{APP}/status"}
ALL = {**STATUS, "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"]}


async def test_a_call_is_answered_runs_its_twiml_and_ends() -> None:
    async with phones() as net:
        call = await net.over(await net.dial("<Say>Hello</Say><Hangup/>", **ALL))

        assert call.history == ["queued", "ringing", "in-progress", "completed"]
        assert [one["CallStatus"] for one in net.told()] == [
            "initiated",
            "ringing",
            "in-progress",
            "completed",
        ]
        assert net.heard(call) == ["say: Hello"]


async def test_a_document_is_asked_for_when_somebody_answers() -> None:
    async with phones() as net:
        net.app.answers["/out"] = "<Say>Hello</Say>"
        call = await net.over(await net.dial(Url=f"{APP}/out?call=1"))

        assert net.heard(call) == ["say: Hello"]
        asked = net.told("/out")[0]
        assert (asked["CallSid"], asked["CallStatus"]) == (call.sid, "in-progress")
        assert asked["Direction"] == "outbound-api"


@pytest.mark.parametrize(
    ("person", "status", "sip"),
    [
        (Person("busy"), "busy", "486"),
        (Person("rejects"), "busy", "603"),
        (Person("silent"), "no-answer", "487"),
        (Person(after_s=30), "no-answer", "487"),
        (Person("unreachable"), "failed", "404"),
        (Person("fails"), "failed", "503"),
    ],
)
async def test_nobody_answers(person: Person, status: str, sip: str) -> None:
    async with phones() as net:
        net.twilio.people[THEIRS] = person
        call = await net.over(await net.dial("<Say>Hello</Say>", Timeout=20, **STATUS))

        assert call.status == status
        told = net.told()
        assert [(one["CallStatus"], one["SipResponseCode"]) for one in told] == [(status, sip)]
        assert net.heard(call) == []


async def test_the_person_may_hang_up() -> None:
    async with phones() as net:
        net.twilio.people[THEIRS] = Person(hang_up_after_s=4)
        await net.over(await net.dial('<Pause length="600"/>', **STATUS))
        assert 3 <= int(net.told()[0]["CallDuration"]) < 600


async def test_the_time_limit_ends_a_call() -> None:
    async with phones() as net:
        call = await net.over(await net.dial('<Pause length="6000"/>', TimeLimit=30))
        assert call.status == "completed"
        assert 29 <= call.seconds < 6_000


async def test_rest_ends_a_call_in_any_state() -> None:
    async with phones() as net:
        net.twilio.people[THEIRS] = Person(after_s=1_000)
        ringing = await net.dial("", Timeout=600)
        await net.is_in(ringing, "ringing")
        net.twilio.people[THEIRS] = Person()
        talking = await net.dial('<Pause length="6000"/>')
        await net.is_in(talking, "in-progress")

        for call in (ringing, talking):
            await net.post(f"/Calls/{call.sid}", Status="completed")
            assert (await net.post(f"/Calls/{call.sid}", Status="completed")).status_code == 400

        assert (ringing.status, talking.status) == ("canceled", "completed")


async def test_one_call_a_second_leaves_the_queue() -> None:
    async with phones(speed=1) as net:
        net.twilio.account.limits.calls_per_s = 0.1
        net.twilio.network.habits.setup_s = 0
        net.twilio.people[THEIRS] = Person(after_s=0)
        asked = {"To": THEIRS, "From": OURS, "Twiml": "<Response/>", **ALL}
        waits = [int((await net.post("/Calls", **asked)).json()["queue_time"]) for _ in range(3)]

        assert waits[0] == 0
        assert 0 < waits[1] <= 10_000 < waits[2] <= 20_000
        first, *others = net.twilio.calls
        await net.over(first)
        assert {call.status for call in others} == {"queued"}
        assert {one["CallSid"] for one in net.told()} == {first.sid}


async def test_keys_are_pressed_when_somebody_answers() -> None:
    async with phones() as net:
        call = await net.over(await net.dial("<Hangup/>", SendDigits="ww12#"))
        assert net.heard(call) == ["digits: ww12#"]


async def test_a_live_call_takes_another_document() -> None:
    async with phones() as net:
        call = await net.dial('<Pause length="6000"/><Say>Never</Say>')
        await net.is_in(call, "in-progress")

        answer = await net.post(
            f"/Calls/{call.sid}", Twiml="<Response><Say>Instead</Say></Response>"
        )

        assert answer.status_code == 200
        await net.over(call)
        assert net.heard(call) == ["pause: 6000", "say: Instead"]


async def test_an_application_takes_the_place_of_urls() -> None:
    async with phones() as net:
        net.app.answers["/app"] = "<Say>By the application</Say>"
        made = await net.post(
            "/Applications",
            FriendlyName="Bot",
            VoiceUrl=f"{APP}/app",
            StatusCallback=f"{APP}/status",
        )
        call = await net.over(await net.dial(ApplicationSid=made.json()["sid"]))

        assert net.heard(call) == ["say: By the application"]
        assert [one["CallStatus"] for one in net.told()] == ["completed"]


async def test_a_callback_may_come_before_the_answer() -> None:
    async with phones() as net:
        net.twilio.drills.early()
        call = await net.dial("<Hangup/>", **ALL)
        assert net.told()[0]["CallSid"] == call.sid


# --- machine detection --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "mode", "found"),
    [
        (Person(), "Enable", "human"),
        (Person("machine"), "Enable", "machine_start"),
        (Person("machine"), "DetectMessageEnd", "machine_end_beep"),
        (Person("machine", beep=False), "DetectMessageEnd", "machine_end_silence"),
        (Person("machine", greeting_s=60), "DetectMessageEnd", "unknown"),
        (Person("fax"), "Enable", "fax"),
        (Person(answered_by="machine_start"), "Enable", "machine_start"),
    ],
)
async def test_detection_holds_the_document_back(person: Person, mode: str, found: str) -> None:
    async with phones() as net:
        net.twilio.people[THEIRS] = person
        net.app.answers["/out"] = "<Hangup/>"
        call = await net.over(await net.dial(Url=f"{APP}/out", MachineDetection=mode, **STATUS))

        asked = net.told("/out")[0]
        assert asked["AnsweredBy"] == call.facts["answered_by"] == found
        assert int(asked["MachineDetectionDuration"]) >= 4_000
        assert net.told()[0]["AnsweredBy"] == found


async def test_detection_may_go_on_beside_the_call() -> None:
    async with phones() as net:
        net.twilio.people[THEIRS] = Person("machine")
        call = await net.over(
            await net.dial(
                '<Say>Hello</Say><Pause length="20"/>',
                MachineDetection="Enable",
                AsyncAmd="true",
                AsyncAmdStatusCallback=f"{APP}/amd",
            )
        )

        assert net.told("/amd") == [
            {
                "CallSid": call.sid,
                "AccountSid": net.twilio.sid,
                "AnsweredBy": "machine_start",
                "MachineDetectionDuration": "4000",
            }
        ]
        assert net.heard(call) == ["say: Hello", "pause: 20"]


async def test_send_digits_cancel_detection() -> None:
    async with phones() as net:
        call = await net.over(await net.dial("", SendDigits="1", MachineDetection="Enable"))
        assert "answered_by" not in call.facts
        net.twilio.findings.clear()
