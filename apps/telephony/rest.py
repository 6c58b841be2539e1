"""Twilio's REST API without its I/O: requests as values, answers read, errors in our words.

Sources: Twilio's OpenAPI document of the 2010-04-01 API and its error dictionary. Twilio's library
is not used for this: its asynchronous client ignores deadlines, and posts a create again after a
5xx, which can be a second paid call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

API = "/2010-04-01"
OWN_URL = "https://api.twilio.com"

Fields = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request. path: from the API's origin. fields: the form, or for a GET the query."""

    method: str
    path: str
    fields: Fields = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """Whom a request is made as: an account by its auth token, or an API key by its secret."""

    user: str
    password: str = field(repr=False)


def origin(*, base_url: str, region: str = "", edge: str = "") -> str:
    """Return the API's origin. An origin that is not Twilio's own knows no regions.

    A region's host without its edge was shut on 2026-04-28, so both are needed or neither.
    """
    if base_url != OWN_URL or not (region and edge):
        return base_url
    return f"https://api.{edge}.{region}.twilio.com"


# --- requests -------------------------------------------------------------------------------------


def account_get(account_sid: str) -> Request:
    return Request("GET", f"{API}/Accounts/{_part(account_sid)}.json")


def accounts_list() -> Request:
    """Ask for the account that signs in, and its sub-accounts."""
    return Request("GET", f"{API}/Accounts.json", {"PageSize": "1000"})


def call_create(account_sid: str, fields: Fields) -> Request:
    """Dial. Post it once: Twilio has no key that would make a second one harmless."""
    return Request("POST", f"{API}/Accounts/{_part(account_sid)}/Calls.json", fields)


def call_update(account_sid: str, call_sid: str, fields: Fields) -> Request:
    path = f"{API}/Accounts/{_part(account_sid)}/Calls/{_part(call_sid)}.json"
    return Request("POST", path, fields)


def call_hang_up(account_sid: str, call_sid: str) -> Request:
    """End a call, whatever it is doing."""
    return call_update(account_sid, call_sid, {"Status": "completed"})


def call_get(account_sid: str, call_sid: str) -> Request:
    path = f"{API}/Accounts/{_part(account_sid)}/Calls/{_part(call_sid)}.json"
    return Request("GET", path)


def calls_list(account_sid: str, query: Fields) -> Request:
    return Request("GET", f"{API}/Accounts/{_part(account_sid)}/Calls.json", query)


def numbers_list(account_sid: str, query: Fields | None = None) -> Request:
    path = f"{API}/Accounts/{_part(account_sid)}/IncomingPhoneNumbers.json"
    return Request("GET", path, query or {"PageSize": "1000"})


def number_get(account_sid: str, number_sid: str) -> Request:
    part = f"IncomingPhoneNumbers/{_part(number_sid)}.json"
    return Request("GET", f"{API}/Accounts/{_part(account_sid)}/{part}")


def number_update(account_sid: str, number_sid: str, fields: Fields) -> Request:
    part = f"IncomingPhoneNumbers/{_part(number_sid)}.json"
    return Request("POST", f"{API}/Accounts/{_part(account_sid)}/{part}", fields)


def page_get(uri: str) -> Request:
    """Ask for a list's next page. uri: its ``next_page_uri``, of which only the path counts."""
    parts = urlsplit(uri)
    return Request("GET", parts.path + (f"?{parts.query}" if parts.query else ""))


def _part(sid: str) -> str:
    return quote(sid, safe="")


# --- answers --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Meaning:
    """An error of Twilio's in our words. field: of our request, where one is to blame."""

    name: str
    hint: str
    field: str = ""


class TwilioError(Exception):
    """Twilio said no, or nothing.

    code: Twilio's number, 0 where there is none. reason: our name for it. hint: what to do.
    field: the member of our request that is to blame, if one is. settled: False where it is not
    known whether the request was carried out.
    """

    def __init__(
        self, reason: str, hint: str, *, code: int = 0, field: str = "", settled: bool = True
    ) -> None:
        super().__init__(f"{reason}: {hint}" + (f" (Twilio {code})" if code else ""))
        self.reason = reason
        self.hint = hint
        self.code = code
        self.field = field
        self.settled = settled

    @property
    def is_unprocessed(self) -> bool:
        """The request was not carried out, and may be sent again as it is."""
        return self.reason == "rate_limited"

    @property
    def is_gone(self) -> bool:
        """What was to be ended is not there (any more): to a hang-up, that is success."""
        return self.reason in ("not_found", "call_not_in_progress")


MEANINGS: Mapping[int, Meaning] = {
    10001: Meaning(
        "account_inactive", "The Twilio account is suspended or closed; see its console."
    ),
    10002: Meaning(
        "trial_account", "A trial account cannot do this: it blocks <Stream>. Upgrade it."
    ),
    10004: Meaning(
        "too_many_calls",
        "Twilio's limit on concurrent calls is reached; a Business Profile lifts it.",
    ),
    13225: Meaning("number_blocked", "Twilio blocks calls to this number.", "to"),
    13227: Meaning(
        "country_not_permitted",
        "Allow the country in Twilio's console: Voice, Settings, Geographic Permissions.",
        "to",
    ),
    20003: Meaning(
        "authentication_failed",
        "The SID and the auth token or API key do not fit, or belong to another region.",
    ),
    20404: Meaning("not_found", "Twilio knows nothing of this SID in this account and region."),
    20429: Meaning("rate_limited", "Too many requests at once; Twilio did nothing with this one."),
    21201: Meaning("number_missing", "Say whom to call.", "to"),
    21203: Meaning("number_blocked", "International calls are not enabled for this account.", "to"),
    21205: Meaning("url_invalid", "Twilio does not take our URL: PUBLIC_URL must be https."),
    21210: Meaning(
        "caller_id_not_owned", "Use a number of this Twilio account, or verify this one.", "from"
    ),
    21211: Meaning("number_invalid", "No such number: write it as +, country and number.", "to"),
    21212: Meaning(
        "caller_id_invalid", "No such number: write it as +, country and number.", "from"
    ),
    21213: Meaning("caller_id_missing", "Say which of your numbers calls.", "from"),
    21214: Meaning("number_unreachable", "Twilio cannot reach this number.", "to"),
    21215: Meaning(
        "country_not_permitted",
        "Allow the country in Twilio's console: Voice, Settings, Geographic Permissions.",
        "to",
    ),
    21216: Meaning("number_blocked", "Twilio blocks calls to this number.", "to"),
    21217: Meaning("number_invalid", "No phone number that Twilio could call.", "to"),
    21218: Meaning("application_invalid", "Twilio does not know this application."),
    21219: Meaning(
        "number_not_verified",
        "A trial account calls verified numbers only: verify it in Twilio's console, or upgrade.",
        "to",
    ),
    21220: Meaning("call_not_in_progress", "The call is over, or was never there."),
    21262: Meaning("machine_detection_invalid", "Twilio has nowhere to report the verdict."),
    21402: Meaning("url_invalid", "Twilio does not take our URL: PUBLIC_URL must be https."),
    21609: Meaning("url_invalid", "Twilio does not take our URL: PUBLIC_URL must be https."),
    21626: Meaning("callback_event_invalid", "Twilio does not know a callback event."),
    32018: Meaning("twiml_too_long", "The TwiML of a call is limited to 4,000 characters."),
}
_BY_STATUS: Mapping[int, Meaning] = {
    401: MEANINGS[20003],
    404: MEANINGS[20404],
    429: MEANINGS[20429],
}
_NOT_OURS = re.compile(r"\s+")


def answer_read(*, status: int, body: bytes) -> dict[str, Any]:
    """Return an answer's object. Raises TwilioError for all that is no success.

    A 5xx leaves it unknown whether the request was carried out.
    """
    try:
        found = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError:
        found = None
    if 200 <= status < 300 and isinstance(found, dict):
        return found
    told = found if isinstance(found, dict) else {}
    raise _error(status, told)


def _error(status: int, told: Mapping[str, Any]) -> TwilioError:
    code = told.get("code")
    code = code if isinstance(code, int) else 0
    settled = 400 <= status < 500
    meaning = MEANINGS.get(code) or _BY_STATUS.get(status)
    if meaning is not None and settled:
        return TwilioError(meaning.name, meaning.hint, code=code, field=meaning.field)
    said = _NOT_OURS.sub(" ", str(told.get("message") or ""))[:200]
    if settled:
        return TwilioError("refused", said or f"Twilio answered {status}.", code=code)
    hint = f"Twilio answered {status}, so what became of the request is not known."
    return TwilioError("unavailable", hint, code=code, settled=False)
