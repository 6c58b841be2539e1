"""A page of documentation for each provider, made of its declarations and its prices.

Says nothing of the server that it is made on, so that the same code makes the same pages anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from apps.providers import prices, registry
from apps.providers.addresses import ADDRESS
from apps.providers.base import KINDS, Declaration, Kind, Option
from apps.providers.key_checks import KEY_CHECKS
from apps.providers.prices import Price

INDEX = "README.md"
COMMAND = "manage.py provider_pages"

_SLOTS: Mapping[Kind, str] = {
    "stt": "Speech to text",
    "llm": "Language model",
    "tts": "Text to speech",
}
_BILLED = {
    "tokens": "by token",
    "characters": "by character",
    "stream": "by the minute of the call, speech or not",
    "speech": "by the minute of the caller's speech",
}
_UNITS = {
    "prompt": "prompt",
    "cached_prompt": "from the cache",
    "cache_write": "into the cache",
    "completion": "completion",
    "audio_prompt": "sound in",
    "cached_audio_prompt": "sound from the cache",
    "audio_completion": "sound out",
    "characters": "a million characters",
    "audio_minute": "a minute of audio",
    "stream_minute": "a minute of the call",
    "speech_minute": "a minute of speech",
}


def pages() -> dict[str, str]:
    """Return every page's text by its file name, the index among them."""
    named: dict[str, list[Declaration]] = {}
    for found in registry.catalogue(test_providers=False):
        named.setdefault(found.name, []).append(found)
    for slots in named.values():
        slots.sort(key=lambda found: KINDS.index(found.kind))
    made = {f"{name}.md": _page(slots) for name, slots in sorted(named.items())}
    return {INDEX: _index([found for slots in named.values() for found in slots]), **made}


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


# --- the index ------------------------------------------------------------------------------------


def _index(declarations: Sequence[Declaration]) -> str:
    return _text(_index_lines(declarations))


def _index_lines(declarations: Sequence[Declaration]) -> Iterator[str]:
    yield "# Providers"
    yield ""
    yield f"Made by `{COMMAND}` from the code that validates configs; nobody edits these pages."
    yield "[Adding a provider](../adding-a-provider.md) says how one comes to be here."
    yield ""
    yield "What stands in brackets is an extra of the package. `make run` has installed `local`,"
    yield "`openai` and `anthropic`; `make extra-aws` adds another, at the versions of the lock."
    for kind in KINDS:
        rows = [
            (f"[`{found.name}`]({found.name}.md)", found.title, _needs(found), _state(found))
            for found in sorted(declarations, key=lambda found: found.name)
            if found.kind == kind
        ]
        yield from ("", f"## {_SLOTS[kind]} (`{kind}`)", "")
        yield from _table(("provider", "", "needs", ""), rows)


def _needs(found: Declaration) -> str:
    needs = ["a key"] if found.needs_key and not found.key_optional else []
    needs += [f"`[{found.extra}]`"] if found.extra else []
    return ", ".join([*needs, *(f"`{name}`" for name in found.environment)]) or "nothing"


def _state(found: Declaration) -> str:
    if found.closed:
        return "closed"
    return "" if found.factory else "no adapter in this release"


# --- a page ---------------------------------------------------------------------------------------


def _page(slots: Sequence[Declaration]) -> str:
    return _text(_page_lines(slots))


def _page_lines(slots: Sequence[Declaration]) -> Iterator[str]:
    yield f"# {slots[0].title}" if len(slots) == 1 else f"# {slots[0].name}"
    yield ""
    yield f"Made by `{COMMAND}`; nobody edits it. All providers: [index]({INDEX})."
    for found in slots:
        name = "" if len(slots) == 1 else f": {found.title}"
        yield from ("", f"## {_SLOTS[found.kind]}{name}", "")
        yield from _slot_lines(found)


def _slot_lines(found: Declaration) -> Iterator[str]:
    yield found.description
    if found.closed:
        yield from ("", f"**Closed.** {found.closed}")
    elif not found.factory:
        yield from (
            "",
            "**No adapter in this release**: a config may name it, calls are not taken.",
        )
    yield ""
    yield f'- In a config: `"{found.kind}": {{"provider": "{found.name}"}}`'
    yield f"- To install: {_install(found)}"
    yield from _key(found)
    if found.billing in _BILLED:
        yield f"- Billed {_BILLED[found.billing]}"
    for name, part in (
        ("Models", _models(found)),
        ("Voices", _voices(found)),
        ("Options", _options(found)),
        ("What it cannot do", (f"- {limit}" for limit in found.limits)),
        ("Prices", _prices(found)),
    ):
        lines = list(part)
        if lines:
            yield from ("", f"### {name}", "", *lines)
    if found.source:
        yield from ("", f"Written from: {found.source}.")


def _install(found: Declaration) -> str:
    parts = [f"`pip install 'botsconfig[{found.extra}]'`"] if found.extra else []
    parts += [f"`{name}` in the server's environment" for name in found.environment]
    return "; ".join(parts) or "nothing"


def _key(found: Declaration) -> Iterator[str]:
    if not found.needs_key:
        yield "- Key: none"
        return
    when = ", if the server asks for one" if found.key_optional else ""
    bound = f', "{ADDRESS}": "…"' if found.option(ADDRESS) else ""
    yield (
        f'- Key{when}: `PUT /credentials/{found.name}` with `{{"api_key": "…"{bound}}}` for the '
        "account, "
        f'or `"api_keys": {{"{found.name}": "…"}}` in a bot'
    )
    if bound:
        yield (
            f"- The account's key is sent to the server of its `{ADDRESS}` alone (scheme, host and "
            "port); a bot's own is dropped when the bot's changes, unless it comes with the change"
        )
    if found.name in KEY_CHECKS:
        yield f"- Is the key good? `POST /credentials/{found.name}/test`"


def _models(found: Declaration) -> Iterator[str]:
    names = [f"`{name}`" for name in found.models]
    if names:
        yield ", ".join(names) + ("" if not found.open_models else "; other names are passed on")
    elif found.open_models:
        yield "Any name is passed on."
    default = found.default_model or next(iter(found.models), "")
    if default and found.factory:
        yield ""
        yield f"Without one: `{default}`"


def _voices(found: Declaration) -> Iterator[str]:
    rows = [(f"`{voice.id}`", voice.name, voice.language) for voice in found.voices]
    if rows:
        yield from _table(("id", "name", "language"), rows)
    if found.open_voices:
        yield from ("", "Other voices are passed on.") if rows else ("Any id is passed on.",)


def _options(found: Declaration) -> Iterator[str]:
    rows = [
        (f"`{option.name}`", _type(option), _default(option), option.description)
        for option in found.options
    ]
    if rows:
        yield from _table(("option", "takes", "default", ""), rows)


def _type(option: Option) -> str:
    return option.expects() + (", or a number" if option.numeric else "")


def _default(option: Option) -> str:
    return "" if option.default is None else f"`{option.default}`"


def _prices(found: Declaration) -> Iterator[str]:
    kinds: tuple[Kind, ...] = ("llm", "stt") if found.speaks else (found.kind,)
    lines = [line for kind in kinds for line in prices.listed(kind, found.name, {})]
    if not lines:
        yield "Unknown, and so is what calls cost; an operator's `PRICES` can tell."
        return
    if all(line.free for line in lines):
        yield from dict.fromkeys(f"None. {line.note}" for line in lines)
        return
    yield "USD; tokens by the million. An operator's own `PRICES` come first."
    for origin in dict.fromkeys(map(_origin, lines)):
        yield from ("", *_price_table([line for line in lines if _origin(line) == origin]))
        yield from ("", origin)


def _origin(line: Price) -> str:
    note = f" {line.note}" if line.note else ""
    return f"Read on {line.read} at <{line.source}>.{note}"


def _price_table(lines: Sequence[Price]) -> Iterator[str]:
    units = [unit for unit in _UNITS if any(unit in line.usd for line in lines)]
    rows = [(_any(line), *(_cost(line, unit) for unit in units)) for line in lines]
    yield from _table(("model", *(_UNITS[unit] for unit in units)), rows)


def _cost(line: Price, unit: str) -> str:
    if not line.usd:
        return "unknown"
    return str(line.usd[unit]) if unit in line.usd else ""


def _any(line: Price) -> str:
    return "any" if line.model == prices.ANY else f"`{line.model}`"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _row(head)
    yield _row(["---"] * len(head))
    for row in rows:
        yield _row(row)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
