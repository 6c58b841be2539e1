"""What Twilio refuses, in its own numbers. Source: its error dictionary (docs/api/errors)."""

from __future__ import annotations

from typing import Any

_MORE = "https://www.twilio.com/docs/errors/"

# By code: the HTTP status, and the text, which takes what was asked for.
_ERRORS: dict[int, tuple[int, str]] = {
    10001: (403, "Account is not active"),
    10004: (400, "Call concurrency limit exceeded"),
    13223: (400, "Dial: Invalid phone number format: {value}"),
    13225: (400, "Dial: Forbidden phone number: {value}"),
    13227: (400, "Dial: No International Permission to call {value}"),
    20001: (400, "Invalid parameter {value}"),
    20003: (401, "Authenticate"),
    20004: (405, "Method not allowed"),
    20404: (404, "The requested resource {value} was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "An internal server error has occurred"),
    21201: (400, "No 'To' number is specified"),
    21205: (400, "Url is not a valid URL: {value}"),
    21206: (400, "Invalid SendDigits: {value}"),
    21207: (400, "Invalid MachineDetection: {value}"),
    21208: (400, "Invalid Timeout: {value}"),
    21209: (400, "Invalid Method: {value}"),
    21210: (
        400,
        "The source phone number provided, {value}, is not yet verified for your account. You may "
        "only make calls from phone numbers that you've verified or purchased from Twilio.",
    ),
    21211: (400, "The phone number you are attempting to call, {value}, is not valid."),
    21212: (400, "The source phone number provided, {value}, is not valid."),
    21213: (400, "No 'From' number is specified"),
    21214: (400, "The phone number you are attempting to call, {value}, cannot be reached."),
    21215: (400, "Account not authorized to call {value}: geographic permissions."),
    21216: (400, "Account not allowed to call {value}"),
    21217: (400, "Phone number does not appear to be valid: {value}"),
    21218: (400, "Invalid ApplicationSid: {value}"),
    21219: (
        400,
        "The number {value} is unverified. Trial accounts may only make calls to verified numbers.",
    ),
    21220: (400, "Call is not in-progress. Cannot redirect."),
    21262: (400, "AsyncAmdStatusCallback is required: machine detection without a callback URL"),
    21302: (400, "Too many applications: an account may have {value}"),
    21402: (400, "Invalid Url: {value}"),
    21403: (400, "Invalid Method: {value}"),
    21609: (400, "Invalid StatusCallback URL: {value}"),
    32018: (400, "Twiml is longer than {value} characters"),
}


class Refused(Exception):
    """A request that Twilio answers with an error."""

    def __init__(self, code: int, value: str = "", *, status: int | None = None) -> None:
        http, text = _ERRORS[code]
        self.code = code
        self.status = status or http
        self.message = text.format(value=value)
        super().__init__(f"{code}: {self.message}")

    def body(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"{_MORE}{self.code}",
            "status": self.status,
        }
