"""Where in the editor a complaint of the API's belongs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from apps.dashboard.bots.rows import place_in
from apps.dashboard.bots.toolrows import TOOLS

if TYPE_CHECKING:
    from apps.dashboard.bots.form import BotForm

_TOOL = "config.llm.tools"


def place(path: str, texts: Sequence[str], form: BotForm, controls: Collection[str]) -> None:
    """Show a complaint at its control, or the nearest one above it; else on top, with its path."""
    name = path
    while name:
        if name in controls:
            form.complaints.add(name, texts)
            return
        name = name.rpartition(".")[0]
    if not _in_rows(path, texts, form):
        form.complaints.homeless.extend((path, text) for text in texts)


def _in_rows(path: str, texts: Sequence[str], form: BotForm) -> bool:
    for chain in form.chains.values():
        listed = None if form.listed is None else form.listed[chain.sort.path]
        if chain.place(path, texts, form.complaints, listed):
            return True
    if path.startswith(f"{_TOOL}."):
        return _in_tools(path[len(_TOOL) + 1 :], texts, form)
    for sort, rows in ((TOOLS, form.tools.rows), *form.sorts.items()):
        if path.startswith(f"{sort.path}."):
            return place_in(rows, path[len(sort.path) + 1 :], texts, form.complaints)
    return False


def _in_tools(rest: str, texts: Sequence[str], form: BotForm) -> bool:
    position, _, inner = rest.partition(".")
    row = form.tool_at(int(position)) if position.isdigit() else None
    if row is None:
        return False
    form.complaints.add(row.control(row.sort.place_of(inner)), texts)
    return True
