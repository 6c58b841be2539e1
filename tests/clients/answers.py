"""What a generated client makes of an answer."""

from __future__ import annotations

from typing import Any, TypeVar

from botsconfig_client.types import Response

Kind = TypeVar("Kind")


def typed(answer: Response[Any], status: int, kind: type[Kind]) -> Kind:
    """Return what the client made of the answer; it must have this status and type."""
    assert answer.status_code == status, (answer.status_code, answer.content)
    assert isinstance(answer.parsed, kind), answer.parsed
    return answer.parsed
