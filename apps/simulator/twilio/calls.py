"""Calls over REST: create, read, list, redirect, hang up.

Sources: Twilio's "Call resource"; its OpenAPI document for the parameters and their bounds.
"""

from __future__ import annotations

import re
from datetime import datetime

from apps.simulator.twilio.asking import Answer, Ask
from apps.simulator.twilio.bodies import call_body, page_body
from apps.simulator.twilio.checks import (
    from_check,
    known_check,
    method_check,
    to_check,
    twiml_check,
    url_check,
    whole_check,
)
from apps.simulator.twilio.errors import Refused
from apps.simulator.twilio.form import Form
from apps.simulator.twilio.state import Call, Times, own, sid_new

EVENTS = ("initiated", "ringing", "answered", "completed")
_DOCUMENT = frozenset({"Url", "Method", "FallbackUrl", "FallbackMethod", "Twiml"})
_CALLBACK = frozenset({"StatusCallback", "StatusCallbackMethod"})
UPDATE = _DOCUMENT | _CALLBACK | {"Status", "TimeLimit"}
CREATE = (
    _DOCUMENT
    | _CALLBACK
    | {"To", "From", "ApplicationSid", "StatusCallbackEvent", "Timeout", "TimeLimit", "SendDigits"}
    | {"Record", "RecordingChannels", "RecordingTrack", "Trim"}
    | {"RecordingStatusCallback", "RecordingStatusCallbackMethod", "RecordingStatusCallbackEvent"}
    | {"MachineDetection", "MachineDetectionTimeout", "MachineDetectionSpeechThreshold"}
    | {"MachineDetectionSpeechEndThreshold", "MachineDetectionSilenceTimeout"}
    | {"AsyncAmd", "AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod"}
    | {"SipAuthUsername", "SipAuthPassword", "Byoc", "CallerId", "CallReason", "CallToken"}
    | {"ClientNotificationUrl"}
)
_LIST = frozenset(
    {"To", "From", "Status", "ParentCallSid", "PageSize", "Page", "PageToken"}
    | {"StartTime", "StartTime>", "StartTime<", "EndTime", "EndTime>", "EndTime<"}
)
_URLS = {
    "Url": 21205,
    "FallbackUrl": 21205,
    "StatusCallback": 21609,
    "RecordingStatusCallback": 21609,
    "AsyncAmdStatusCallback": 21609,
}
_METHODS = (
    "Method",
    "FallbackMethod",
    "StatusCallbackMethod",
    "RecordingStatusCallbackMethod",
    "AsyncAmdStatusCallbackMethod",
)
_DAY_S = 86_400
# (parameter, code, bounds). Twilio names no bounds for TimeLimit: a day is above any call's.
_WHOLE = (
    ("Timeout", 21208, (1, 600)),
    ("TimeLimit", 20001, (1, _DAY_S)),
    ("MachineDetectionTimeout", 20001, (3, 59)),
    ("MachineDetectionSpeechThreshold", 20001, (1_000, 6_000)),
    ("MachineDetectionSpeechEndThreshold", 20001, (500, 5_000)),
    ("MachineDetectionSilenceTimeout", 20001, (2_000, 10_000)),
)
# (parameter, what it may be)
_CHOICES = {
    "MachineDetection": (21207, ("Enable", "DetectMessageEnd")),
    "AsyncAmd": (20001, ("true", "false")),
    "Record": (20001, ("true", "false")),
    "RecordingChannels": (20001, ("mono", "dual")),
    "RecordingTrack": (20001, ("inbound", "outbound", "both")),
    "Trim": (20001, ("trim-silence", "do-not-trim")),
}
_DIGITS = re.compile(r"[0-9A-D#*wW]{0,32}")


# --- create -------------------------------------------------------------------------------------


def call_create(ask: Ask) -> Answer:
    """Place a call. 201 says that it is queued, no more."""
    form = ask.form
    known_check(form, CREATE, ask.operation, ask.world)
    to_check(form.get("To"), ask.account)
    from_check(form.get("From"), ask.account, ask.world)
    _document_check(ask)
    _values_check(form)
    _options_check(ask)
    _events_check(ask)
    _limits_check(ask)
    when = ask.world.now()
    call = Call(
        sid_new("CA"),
        ask.account.sid,
        form.get("To"),
        form.get("From"),
        "outbound-api",
        Times(when, when),
        asked=_asked(ask),
    )
    ask.world.call_add(call)
    ask.network.placed(call)
    return 201, call_body(call)


def _asked(ask: Ask) -> Form:
    """Return what the call does: an application takes the place of URLs."""
    application = ask.form.get("ApplicationSid")
    if not application:
        return ask.form
    settings = ask.world.applications[application].settings
    kept = [pair for pair in ask.form.pairs if pair[0] not in _DOCUMENT | _CALLBACK]
    for name in ("Url", "Method", "FallbackUrl", "FallbackMethod"):
        kept.append((name, settings.get(f"Voice{name}", "")))
    for name in sorted(_CALLBACK):
        kept.append((name, settings.get(name, "")))
    return Form(tuple(pair for pair in kept if pair[1]))


def _document_check(ask: Ask) -> None:
    form = ask.form
    application = form.get("ApplicationSid")
    if application:
        found = ask.world.applications.get(application)
        if found is None or found.account_sid != ask.account.sid:
            raise Refused(21218, application)
        ignored = sorted(
            name for name in form if name in _DOCUMENT | _CALLBACK and name != "Method"
        )
        if ignored:
            ask.finding(f"{ignored[0]} is ignored beside ApplicationSid")
        return
    if not form.get("Url") and not form.get("Twiml"):
        raise Refused(21205, "none was given")
    if form.get("Url") and form.get("Twiml"):
        ask.finding("Twiml is ignored beside Url")
    twiml_check(form)


def _values_check(form: Form) -> None:
    for name, code in _URLS.items():
        url_check(form, name, code)
    for name in _METHODS:
        method_check(form, name, 21209)
    for name, code, bounds in _WHOLE:
        whole_check(form, name, code, bounds)
    for name, (code, choices) in _CHOICES.items():
        if name in form and form.get(name) not in choices:
            shown = f"{name}: {form.get(name)} ({' or '.join(choices)})"
            raise Refused(code, shown if code == 20001 else form.get(name))
    if _DIGITS.fullmatch(form.get("SendDigits")) is None:
        raise Refused(21206, form.get("SendDigits"))


def _options_check(ask: Ask) -> None:
    form = ask.form
    if form.get("AsyncAmd") == "true":
        if "MachineDetection" not in form:
            ask.finding("AsyncAmd does nothing without MachineDetection")
        elif not form.get("AsyncAmdStatusCallback"):
            raise Refused(21262)
    if form.get("Record") == "true":
        ask.world.alert(0, "The simulator does not record: Record does nothing.")
    if form.get("SendDigits") and "MachineDetection" in form:
        ask.finding("SendDigits cancels MachineDetection")


def _events_check(ask: Ask) -> None:
    events = ask.form.every("StatusCallbackEvent")
    for event in events:
        if event not in EVENTS:
            # Twilio answers 201 all the same, and then sends no callback at all.
            ask.world.alert(21626, f"Invalid StatusCallbackEvent: {event}")
            ask.finding(f"21626: {event!r} is no event: repeat StatusCallbackEvent for each")
    if events and not ask.form.get("StatusCallback"):
        ask.finding("StatusCallbackEvent does nothing without StatusCallback")


def _limits_check(ask: Ask) -> None:
    most = ask.account.limits.live
    if most is not None and len(ask.world.live(ask.account)) >= most:
        raise Refused(10004)


def events_wanted(form: Form) -> frozenset[str]:
    """Say which events a call's status callback gets; none, if one of them is no event."""
    events = form.every("StatusCallbackEvent") or ["completed"]
    return frozenset(events) if set(events) <= set(EVENTS) else frozenset()


# --- read ---------------------------------------------------------------------------------------


def call_get(ask: Ask) -> Answer:
    return 200, call_body(_call(ask))


def call_list(ask: Ask) -> Answer:
    """List calls, the newest first."""
    known_check(ask.query, _LIST, ask.operation, ask.world)
    rows = [
        call_body(one)
        for one in reversed(ask.world.calls.values())
        if one.account_sid == ask.account.sid and _fits(one, ask.query)
    ]
    return 200, page_body(ask.path, "calls", rows, ask.query)


def _fits(call: Call, query: Form) -> bool:
    wanted = {
        "To": call.to,
        "From": call.from_,
        "Status": call.status,
        "ParentCallSid": call.parent_sid,
    }
    if any(query.get(name) not in ("", value) for name, value in wanted.items()):
        return False
    started = call.times.started or call.times.created
    times = {"StartTime": started, "EndTime": call.times.ended}
    return all(_within(when, name, query) for name, when in times.items())


def _within(when: datetime | None, name: str, query: Form) -> bool:
    """Compare as Twilio does: a day without an hour is that day, in UTC; bounds count as inside."""
    for sign in ("", ">", "<"):
        bound = query.get(name + sign)
        if not bound:
            continue
        if when is None:
            return False
        day = len(bound) == 10
        given = when.strftime("%Y-%m-%d" if day else "%Y-%m-%dT%H:%M:%SZ")
        try:
            datetime.fromisoformat(bound)
        except ValueError:
            raise Refused(20001, f"{name}{sign}: {bound}") from None
        if (sign == "" and given != bound) or (sign == ">" and given < bound):
            return False
        if sign == "<" and given > bound:
            return False
    return True


# --- update -------------------------------------------------------------------------------------


def call_update(ask: Ask) -> Answer:
    """Redirect a call that is in progress, or end one that has not ended."""
    call = _call(ask)
    form = ask.form
    known_check(form, UPDATE, ask.operation, ask.world)
    _update_check(ask)
    if call.ended:
        raise Refused(21220)
    status = form.get("Status")
    if status:
        _end(ask, call, status)
    elif form.get("Twiml") or form.get("Url"):
        if call.status != "in-progress":
            raise Refused(21220)
        ask.network.redirected(call, form)
    elif not any(name in form for name in ("TimeLimit", *_CALLBACK)):
        ask.finding("an update that changes nothing")
    kept = {name: form.get(name) for name in ("TimeLimit", *_CALLBACK) if name in form}
    others = [(name, value) for name, value in call.asked.pairs if name not in kept]
    call.asked = Form((*others, *kept.items()))
    return 200, call_body(call)


def _update_check(ask: Ask) -> None:
    form = ask.form
    chosen = [name for name in ("Url", "Twiml", "Status") if form.get(name)]
    if len(chosen) > 1:
        raise Refused(20001, f"{chosen[1]}: it excludes {chosen[0]}")
    if "Status" in form and form.get("Status") not in ("completed", "canceled"):
        raise Refused(20001, f"Status: {form.get('Status')} (completed or canceled)")
    for name in ("Url", "FallbackUrl", "StatusCallback"):
        url_check(form, name, _URLS[name])
    for name in ("Method", "FallbackMethod", "StatusCallbackMethod"):
        method_check(form, name, 21209)
    whole_check(form, "TimeLimit", 20001, (1, _DAY_S))
    twiml_check(form)


def _end(ask: Ask, call: Call, status: str) -> None:
    if call.status == "in-progress":
        # "canceled" does nothing to a call that is in progress already.
        if status == "completed":
            ask.network.ended(call, "completed")
        return
    ask.network.ended(call, "canceled")


def _call(ask: Ask) -> Call:
    call = ask.world.calls.get(ask.sid)
    own(call, ask.account, ask.path)
    assert call is not None
    return call
