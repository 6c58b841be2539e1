"""The editor's form: from a bot's stored body to controls, and from what was entered to a patch.

The form starts from the stored body and changes only what somebody changed: a control whose text
is as it was written leaves its member alone, and what has no control stays. What was entered is
checked where the API checks it; its complaints come back by path and are shown at the control.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from apps.bots.slots import declaration
from apps.core.changes import ABSENT
from apps.dashboard.bots import parts
from apps.dashboard.bots.chains import chain_of
from apps.dashboard.bots.fields import (
    YES,
    Complaints,
    Field,
    Shown,
    Unreadable,
    entered,
    null_refuse,
    text_of,
    value_of,
)
from apps.dashboard.bots.merging import at, difference, put
from apps.dashboard.bots.parts import SLOTS
from apps.dashboard.bots.placing import place
from apps.dashboard.bots.rows import (
    TRANSFERS,
    VARIABLES,
    Row,
    Sort,
    by_name,
    names_check,
    rows_entered,
    rows_stored,
)
from apps.dashboard.bots.together import LISTS, rebased
from apps.dashboard.bots.together import TOOLS as TOOLS_PATH
from apps.dashboard.bots.toolrows import Tools, tools_entered, tools_stored, tools_value
from apps.providers.base import Kind

# What stays of a slot whose provider changes; see ``apps.bots.document.native_patch``.
STAYS = ("prompt", "messages", "tools", "language", "fallbacks")
FILLER = "config.lines.filler"


@dataclass(slots=True)
class Stored:
    """What the form was written from. native: the bot's body. header_names: of its tools' stored
    headers, by tool."""

    native: Mapping[str, Any]
    header_names: Mapping[str, Sequence[str]] = field(default_factory=dict)


class BotForm:
    """A bot's editor as it was written, or, with ``data``, as it came back.

    catalogue: the providers, as ``catalogue_present`` has them for the bot's account.
    """

    def __init__(
        self,
        stored: Stored,
        catalogue: Sequence[Mapping[str, Any]],
        data: Mapping[str, str] | None = None,
    ) -> None:
        self.stored = stored
        self.catalogue = catalogue
        self.data = data
        self.complaints = Complaints()
        self.sorts = {sort: self._rows(sort) for sort in (VARIABLES, TRANSFERS)}
        self.tools = self._tools()
        self.chains = {kind: chain_of(kind, stored.native, catalogue, data) for kind in SLOTS}
        # What the patch makes the bot, as far as complaints name it by position.
        self.listed: Mapping[str, Any] | None = None

    # --- what is shown ---

    def text(self, field: Field) -> str:
        """What stands in a control."""
        written = self._written(field)
        if self.data is None:
            return written
        if field.widget == "flag":
            return self.data.get(field.path, "")
        return entered(self.data.get(field.path, written))

    def shown(self, *fields: Field) -> list[Shown]:
        return [Shown(field, self.text(field), self.complaints.of(field.path)) for field in fields]

    def provider(self, kind: Kind) -> str:
        """The provider that is chosen for a slot."""
        path = f"config.{kind}.provider"
        stored = str(self._base(kind)["provider"])
        return stored if self.data is None else self.data.get(path, stored)

    def slot(self, kind: Kind) -> tuple[Field, ...]:
        """The fields of a slot, for the provider that is chosen."""
        provider = self.provider(kind)
        stored = self._base(kind)
        stays = stored if provider == stored["provider"] else {}
        return parts.slot_fields(kind, declaration(kind, provider), stays)

    def rows(self, sort: Sort) -> list[Row]:
        return self.sorts[sort]

    # --- what was entered ---

    def body(self) -> dict[str, Any]:
        """Return the native body that was entered; what cannot be read is complained of."""
        wanted: dict[str, Any] = deepcopy(dict(self.stored.native))
        for slot in SLOTS:
            self._slot_apply(slot, wanted)
            self.chains[slot].apply(wanted, self.complaints)
        self._apply(wanted, parts.FIXED)
        self._filler_apply(wanted)
        for sort, rows in self.sorts.items():
            names_check(rows, self.complaints)
            put(wanted, sort.path, by_name(rows, self.complaints))
        names_check(self.tools.rows, self.complaints)
        listed, hooks = tools_value(self.tools, self.complaints)
        put(wanted, "config.llm.tools", listed)
        wanted["webhook_tools"] = hooks
        return wanted

    def patch(self, theirs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the merge patch (RFC 7396) that makes the stored body the entered one.

        theirs: the body that it is to be merged over instead, which somebody made of the stored
        one meanwhile. What they changed stays, unless it was changed here too.
        """
        wanted = self.body()
        base = deepcopy(dict(self.stored.native))
        for slot in SLOTS:
            old, new = base["config"][slot], wanted["config"][slot]
            if old["provider"] != new["provider"]:
                # The merge begins this slot afresh, so the patch must say all of it.
                base["config"][slot] = {name: old[name] for name in STAYS if name in old}
        found: dict[str, Any] = difference(base, wanted)
        if theirs is not None:
            found = rebased(found, self.stored.native, wanted, theirs)
            self.listed = {path: _said(path, found, theirs) for path in LISTS}
        return found

    def tool_at(self, position: int) -> Row | None:
        """Return the row that a tool is entered in, by its position in the patched body."""
        rows = self.tools.rows
        if self.listed is not None:
            names = [tool["name"] for tool in self.listed[TOOLS_PATH]]
            name = names[position] if position < len(names) else None
            return next((row for row in rows if row.name == name), None)
        return rows[position] if position < len(rows) else None

    def refuse(self, fields: Mapping[str, Sequence[str]]) -> None:
        """Show the API's complaints where they belong. fields: by path."""
        controls = {field.path for field in self._fields()}
        for path, texts in fields.items():
            place(path, texts, self, controls)

    # --- inside ---

    def _fields(self) -> Iterator[Field]:
        yield from parts.FIXED
        for kind in SLOTS:
            yield parts.provider_field(kind, self.catalogue)
            yield from self.slot(kind)

    def _base(self, kind: Kind) -> Mapping[str, Any]:
        slot: Mapping[str, Any] = self.stored.native["config"][kind]
        return slot

    def _written(self, field: Field) -> str:
        if field is parts.SILENT_FILLER:
            return YES if at(self.stored.native, FILLER) == "" else ""
        if self._begins_afresh(field):
            return ""
        return entered(text_of(field.widget, at(self.stored.native, field.path)))

    def _begins_afresh(self, field: Field) -> bool:
        """Whether it is of a slot whose provider changed, and says nothing of the new one."""
        _, slot, name = [*field.path.split("."), "", ""][:3]
        for kind in SLOTS:
            if slot == kind and name not in STAYS and name != "provider":
                return bool(self.provider(kind) != self._base(kind)["provider"])
        return False

    def _slot_apply(self, kind: Kind, wanted: dict[str, Any]) -> None:
        slot = wanted["config"][kind]
        if self.provider(kind) != slot["provider"]:
            slot = {name: slot[name] for name in STAYS if name in slot}
            slot["provider"] = self.provider(kind)
            wanted["config"][kind] = slot
        # Controls that were made for another provider say nothing of this one.
        if self.data is None or self.data.get(f"for.{kind}", slot["provider"]) == slot["provider"]:
            self._apply(wanted, self.slot(kind))

    def _apply(self, wanted: dict[str, Any], fields: Sequence[Field]) -> None:
        for each in fields:
            text = self.text(each)
            if text == self._written(each):
                continue
            try:
                value = value_of(each.widget, text)
                null_refuse(value)
                put(wanted, each.path, value)
            except Unreadable as exc:
                self.complaints.add(each.path, [str(exc)])

    def _filler_apply(self, wanted: dict[str, Any]) -> None:
        """An empty control means the usual sentence; that nothing is said is said beside it."""
        if self.data is None:
            return
        silent = self.data.get(parts.SILENT_FILLER.path) == YES
        new_text = self.text(_FILLER) != self._written(_FILLER)
        if silent and not (new_text and self.text(_FILLER).strip()):
            put(wanted, FILLER, "")
        elif at(wanted, FILLER) == "":
            put(wanted, FILLER, ABSENT)

    def _rows(self, sort: Sort) -> list[Row]:
        stored = at(self.stored.native, sort.path)
        known = {} if stored is ABSENT else stored
        if self.data is None:
            # By name: PostgreSQL keeps no order of an object's members.
            return rows_stored(sort, dict(sorted(known.items())))
        return rows_entered(sort, self.data, known)

    def _tools(self) -> Tools:
        native, names = self.stored.native, self.stored.header_names
        if self.data is None:
            return tools_stored(native, names)
        return tools_entered(native, self.data, names)


def _said(path: str, patch: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Any]:
    """Return a list as it will be: as the patch has it, or theirs."""
    value = at(patch, path)
    if value is ABSENT:
        value = at(theirs, path)
    return value if isinstance(value, list) else []


_FILLER = next(field for field in parts.OTHER_LINES if field.path == FILLER)
