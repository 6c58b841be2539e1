"""Rows of a bot's tools: what the model may call, and the webhook that answers.

The values of a webhook's headers are secrets: the page is told their names alone. A row's headers
are named ``tools-3-header-0-name`` and so on; a stored one is kept unless a new value is given or
it is taken away. A value that was typed into a page which is shown again is not in it: the row says
``again``, and is refused until the value is typed again, or the row or the new value is given up.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.bots.tools import TIMEOUT_DEFAULT_S, TIMEOUT_LONGEST_S, TIMEOUT_SHORTEST_S
from apps.dashboard.bots.fields import YES, Complaints, Field, chosen
from apps.dashboard.bots.rows import Row, Sort, rows_entered, rows_stored
from apps.dashboard.forms import AGAIN

HEADERS = "custom_headers"
# In config.llm.tools; what else a row says stands in webhook_tools.
_OF_TOOL = ("description", "parameters")

TOOLS = Sort(
    "tools",
    "webhook_tools",
    (
        Field("name", "Name", "What the model calls it: letters, digits, _ and -."),
        Field("description", "What it does", "For the model.", widget="textarea"),
        Field(
            "parameters",
            "Parameters",
            'JSON Schema of an object, such as {"type": "object", "properties": {"day": '
            '{"type": "string"}}, "required": ["day"]}.',
            widget="json",
            rows=6,
        ),
        Field("url", "Webhook URL", "Where it is answered. Without one it is not offered."),
        Field("method", "Method", widget="choice", choices=chosen(("POST", "GET", "PUT", "PATCH"))),
        Field("streaming", "Answers with a stream of actions", widget="flag"),
        Field(
            "timeout_secs",
            "Time for the answer (seconds)",
            widget="number",
            minimum=TIMEOUT_SHORTEST_S,
            maximum=TIMEOUT_LONGEST_S,
            placeholder=f"{TIMEOUT_DEFAULT_S:g}",
        ),
        Field("filler", "Said while it waits", "Empty: what the bot says while any tool runs."),
    ),
    also=(HEADERS,),
)

_HEADER = re.compile(r"tools-(\d{1,6})-header-(\d{1,6})-(name|value|stored|gone|again|keep)")


@dataclass(frozen=True, slots=True)
class Header:
    """A header as it was entered. stored: under this name there is a value already. again: a value
    was typed that is in the page no more. keep: it is given up for the stored one."""

    number: str
    name: str
    value: str = field(default="", repr=False)
    stored: bool = False
    gone: bool = False
    again: bool = False
    keep: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether the page that shows it lacks a value that was typed and is still wanted."""
        return (self.again or bool(self.value)) and not (self.gone or self.keep)

    @property
    def is_missing(self) -> bool:
        """Whether it cannot be saved for want of a value."""
        return not (self.value or self.gone) and (self.is_lost or not self.stored)

    def errors(self, base: str, complaints: Complaints) -> tuple[str, ...]:
        """Return what is said at its value, in a page that it is shown in once more."""
        return complaints.of(f"{base}-{self.number}-value") or ((AGAIN,) if self.is_lost else ())


@dataclass(slots=True)
class Tools:
    """The rows of tools with their headers, by the rows' numbers."""

    rows: list[Row]
    headers: Mapping[str, Sequence[Header]]
    # By a stored tool's name: the names of its headers.
    header_names: Mapping[str, Sequence[str]]

    def with_headers(self) -> Iterator[tuple[Row, Sequence[Header]]]:
        for row in self.rows:
            yield row, self.headers.get(row.number, ())


def tools_stored(native: Mapping[str, Any], header_names: Mapping[str, Sequence[str]]) -> Tools:
    """Return a bot's tools as they are stored."""
    rows = rows_stored(TOOLS, _flat(native))
    headers = {
        row.number: [
            Header(str(number), name, stored=True)
            for number, name in enumerate(header_names.get(row.name, ()))
        ]
        for row in rows
    }
    return Tools(rows, headers, header_names)


def tools_entered(
    native: Mapping[str, Any],
    data: Mapping[str, str],
    header_names: Mapping[str, Sequence[str]],
) -> Tools:
    """Return a bot's tools as they were entered over the stored ones."""
    rows = rows_entered(TOOLS, data, _flat(native))
    entered: dict[str, dict[str, dict[str, str]]] = {}
    for key, text in data.items():
        if form := _HEADER.fullmatch(key):
            entered.setdefault(form[1], {}).setdefault(form[2], {})[form[3]] = text
    headers = {
        row.number: list(_headers(entered.get(row.number, {}), header_names.get(row.was, ())))
        for row in rows
    }
    return Tools(rows, headers, header_names)


def _headers(entered: Mapping[str, Mapping[str, str]], stored: Sequence[str]) -> Iterator[Header]:
    for number, texts in entered.items():
        name = texts.get("name", "").strip()
        is_stored = texts.get("stored") == YES and name in stored
        if name or texts.get("value") or texts.get("again"):
            said = (texts.get(name) == YES for name in ("gone", "again", "keep"))
            yield Header(number, name, texts.get("value", ""), is_stored, *said)


def _flat(native: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    hooks = native["webhook_tools"]
    return {
        tool["name"]: {
            **{name: value for name, value in tool.items() if name != "name"},
            **hooks.get(tool["name"], {}),
        }
        for tool in native["config"]["llm"].get("tools", [])
    }


def tools_value(
    tools: Tools, complaints: Complaints
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return what the rows say: ``config.llm.tools`` and ``webhook_tools``.

    A hook's ``custom_headers`` hold what is entered, and None for what is to go.
    """
    listed, hooks = [], {}
    for row in tools.rows:
        value = row.value(complaints)
        listed.append({"name": row.name, **{k: value[k] for k in _OF_TOOL if k in value}})
        hook = {name: inner for name, inner in value.items() if name not in _OF_TOOL}
        if hook.get("url"):
            headers = _headers_value(row, tools, complaints)
            hooks[row.name] = {**hook, **({HEADERS: headers} if headers else {})}
        elif any(header.is_lost for header in tools.headers.get(row.number, ())):
            complaints.add(row.control("url"), ["Where are its headers to be sent?"])
    return listed, hooks


def _headers_value(row: Row, tools: Tools, complaints: Complaints) -> dict[str, str | None]:
    if row.texts.get("url") != row.stored.get("url") and headers_kept(row, tools):
        # They would be dropped: what was meant for one address is not sent to another.
        why = "The address is new: give each header's value again, or take the header away."
        complaints.add(row.control(HEADERS), [why])
    found: dict[str, str | None] = {}
    for header in tools.headers.get(row.number, ()):
        if header.gone:
            if header.stored:
                found[header.name] = None
        elif not header.name:
            complaints.add(row.control(HEADERS), ["A header needs a name."])
        elif header.is_missing:
            why = AGAIN if header.again else "Give its value."
            complaints.add(f"{row.header_base}-{header.number}-value", [why])
        elif header.value:
            found[header.name] = header.value
    return found


def headers_kept(row: Row, tools: Tools) -> list[str]:
    """The stored headers that a row keeps as they are."""
    headers = tools.headers.get(row.number, ())
    return [one.name for one in headers if one.stored and not one.gone and not one.value]


def headers_moved(
    tools: Tools,
    patch: dict[str, Any],
    stored: Mapping[str, Mapping[str, str]],
    hooks: Container[str],
) -> None:
    """Let tools whose hooks begin anew keep their headers: under another name, or put back where
    somebody took them away. stored: the headers by a tool's name. hooks: those that are there."""
    for row in tools.rows:
        hook = patch.get("webhook_tools", {}).get(row.name)
        if not row.was or not isinstance(hook, dict) or (row.was == row.name and row.was in hooks):
            continue
        old = stored.get(row.was, {})
        kept = {name: old[name] for name in headers_kept(row, tools) if name in old}
        if kept:
            hook[HEADERS] = {**kept, **hook.get(HEADERS, {})}
