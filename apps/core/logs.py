"""One line per record: time, level, logger, message, request id, extras. Secrets are blotted out.

A formatter rather than a filter does the blotting, because only it sees the traceback.
"""

from __future__ import annotations

import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime

request_id: ContextVar[str] = ContextVar("request_id", default="")
# Where the request came from: an IP address, empty outside of requests. For the audit log alone.
client_address: ContextVar[str] = ContextVar("client_address", default="")

BLOT = "[secret]"
_SECRETS = re.compile(
    r"""
    \bbc_[a-z0-9]+_[A-Za-z0-9_-]+                      # our API keys
    | (?<=bearer\s)[^\s"']+ | (?<=basic\s)[^\s"']+     # Authorization
    | \b(?:sk|pk|gsk|xai)[-_][A-Za-z0-9_-]{16,}        # vendors' keys
    | \bwhsec_[A-Za-z0-9+/=]{16,}                      # what signs events
    | \bgAAAA[A-Za-z0-9_=-]{40,}                       # Fernet ciphertext
    | (?<=://)[^\s/@:]*:[^\s/@]+(?=@)                  # user:password of a URL
    | (?<=token=)[^\s&"']+ | (?<=password=)[^\s&"']+ | (?<=api_key=)[^\s&"']+
    """,
    re.VERBOSE | re.IGNORECASE,
)
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
# What Django and the servers attach, which is an object or says nothing an operator needs.
_LOUD = frozenset({"request", "server_time", "status_code", "color_message", "params", "sql"})


def redact(text: str) -> str:
    """Blot out what looks like a secret."""
    return _SECRETS.sub(BLOT, text)


class LineFormatter(logging.Formatter):
    """Formats a record as one line; a traceback follows on its own lines."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        extras = [
            f"{name}={value}"
            for name, value in record.__dict__.items()
            if name not in _STANDARD and name not in _LOUD
        ]
        if current := request_id.get():
            extras.append(f"request_id={current}")
        line = " ".join([at, record.levelname, record.name, record.message, *extras])
        # One record stays one line, whatever a client put into a path.
        return line.replace("\r", "\\r").replace("\n", "\\n")
