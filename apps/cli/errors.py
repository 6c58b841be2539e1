"""What can go wrong, as an exit code and a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """What scripts go by. DRIFT is of ``plan`` alone."""

    OK = 0
    ERROR = 1
    DRIFT = 2
    NOT_AUTHORISED = 3
    NOT_FOUND = 4
    CONFLICT = 5
    RATE_LIMITED = 6
    UNREACHABLE = 7
    USAGE = 64


_BY_STATUS = {
    401: Exit.NOT_AUTHORISED,
    403: Exit.NOT_AUTHORISED,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    412: Exit.CONFLICT,
    429: Exit.RATE_LIMITED,
}


class CliError(Exception):
    """Ends the command. details: lines to print below the sentence."""

    def __init__(
        self, message: str, *, code: Exit = Exit.ERROR, details: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.details = tuple(details)


class Unreachable(CliError):
    """No answer came. maybe_done: the request may have been carried out nevertheless."""

    def __init__(self, message: str, *, maybe_done: bool) -> None:
        super().__init__(message, code=Exit.UNREACHABLE)
        self.maybe_done = maybe_done


class ApiError(CliError):
    """The API refused. body: its envelope, or None if the answer was not the API's."""

    def __init__(self, status: int, body: Mapping[str, Any] | None, request_id: str = "") -> None:
        self.status = status
        self.body: dict[str, Any] = dict(body or {"info": f"HTTP {status}"})
        fields = self.body.get("fields") or {}
        request = self.body.get("request_id") or request_id
        details = [f"{path}: {' '.join(map(str, texts))}" for path, texts in fields.items()]
        if request:
            details.append(f"request id: {request}")
        name = self.body.get("error") or "not an answer of the API"
        super().__init__(
            f"{self.body.get('info', '')} ({status} {name})",
            code=_BY_STATUS.get(status, Exit.ERROR),
            details=details,
        )
