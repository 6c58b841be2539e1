"""Accounts, phone numbers and applications over REST."""

from __future__ import annotations

from apps.simulator.twilio.asking import Answer, Ask
from apps.simulator.twilio.bodies import account_body, application_body, number_body, page_body
from apps.simulator.twilio.checks import known_check, method_check, url_check
from apps.simulator.twilio.errors import Refused
from apps.simulator.twilio.form import Form
from apps.simulator.twilio.state import Resource, own, sid_new

_PAGING = frozenset({"PageSize", "Page", "PageToken"})
_URLS = ("VoiceUrl", "VoiceFallbackUrl", "StatusCallback", "SmsUrl", "SmsFallbackUrl")
_METHODS = (
    "VoiceMethod",
    "VoiceFallbackMethod",
    "StatusCallbackMethod",
    "SmsMethod",
    "SmsFallbackMethod",
)
_SHARED = frozenset({"FriendlyName", "ApiVersion", *_URLS, *_METHODS})
_NUMBER = _SHARED | {
    "AccountSid",
    "AddressSid",
    "BundleSid",
    "EmergencyAddressSid",
    "EmergencyStatus",
    "IdentitySid",
    "SmsApplicationSid",
    "TrunkSid",
    "VoiceApplicationSid",
    "VoiceCallerIdLookup",
    "VoiceReceiveMode",
}
_APPLICATION = _SHARED | {
    "MessageStatusCallback",
    "PublicApplicationConnectEnabled",
    "SmsStatusCallback",
    "VoiceCallerIdLookup",
}


# --- accounts -----------------------------------------------------------------------------------


def account_get(ask: Ask) -> Answer:
    return 200, account_body(ask.account)


def account_list(ask: Ask) -> Answer:
    """List the account that asks and its sub-accounts."""
    known_check(ask.query, _PAGING | {"FriendlyName", "Status"}, ask.operation, ask.world)
    rows = [
        account_body(one)
        for one in ask.world.accounts.values()
        if ask.account.sid in (one.sid, one.owner_sid)
        and ask.query.get("FriendlyName") in ("", one.friendly_name)
        and ask.query.get("Status") in ("", one.status)
    ]
    return 200, page_body(ask.path, "accounts", rows, ask.query)


# --- numbers ------------------------------------------------------------------------------------


def number_list(ask: Ask) -> Answer:
    """List the account's numbers. ``PhoneNumber`` finds parts of them, as Twilio's does."""
    known = _PAGING | {"PhoneNumber", "FriendlyName", "Beta", "Origin"}
    known_check(ask.query, known, ask.operation, ask.world)
    part, name = ask.query.get("PhoneNumber").strip("*"), ask.query.get("FriendlyName")
    rows = [
        number_body(one)
        for one in ask.world.numbers.values()
        if one.account_sid == ask.account.sid
        and part in one.phone_number
        and name in ("", one.settings["FriendlyName"])
    ]
    return 200, page_body(ask.path, "incoming_phone_numbers", rows, ask.query)


def number_get(ask: Ask) -> Answer:
    return 200, number_body(_number(ask))


def number_update(ask: Ask) -> Answer:
    """Change what is named and nothing else."""
    number = _number(ask)
    known_check(ask.form, _NUMBER, ask.operation, ask.world)
    _settings_check(ask.form)
    application = ask.form.get("VoiceApplicationSid")
    if application:
        own(ask.world.applications.get(application), ask.account, application)
    _settings_take(ask, number, _NUMBER - {"AccountSid"})
    # A number is served by an application or by a trunk: the one set last ends the other.
    if application:
        number.settings["TrunkSid"] = ""
        if ask.form.get("TrunkSid"):
            ask.finding("VoiceApplicationSid and TrunkSid exclude each other")
    elif ask.form.get("TrunkSid"):
        number.settings["VoiceApplicationSid"] = ""
    if number.settings.get("VoiceApplicationSid") and ask.form.get("VoiceUrl"):
        ask.finding("VoiceUrl is not asked while VoiceApplicationSid is set")
    return 200, number_body(number)


def _number(ask: Ask) -> Resource:
    number = ask.world.numbers.get(ask.sid)
    own(number, ask.account, ask.path)
    assert number is not None
    return number


# --- applications -------------------------------------------------------------------------------


def application_list(ask: Ask) -> Answer:
    known_check(ask.query, _PAGING | {"FriendlyName"}, ask.operation, ask.world)
    rows = [
        application_body(one)
        for one in _applications(ask)
        if ask.query.get("FriendlyName") in ("", one.settings.get("FriendlyName"))
    ]
    return 200, page_body(ask.path, "applications", rows, ask.query)


def application_create(ask: Ask) -> Answer:
    known_check(ask.form, _APPLICATION, ask.operation, ask.world)
    _settings_check(ask.form)
    most = ask.account.limits.applications
    if len(_applications(ask)) >= most:
        raise Refused(21302, str(most))
    when = ask.world.now()
    made = Resource(sid_new("AP"), ask.account.sid, {}, when, when)
    _settings_take(ask, made, _APPLICATION)
    ask.world.applications[made.sid] = made
    return 201, application_body(made)


def application_get(ask: Ask) -> Answer:
    return 200, application_body(_application(ask))


def application_update(ask: Ask) -> Answer:
    application = _application(ask)
    known_check(ask.form, _APPLICATION, ask.operation, ask.world)
    _settings_check(ask.form)
    _settings_take(ask, application, _APPLICATION)
    return 200, application_body(application)


def application_delete(ask: Ask) -> Answer:
    """Delete it; numbers that it served fall back to their own URLs."""
    gone = _application(ask)
    del ask.world.applications[gone.sid]
    for number in ask.world.numbers.values():
        if number.settings.get("VoiceApplicationSid") == gone.sid:
            number.settings["VoiceApplicationSid"] = ""
    return 204, None


def _applications(ask: Ask) -> list[Resource]:
    sid = ask.account.sid
    return [one for one in ask.world.applications.values() if one.account_sid == sid]


def _application(ask: Ask) -> Resource:
    application = ask.world.applications.get(ask.sid)
    own(application, ask.account, ask.path)
    assert application is not None
    return application


# --- both ---------------------------------------------------------------------------------------


def _settings_check(form: Form) -> None:
    for name in _URLS:
        url_check(form, name, 21609 if name == "StatusCallback" else 21402)
    for name in _METHODS:
        method_check(form, name, 21403)


def _settings_take(ask: Ask, one: Resource, known: frozenset[str]) -> None:
    one.settings |= {name: ask.form.get(name) for name in ask.form if name in known}
    one.updated = ask.world.now()
