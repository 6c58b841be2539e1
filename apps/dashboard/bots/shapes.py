"""What the editor's template is given: the form in parts, ready to be written out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.bots.variables import BUILT_IN
from apps.dashboard.bots import parts
from apps.dashboard.bots.fields import Shown
from apps.dashboard.bots.form import BotForm
from apps.dashboard.bots.rows import TRANSFERS, VARIABLES, Row, Sort
from apps.dashboard.bots.toolrows import HEADERS, TOOLS, Header
from apps.providers.base import Kind

# What a new row is numbered until the page numbers it.
BLANK = "__n__"
_TITLES: Mapping[Kind, tuple[str, str]] = {
    "llm": ("Language model", "Thinks of what to say."),
    "tts": ("Voice", "Says it."),
    "stt": ("Ears", "Write down what callers say."),
}
_FIRST = frozenset(("model", "voice", "language"))


@dataclass(frozen=True, slots=True)
class SlotShown:
    """A slot. key: ``own``, ``account``, ``missing`` or empty where none is needed. more: options
    beyond the first; is_open: one of them is set or wrong."""

    kind: Kind
    title: str
    help: str
    provider: Shown
    found: Mapping[str, Any] | None
    key: str
    first: list[Shown]
    more: list[Shown]
    is_open: bool
    chain: ChainShown


@dataclass(frozen=True, slots=True)
class ChainShown:
    """Who takes over for a slot. errors: of the chain as a whole."""

    sort: str
    rows: list[RowShown]
    blank: RowShown
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeaderShown:
    """A tool's header, and what is wrong with its value."""

    header: Header
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowShown:
    """A row. complaints: those of the row that stand at no column."""

    row: Row
    columns: list[Shown]
    headers: list[HeaderShown]
    complaints: tuple[str, ...] = ()

    @property
    def has_errors(self) -> bool:
        inner: list[Shown | HeaderShown] = [*self.columns, *self.headers]
        return bool(self.complaints) or any(one.errors for one in inner)


def slot_shown(form: BotForm, kind: Kind, own_keys: Iterable[str]) -> SlotShown:
    """Return a slot as the template writes it. own_keys: providers the bot brings a key for."""
    provider = form.shown(parts.provider_field(kind, form.catalogue))[0]
    found = next(
        (
            one
            for one in form.catalogue
            if one["kind"] == kind and one["name"] == form.provider(kind)
        ),
        None,
    )
    shown = form.shown(*form.slot(kind))
    first = [one for one in shown if one.field.path.rpartition(".")[2] in _FIRST]
    more = [one for one in shown if one not in first]
    is_open = any(one.errors for one in more)
    title, help = _TITLES[kind]
    key = _key(found, own_keys)
    chain = chain_shown(form, kind)
    return SlotShown(kind, title, help, provider, found, key, first, more, is_open, chain)


def chain_shown(form: BotForm, kind: Kind) -> ChainShown:
    """Return who takes over for a slot as the template writes it."""
    chain, complaints = form.chains[kind], form.complaints
    rows = [RowShown(row, list(row.shown(complaints)), []) for row in chain.rows]
    blank = row_blank(form, chain.sort)
    return ChainShown(chain.sort.prefix, rows, blank, complaints.of(chain.sort.prefix))


def _key(found: Mapping[str, Any] | None, own_keys: Iterable[str]) -> str:
    if found is None:
        return ""
    if found["name"] in own_keys:
        return "own"
    if found["has_key"]:
        return "account"
    return "missing" if found["needs_key"] else ""


def rows_shown(form: BotForm, sort: Sort) -> list[RowShown]:
    """Return the rows of a sort as the template writes them."""
    if sort is TOOLS:
        return [
            RowShown(
                row,
                list(row.shown(form.complaints)),
                [HeaderShown(one, one.errors(row.header_base, form.complaints)) for one in headers],
                form.complaints.of(row.control(HEADERS)),
            )
            for row, headers in form.tools.with_headers()
        ]
    return [RowShown(row, list(row.shown(form.complaints)), []) for row in form.rows(sort)]


def row_blank(form: BotForm, sort: Sort) -> RowShown:
    """Return a row that the page copies for a new one."""
    row = Row(sort, BLANK, {})
    return RowShown(row, list(row.shown(form.complaints)), [])


def form_shown(form: BotForm, own_keys: Iterable[str]) -> dict[str, Any]:
    """Return the whole form in the editor's parts."""
    own_keys = list(own_keys)
    others, turns, more = (
        form.shown(*parts.OTHER_LINES, parts.SILENT_FILLER),
        form.shown(*parts.TURNS),
        form.shown(*parts.MORE),
    )
    return {
        "form": form,
        "name": form.shown(parts.NAME)[0],
        "prompt": form.shown(parts.PROMPT)[0],
        "greeting": form.shown(*parts.GREETING),
        "slots": [slot_shown(form, kind, own_keys) for kind in parts.SLOTS],
        "turns": turns,
        "turns_open": _any_wrong(turns),
        "failure_lines": form.shown(*parts.FAILURE_LINES),
        "other_lines": others,
        "other_open": _any_wrong(others),
        "recording": form.shown(*parts.RECORDING),
        "limits": form.shown(*parts.LIMITS),
        "more": more,
        "more_open": _any_wrong(more),
        "tools": rows_shown(form, TOOLS),
        "variables": rows_shown(form, VARIABLES),
        "transfers": rows_shown(form, TRANSFERS),
        "blanks": [row_blank(form, sort) for sort in (TOOLS, VARIABLES, TRANSFERS)],
        "blank_header": HeaderShown(Header(BLANK, "")),
        "built_in": " ".join(BUILT_IN),
    }


def _any_wrong(shown: Iterable[Shown]) -> bool:
    return any(one.errors for one in shown)
