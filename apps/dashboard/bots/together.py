"""Two people's changes of one bot: mine, made from a base, over theirs, made from it meanwhile.

A merge patch (RFC 7396) takes lists as a whole, so that whoever saves second would undo what the
first did to other tools or fallbacks. They are merged here by row: a tool is known by its name,
a fallback by its provider and how many of it stand before. Where both changed one member, mine
counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from apps.bots.document import native_patch
from apps.bots.models import TwilioConfigVersion
from apps.core.changes import ABSENT, changes
from apps.dashboard.bots.chains import chain_keys
from apps.dashboard.bots.merging import at, difference, put, take
from apps.dashboard.bots.parts import SLOTS

TOOLS, HOOKS = "config.llm.tools", "webhook_tools"
CHAINS = tuple(f"config.{slot}.fallbacks" for slot in SLOTS)
LISTS = (TOOLS, *CHAINS)
# A tool's webhook within its row; and what of it is secret, and no part of a stored body.
_HOOK, _HEADERS = "webhook", "custom_headers"

Native = Mapping[str, Any]
Rows = Mapping[str, Mapping[str, Any]]


def rebased(patch: dict[str, Any], base: Native, mine: Native, theirs: Native) -> dict[str, Any]:
    """Return a patch that makes of theirs what ``patch`` makes of the base, row by row.

    mine: the base with the patch. Its hooks may hold ``custom_headers``, as a patch does.
    """
    found = deepcopy(patch)
    tools = rows_merged(*(_tools(native) for native in (base, mine, theirs)))
    listed = [
        {"name": name, **{key: value for key, value in row.items() if key != _HOOK}}
        for name, row in tools.items()
    ]
    _say(found, TOOLS, listed, theirs["config"]["llm"].get("tools", []))
    hooks = difference(
        theirs[HOOKS], {name: row[_HOOK] for name, row in tools.items() if _HOOK in row}
    )
    for name, hook in mine[HOOKS].items():
        if _HEADERS in hook and _HOOK in tools.get(name, {}):
            hooks.setdefault(name, {})[_HEADERS] = hook[_HEADERS]
    take(found, HOOKS)
    if hooks:
        found[HOOKS] = hooks
    for path in CHAINS:
        chain = rows_merged(*(chain_rows(at(native, path)) for native in (base, mine, theirs)))
        _say(found, path, list(chain.values()) or ABSENT, at(theirs, path))
    return found


def undone(base: TwilioConfigVersion, theirs: TwilioConfigVersion, patch: Any) -> list[str]:
    """Return the paths of what theirs changed and ``patch``, which is of theirs, changes again.

    Both versions with their secrets, which are compared, and not told.
    """
    before, now, then = (
        _by_row(native)
        for native in (
            native_patch(base, {}),
            native_patch(theirs, {}),
            native_patch(theirs, patch),
        )
    )
    touched = [change.path for change in changes(before, now)]
    again = [change.path for change in changes(now, then)]
    found = {path for path in again if any(_is_within(path, other) for other in touched)}
    return sorted({_row_path(path) for path in found})


def rows_merged(base: Rows, mine: Rows, theirs: Rows) -> dict[str, Any]:
    """Return rows in theirs' order, or in mine if I changed that of the base."""
    known = [name for name in base if name in mine]
    moved = known != [name for name in mine if name in base]
    lead, other = (mine, theirs) if moved else (theirs, mine)
    found: dict[str, Any] = {}
    for name in _order(list(lead), list(other)):
        row = _merged(*(rows.get(name, ABSENT) for rows in (base, mine, theirs)))
        if row is not ABSENT:
            found[name] = row
    return found


def chain_rows(chain: Any) -> dict[str, Mapping[str, Any]]:
    """Return a list's fallbacks by name; ABSENT: none."""
    rows = [] if chain is ABSENT else list(chain)
    return dict(zip(chain_keys(rows), rows, strict=True))


# --- inside -------------------------------------------------------------------------------------


def _tools(native: Native) -> dict[str, dict[str, Any]]:
    hooks = native[HOOKS]
    listed: Iterable[Mapping[str, Any]] = native["config"]["llm"].get("tools", ())
    found = {}
    for tool in listed:
        row = {key: value for key, value in tool.items() if key != "name"}
        if hook := hooks.get(tool["name"]):
            row[_HOOK] = {key: value for key, value in hook.items() if key != _HEADERS}
        found[tool["name"]] = row
    return found


def _merged(base: Any, mine: Any, theirs: Any) -> Any:
    if mine == base:
        return theirs
    if theirs == base or not (isinstance(mine, Mapping) and isinstance(theirs, Mapping)):
        return mine
    old = base if isinstance(base, Mapping) else {}
    found = {}
    for name in {**theirs, **mine}:
        member = [row.get(name, ABSENT) for row in (old, mine, theirs)]
        # A JSON Schema is one thing: halves of two would make none.
        value = _merged(*member) if name == _HOOK else _either(*member)
        if value is not ABSENT:
            found[name] = value
    return found


def _either(base: Any, mine: Any, theirs: Any) -> Any:
    return theirs if mine == base else mine


def _order(lead: list[str], other: Sequence[str]) -> list[str]:
    """Return all names: those of ``lead``, and each that only ``other`` has behind the one that it
    stands behind there."""
    for place, name in enumerate(other):
        if name not in lead:
            lead.insert(lead.index(other[place - 1]) + 1 if place else 0, name)
    return lead


def _say(patch: dict[str, Any], path: str, value: Any, theirs: Any) -> None:
    """Have the patch say a member only if that differs from theirs."""
    take(patch, path)
    if value != theirs:
        put(patch, path, None if value is ABSENT else value)


def _by_row(native: dict[str, Any]) -> dict[str, Any]:
    found = deepcopy(native)
    put(found, TOOLS, {tool["name"]: tool for tool in found["config"]["llm"].get("tools", ())})
    for path in CHAINS:
        put(found, path, chain_rows(at(found, path)))
    return found


def _row_path(path: str) -> str:
    """Cut a path within a tool off behind the tool's name."""
    for rows in (TOOLS, HOOKS):
        if path.startswith(f"{rows}."):
            return ".".join(path.split(".")[: rows.count(".") + 2])
    return path


def _is_within(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")
