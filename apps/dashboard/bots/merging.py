"""Members of a JSON body by their path, and what makes one body another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.core.changes import ABSENT


def at(body: Any, path: str) -> Any:
    """Return the member at a path such as ``config.tts.voice``, or ABSENT."""
    for name in path.split("."):
        if not isinstance(body, Mapping) or name not in body:
            return ABSENT
        body = body[name]
    return body


def put(body: dict[str, Any], path: str, value: Any) -> None:
    """Set the member at a path, making what it stands in; ABSENT takes it away."""
    *above, name = path.split(".")
    for outer in above:
        body = body.setdefault(outer, {})
    if value is ABSENT:
        body.pop(name, None)
    else:
        body[name] = value


def take(body: dict[str, Any], path: str) -> None:
    """Take the member at a path away, and what is empty without it."""
    name, _, rest = path.partition(".")
    if rest and isinstance(body.get(name), dict):
        take(body[name], rest)
        if not body[name]:
            del body[name]
    elif not rest:
        body.pop(name, None)


def difference(before: Any, after: Any) -> Any:
    """Return the merge patch (RFC 7396) that makes an object another.

    A member that is None in both stays; one that is None in ``after`` alone is taken away.
    """
    patch: dict[str, Any] = dict.fromkeys(before.keys() - after.keys())
    for name, value in after.items():
        old = before.get(name, ABSENT)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            if inner := difference(old, value):
                patch[name] = inner
        elif old is ABSENT or not _same(old, value):
            patch[name] = value
    return patch


def _same(old: Any, new: Any) -> bool:
    return bool(old == new) and isinstance(old, bool) is isinstance(new, bool)
