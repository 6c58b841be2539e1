"""What a generated client makes of an answer, and which operations have succeeded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx
from botsconfig_client.types import Response

Kind = TypeVar("Kind")


def typed(answer: Response[Any], status: int, kind: type[Kind]) -> Kind:
    """Return what the client made of the answer; it must have this status and type."""
    assert answer.status_code == status, (answer.status_code, answer.content)
    assert isinstance(answer.parsed, kind), answer.parsed
    return answer.parsed


class Coverage:
    """Which operations of the document have succeeded."""

    def __init__(self, document: dict[str, Any], not_called: Mapping[str, str]) -> None:
        """not_called: operations that need not succeed, each with the reason."""
        self._not_called = not_called
        self._routes = [
            (method, re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operation["operationId"])
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ]
        self._missing = {name for _, _, name in self._routes}

    def note(self, answer: httpx.Response) -> None:
        if answer.is_success:
            asked = answer.request
            self._missing -= {
                name
                for method, path, name in self._routes
                if method == asked.method.lower() and path.fullmatch(asked.url.path)
            }

    def complaints(self) -> list[str]:
        missing = sorted(self._missing - self._not_called.keys())
        needless = sorted(self._not_called.keys() - self._missing)
        return [
            *(f"No step brings {name} to succeed." for name in missing),
            *(f"NOT_CALLED excuses {name} for nothing." for name in needless),
        ]
