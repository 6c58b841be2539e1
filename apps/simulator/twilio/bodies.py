"""Twilio's resources as JSON: numbers as strings, dates after RFC 2822."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from apps.simulator.twilio.errors import Refused
from apps.simulator.twilio.form import Form
from apps.simulator.twilio.state import Account, Call, Resource

VERSION = "2010-04-01"
_PAGE_SIZE, _PAGE_MOST = 50, 1_000
_RESOURCE_DEFAULTS: dict[str, str] = {
    "FriendlyName": "",
    "VoiceUrl": "",
    "VoiceMethod": "POST",
    "VoiceFallbackUrl": "",
    "VoiceFallbackMethod": "POST",
    "StatusCallback": "",
    "StatusCallbackMethod": "POST",
    "SmsUrl": "",
    "SmsMethod": "POST",
    "SmsFallbackUrl": "",
    "SmsFallbackMethod": "POST",
}
_NUMBER_DEFAULTS = {"VoiceApplicationSid": "", "SmsApplicationSid": "", "TrunkSid": ""}


def rfc2822(when: datetime | None) -> str | None:
    return None if when is None else format_datetime(when)


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def base(account_sid: str) -> str:
    return f"/{VERSION}/Accounts/{account_sid}"


def account_body(account: Account) -> dict[str, Any]:
    uri = base(account.sid)
    return {
        "sid": account.sid,
        "owner_account_sid": account.owner_sid,
        "friendly_name": account.friendly_name,
        "auth_token": account.auth_token,
        "status": account.status,
        "type": account.kind,
        "uri": f"{uri}.json",
        "subresource_uris": {
            "calls": f"{uri}/Calls.json",
            "incoming_phone_numbers": f"{uri}/IncomingPhoneNumbers.json",
            "applications": f"{uri}/Applications.json",
        },
    }


def number_body(number: Resource) -> dict[str, Any]:
    body = _resource_body(number, "IncomingPhoneNumbers", _RESOURCE_DEFAULTS | _NUMBER_DEFAULTS)
    return {
        **body,
        "phone_number": number.phone_number,
        "capabilities": {"voice": True, "sms": True, "mms": False, "fax": False},
        "origin": "twilio",
        "status": "in-use",
        "beta": False,
    }


def application_body(application: Resource) -> dict[str, Any]:
    return _resource_body(application, "Applications", _RESOURCE_DEFAULTS)


def _resource_body(one: Resource, kind: str, defaults: dict[str, str]) -> dict[str, Any]:
    settings = {snake(name): value for name, value in {**defaults, **one.settings}.items()}
    return {
        "sid": one.sid,
        "account_sid": one.account_sid,
        "api_version": VERSION,
        "date_created": rfc2822(one.created),
        "date_updated": rfc2822(one.updated),
        "uri": f"{base(one.account_sid)}/{kind}/{one.sid}.json",
        **settings,
    }


def call_body(call: Call) -> dict[str, Any]:
    uri = f"{base(call.account_sid)}/Calls/{call.sid}"
    return {
        "sid": call.sid,
        "account_sid": call.account_sid,
        "api_version": VERSION,
        "to": call.to,
        "to_formatted": call.to,
        "from": call.from_,
        "from_formatted": call.from_,
        "status": call.status,
        "direction": call.direction,
        "parent_call_sid": call.parent_sid or None,
        "phone_number_sid": call.facts.get("phone_number_sid"),
        "answered_by": call.facts.get("answered_by"),
        "queue_time": str(call.facts.get("queue_ms", 0)),
        "date_created": rfc2822(call.times.created),
        "date_updated": rfc2822(call.times.updated),
        "start_time": rfc2822(call.times.started),
        "end_time": rfc2822(call.times.ended),
        "duration": str(call.seconds) if call.ended else None,
        "price": None,
        "price_unit": "USD",
        "caller_name": None,
        "forwarded_from": None,
        "group_sid": None,
        "trunk_sid": None,
        "annotation": None,
        "uri": f"{uri}.json",
        "subresource_uris": {
            "recordings": f"{uri}/Recordings.json",
            "streams": f"{uri}/Streams.json",
            "notifications": f"{uri}/Notifications.json",
        },
    }


def page_body(path: str, name: str, rows: list[dict[str, Any]], query: Form) -> dict[str, Any]:
    """Cut a list into pages. ``next_page_uri`` holds all that the next request needs."""
    size = _whole(query, "PageSize", _PAGE_SIZE)
    if not 1 <= size <= _PAGE_MOST:
        size = max(1, min(size, _PAGE_MOST))
    number = _whole(query, "Page", 0)
    at = number * size
    kept = [
        (one, value) for one, value in query.pairs if one not in ("Page", "PageSize", "PageToken")
    ]

    def uri(page: int) -> str:
        fields = [*kept, ("PageSize", str(size)), ("Page", str(page))]
        if page:
            fields.append(("PageToken", f"PA{rows[page * size - 1]['sid']}"))
        return f"{path}?{urlencode(fields)}"

    shown = rows[at : at + size]
    return {
        name: shown,
        "page": number,
        "page_size": size,
        "start": at,
        "end": at + max(0, len(shown) - 1),
        "uri": uri(number) if number * size <= len(rows) else path,
        "first_page_uri": uri(0),
        "previous_page_uri": uri(number - 1) if 0 < number <= len(rows) // size + 1 else None,
        "next_page_uri": uri(number + 1) if at + size < len(rows) else None,
    }


def _whole(query: Form, name: str, default: int) -> int:
    value = query.get(name) or str(default)
    if not value.isdecimal():
        raise Refused(20001, f"{name}: {value}")
    return int(value)
