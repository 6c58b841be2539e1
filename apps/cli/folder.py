"""A folder of bots: YAML files, each document a body of POST /twilio-config.

A bot is known by its slug, ``metadata.slug``, in the folder and in the account alike: files may be
moved and bots renamed. A bot of the account without one is none of the folder's business.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apps.cli.documents import documents_parse, file_text, yaml_write
from apps.cli.errors import CliError
from apps.cli.secrets import secrets_kept

SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_SLUG_WORDS = "up to 100 small letters, digits, '.', '_' and '-', the first a letter or digit"
# What an answer has and a body may have; everything else in an answer follows from these.
BODY = ("name", "config", "max_duration", "metadata", "webhook_tools")
_ANSWERED = frozenset(
    ("id", "version", "status", "published_version", "latest_version", "twiml", "stream_url")
    + ("voice_url", "warnings", "created_at", "updated_at")
)


@dataclass(frozen=True, slots=True)
class FiledBot:
    """A bot as its file says. body: with ``${NAME}`` where its secrets are to be."""

    slug: str
    file: str
    body: Mapping[str, Any] = field(repr=False)


def slug_of(config: Mapping[str, Any]) -> str | None:
    """Return the slug of a body or an answer; None if it has none that counts."""
    metadata = config.get("metadata")
    slug = metadata.get("slug") if isinstance(metadata, Mapping) else None
    return slug if isinstance(slug, str) and SLUG.fullmatch(slug) else None


def folder_read(folder: Path) -> list[FiledBot]:
    """Return every bot of the folder, by slug. Raises CliError with all that is wrong."""
    if not folder.is_dir():
        raise CliError(f"{folder} is no folder.")
    bots: dict[str, FiledBot] = {}
    wrong: list[str] = []
    for file, number, body in _documents(folder):
        name = f"{file}, document {number}" if number > 1 else str(file)
        complaint = _complaint(body)
        if complaint:
            wrong.append(f"{name}: {complaint}")
            continue
        slug = str(slug_of(body))
        if slug in bots:
            wrong.append(f"{name}: metadata.slug {slug} stands in {bots[slug].file} already.")
            continue
        kept = {key: value for key, value in body.items() if key not in _ANSWERED}
        bots[slug] = FiledBot(slug, name, _prompt_first(kept))
    if wrong:
        raise CliError("The folder cannot be read; nothing was changed.", details=wrong)
    return [bots[slug] for slug in sorted(bots)]


def _documents(folder: Path) -> Iterator[tuple[Path, int, Any]]:
    files = [*folder.rglob("*.yaml"), *folder.rglob("*.yml")]
    for file in sorted(files):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.is_file() and not hidden:
            parsed = documents_parse(file_text(str(file)), str(file))
            for number, body in enumerate(parsed, start=1):
                yield file, number, body


def _complaint(body: Any) -> str:
    if not isinstance(body, Mapping):
        return "a bot is an object."
    if isinstance(body.get("config"), list):
        return "Daily Bots' form; write the native one (`botsconfig config get` shows it)."
    if slug_of(body) is None:
        return f"metadata.slug is missing or not of its form ({_SLUG_WORDS})."
    return ""


def _prompt_first(body: Mapping[str, Any]) -> dict[str, Any]:
    """Take the prompt out of the messages, as the API does."""
    config = body.get("config")
    llm = config.get("llm") if isinstance(config, Mapping) else None
    if not isinstance(config, Mapping) or not isinstance(llm, Mapping) or "prompt" in llm:
        return dict(body)
    messages = llm.get("messages")
    if not isinstance(messages, list) or not messages:
        return dict(body)
    first = messages[0]
    if not isinstance(first, Mapping) or first.get("role") != "system":
        return dict(body)
    moved = {**llm, "prompt": first.get("content"), "messages": messages[1:]}
    return {**body, "config": {**config, "llm": moved}}


def by_slug(configs: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the account's bots that have a slug. Raises CliError where two have the same."""
    found: dict[str, Mapping[str, Any]] = {}
    wrong = []
    for config in configs:
        slug = slug_of(config)
        if slug is not None and slug in found:
            wrong.append(f"metadata.slug {slug}: {found[slug]['id']} and {config['id']}")
        elif slug is not None:
            found[slug] = config
    if wrong:
        raise CliError(
            "Bots of the account share a slug; give one another. Nothing was changed.",
            details=wrong,
        )
    return found


def body_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an answer makes the same bot again. It holds no secrets."""
    body = {name: config[name] for name in BODY if name in config}
    if not body.get("webhook_tools"):
        body.pop("webhook_tools", None)
    return body


def folder_write(folder: Path, configs: Mapping[str, Mapping[str, Any]], *, force: bool) -> None:
    """Write each bot to ``<slug>.yaml``. Raises CliError before the first, or when one fails.

    force: write over files of those names; the references to secrets in them are kept.
    """
    old = {bot.slug: bot for bot in folder_read(folder)} if folder.is_dir() else {}
    wrong = []
    for slug in configs:
        file = folder / f"{slug}.yaml"
        if slug in old and old[slug].file != str(file):
            wrong.append(f"{slug} stands in {old[slug].file}")
        elif file.exists() and (not force or len(documents_parse(file_text(str(file)), "")) > 1):
            wrong.append(f"{file} is there")
    if wrong:
        hint = "Export to an empty folder" + ("." if force else ", or --force.")
        raise CliError(f"Nothing was written. {hint}", details=wrong)
    for slug, config in configs.items():
        body = body_of(config)
        if slug in old:
            body = secrets_kept(body, old[slug].body)
        _write(folder / f"{slug}.yaml", yaml_write(body))


def _write(file: Path, text: str) -> None:
    """Write all of it or nothing: an export that is cut off leaves no half a bot."""
    beside = file.with_name(f".{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, file)
    except OSError as exc:
        raise CliError(f"{file}: {exc.strerror}.") from None
