"""Phone numbers and applications: what an update changes, and what it leaves alone."""

from __future__ import annotations

import pytest

from tests.simulator.twilio.conftest import OURS, Rest, code

HOOK = "https://voice.example.com/twilio/voice/1"


def _number(rest: Rest) -> str:
    return "/IncomingPhoneNumbers/" + next(iter(rest.twilio.world.numbers))


def test_numbers_are_listed_in_pages(rest: Rest) -> None:
    for last in range(1, 5):
        rest.twilio.add_number(f"+1415555010{last}")

    page = rest.get("/IncomingPhoneNumbers", PageSize=2).json()
    seen = [one["phone_number"] for one in page["incoming_phone_numbers"]]
    while page["next_page_uri"]:
        page = rest.page(page["next_page_uri"]).json()
        seen += [one["phone_number"] for one in page["incoming_phone_numbers"]]

    assert seen == [OURS, *(f"+1415555010{last}" for last in range(1, 5))]
    assert (page["page"], page["page_size"], page["next_page_uri"]) == (2, 2, None)


def test_a_number_is_found_by_its_digits(rest: Rest) -> None:
    rest.twilio.add_number("+12025550100")

    page = rest.get("/IncomingPhoneNumbers", PhoneNumber="+12025550100").json()

    assert [one["phone_number"] for one in page["incoming_phone_numbers"]] == ["+12025550100"]


def test_an_update_changes_what_it_names_and_nothing_else(rest: Rest) -> None:
    before = rest.get(_number(rest)).json()

    after = rest.post(_number(rest), VoiceUrl=HOOK, VoiceMethod="GET").json()

    changed = {name for name in after if after[name] != before[name]} - {"date_updated"}
    assert changed == {"voice_url", "voice_method"}


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("VoiceUrl", "ftp://voice.example.com/", 21402),
        ("VoiceUrl", "not a url", 21402),
        ("VoiceFallbackUrl", "https://", 21402),
        ("StatusCallback", "https://my_host.example.com/", 21609),
        ("VoiceMethod", "PUT", 21403),
    ],
)
def test_a_url_or_method_that_cannot_be_is_refused(
    rest: Rest, name: str, value: str, error: int
) -> None:
    assert code(rest.post(_number(rest), **{name: value})) == (400, error)
    assert "VoiceUrl" not in next(iter(rest.twilio.world.numbers.values())).settings


def test_an_application_ends_the_trunk_and_a_trunk_the_application(rest: Rest) -> None:
    application = rest.post("/Applications", FriendlyName="Bot", VoiceUrl=HOOK).json()["sid"]

    rest.post(_number(rest), TrunkSid="TK" + "1" * 32)
    one = rest.post(_number(rest), VoiceApplicationSid=application).json()
    other = rest.post(_number(rest), TrunkSid="TK" + "1" * 32).json()

    assert (one["voice_application_sid"], one["trunk_sid"]) == (application, "")
    assert (other["voice_application_sid"], other["trunk_sid"]) == ("", "TK" + "1" * 32)


def test_a_voice_url_under_an_application_is_pointed_out(rest: Rest) -> None:
    application = rest.post("/Applications", FriendlyName="Bot").json()["sid"]
    rest.post(_number(rest), VoiceApplicationSid=application)

    rest.post(_number(rest), VoiceUrl=HOOK)

    assert "VoiceApplicationSid" in rest.twilio.findings.pop().what


def test_a_misspelt_parameter_is_a_finding(rest: Rest) -> None:
    assert rest.post(_number(rest), VoiceURL=HOOK).status_code == 200

    assert "VoiceURL" in rest.twilio.findings.pop().what


def test_another_accounts_number_is_20404(rest: Rest) -> None:
    twilio = rest.twilio
    theirs = twilio.world.number_add(twilio.world.account_add(), "+12025550199")

    assert code(rest.get(f"/IncomingPhoneNumbers/{theirs.sid}")) == (404, 20404)


def test_an_application_lives_and_dies(rest: Rest) -> None:
    made = rest.post("/Applications", FriendlyName="Bot", VoiceUrl=HOOK)
    one = "/Applications/" + made.json()["sid"]
    rest.post(_number(rest), VoiceApplicationSid=made.json()["sid"])

    assert made.status_code == 201
    assert rest.post(one, VoiceMethod="GET").json()["voice_url"] == HOOK
    assert [a["friendly_name"] for a in rest.get("/Applications").json()["applications"]] == ["Bot"]
    assert rest.delete(one).status_code == 204
    assert code(rest.get(one)) == (404, 20404)
    assert rest.get(_number(rest)).json()["voice_application_sid"] == ""


def test_an_account_has_so_many_applications_and_no_more(rest: Rest) -> None:
    rest.twilio.account.limits.applications = 1
    rest.post("/Applications", FriendlyName="One")
    assert code(rest.post("/Applications", FriendlyName="Two")) == (400, 21302)
