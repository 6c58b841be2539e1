"""The OpenAPI document, as the server gives it out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path."""

    path: str
    method: str
    said: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def takes_parameters(self) -> bool:
        return "{" in self.path

    def bodies(self) -> dict[str, Any]:
        """Return what is said of the request's body, by content type."""
        found: dict[str, Any] = self.said.get("requestBody", {}).get("content", {})
        return found

    def answers(self, first: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield code and content of the answers whose code begins so."""
        for code, answer in self.said["responses"].items():
            if code.startswith(first):
                yield code, answer.get("content", {})


@cache
def document() -> dict[str, Any]:
    """Return the whole document."""
    made = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    found: dict[str, Any] = json.loads(OpenApiJsonRenderer().render(made))
    return found


@cache
def operations() -> tuple[Operation, ...]:
    """Return every operation of the document."""
    return tuple(
        Operation(path, method, said)
        for path, methods in document()["paths"].items()
        for method, said in methods.items()
    )


def examples(described: dict[str, Any]) -> list[Any]:
    """Return the examples of a body or an answer."""
    return [example["value"] for example in described.get("examples", {}).values()]
