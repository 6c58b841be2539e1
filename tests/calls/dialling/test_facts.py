"""What Twilio takes of a create, and in what form, kept whatever a call is asked to be."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from apps.telephony.twiml import PARAMETER_CHARACTERS
from tests.calls.dialling.conftest import Post
from tests.support.twilio import TwilioStandIn

# Twilio's error 32018 is a longer one.
TWIML_CHARACTERS = 4_000
WISHES: list[dict[str, Any]] = [
    {},
    {"send_digits": "1" * 32},
    {"machine_detection": {"mode": "async", "message_end": True, "timeout": 59}},
    {"metadata": {"long": "x" * 16_000}, "record": True},
]


@pytest.mark.parametrize("members", WISHES)
def test_a_create_brings_its_twiml_and_no_url_that_would_win_over_it(
    dial: Post, twilio: TwilioStandIn, members: dict[str, Any]
) -> None:
    assert dial(**members).status_code == 201
    (asked,) = twilio.asked("calls.create")
    assert 0 < len(str(asked["Twiml"])) < TWIML_CHARACTERS
    assert not {"Url", "ApplicationSid"} & asked.keys()


@pytest.mark.parametrize("members", WISHES)
def test_whatever_is_asked_for_a_call_has_an_end(
    dial: Post, twilio: TwilioStandIn, members: dict[str, Any]
) -> None:
    assert dial(**members).status_code == 201
    (asked,) = twilio.asked("calls.create")
    assert 0 < int(str(asked["TimeLimit"])) <= 86_400
    assert 0 < int(str(asked["Timeout"])) <= 600


def test_no_parameter_of_the_stream_reaches_the_length_that_twilio_cuts(
    dial: Post, twilio: TwilioStandIn
) -> None:
    dial()
    (asked,) = twilio.asked("calls.create")
    for one in ElementTree.fromstring(str(asked["Twiml"])).iter("Parameter"):
        assert len(one.attrib["name"] + one.attrib["value"]) < PARAMETER_CHARACTERS
