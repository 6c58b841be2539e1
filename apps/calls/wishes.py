"""What a dialler wants of a call: read from a request, kept in ``Call.asked``, told to Twilio."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

from apps.bots.models import TwilioConfigVersion
from apps.calls.models import Call
from apps.calls.tokens import StreamToken
from apps.calls.twiml import stream_twiml
from apps.calls.webhook_requests import callback_url
from apps.telephony import rest
from apps.telephony.rest import Request

# Twilio's own bounds of Timeout, and its default.
RING_DEFAULT_S, RING_LONGEST_S = 60, 600
# A call that is not answered and hung up at once is no call; a day is as long as any bot talks.
LIMIT_SHORTEST_S, LIMIT_LONGEST_S = 10, 86_400
# The bot says goodbye at its max_duration; Twilio ends what is left of the call that much later.
LIMIT_MARGIN_S = 60
EVENTS: Final = ("initiated", "ringing", "answered", "completed")
# How machine detection is asked for: not at all, beside the conversation, or before it.
OFF, ASYNC, SYNC = "off", "async", "sync"
# What becomes of a call that a machine has answered.
HANG_UP, GO_ON, LEAVE_MESSAGE = "hang_up", "continue", "leave_message"


@dataclass(frozen=True, slots=True)
class Wish:
    """A call that somebody wants. to: E.164, or a SIP address; from_: E.164.

    machine_detection: ``{"mode", "message_end", "timeout", "on_machine", "message"}``.
    record: None leaves it to the bot. time_limit: seconds; None: the bot's longest, and a margin.
    """

    config_id: uuid.UUID
    to: str
    from_: str
    connection_id: uuid.UUID | None = None
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)
    machine_detection: Mapping[str, Any] = field(default_factory=lambda: {"mode": OFF})
    timeout: int = RING_DEFAULT_S
    time_limit: int | None = None
    send_digits: str | None = None
    record: bool | None = None
    schedule_at: datetime | None = None

    def asked(self) -> dict[str, Any]:
        """Return what the row keeps of it in ``Call.asked``, beside its own columns."""
        return {
            "machine_detection": dict(self.machine_detection),
            "timeout": self.timeout,
            "time_limit": self.time_limit,
            "send_digits": self.send_digits,
            "record": self.record,
            "digest": self.digest(),
        }

    def digest(self) -> str:
        """Return what tells this wish from another: SHA-256 in hex."""
        parts = {
            **{"config": self.config_id, "to": self.to, "from": self.from_},
            **{"connection": self.connection_id, "at": self.schedule_at},
            **{"variables": self.variables, "metadata": self.metadata, "record": self.record},
            **{"detection": self.machine_detection, "digits": self.send_digits},
            **{"timeout": self.timeout, "time_limit": self.time_limit},
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def create_request(call: Call, version: TwilioConfigVersion) -> Request:
    """Return the request that dials a call. call: with its connection.

    The TwiML goes with it: one thing less that can fail when somebody has answered.
    """
    assert call.connection is not None
    asked = call.asked
    callback = partial(callback_url, account_id=call.account_id, call_id=call.id)
    token = StreamToken(call.id, call.config_id, attempt=1)
    fields: dict[str, str | list[str]] = {
        "To": call.to_number,
        "From": call.from_number,
        "Twiml": stream_twiml(token, account_id=call.account_id),
        # Asked where the TwiML fails, or what it leads to: the caller hears an apology.
        "FallbackUrl": callback("fallback", bot=str(call.config_id)),
        "StatusCallback": callback("status"),
        # Repeated, one parameter an event: joined they are a 21626, or no callbacks at all.
        "StatusCallbackEvent": list(EVENTS),
        "Timeout": str(asked.get("timeout", RING_DEFAULT_S)),
        "TimeLimit": str(asked.get("time_limit") or time_limit_of(version)),
        **_detection(call, asked.get("machine_detection") or {}),
    }
    if asked.get("send_digits"):
        fields["SendDigits"] = asked["send_digits"]
    return rest.call_create(call.connection.account_sid, fields)


def time_limit_of(version: TwilioConfigVersion) -> int:
    """Return the seconds after which Twilio ends a call of a bot's that has no limit of its own."""
    longest: int = version.document["max_duration"] + LIMIT_MARGIN_S
    return min(longest, LIMIT_LONGEST_S)


def _detection(call: Call, wanted: Mapping[str, Any]) -> dict[str, str | list[str]]:
    if wanted.get("mode", OFF) == OFF:
        return {}
    fields: dict[str, str | list[str]] = {
        "MachineDetection": "DetectMessageEnd" if wanted.get("message_end") else "Enable"
    }
    if wanted.get("timeout"):
        fields["MachineDetectionTimeout"] = str(wanted["timeout"])
    if wanted["mode"] == ASYNC:
        fields["AsyncAmd"] = "true"
        fields["AsyncAmdStatusCallback"] = callback_url(
            "amd", account_id=call.account_id, call_id=call.id
        )
    return fields
