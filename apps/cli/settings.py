"""Which server, with which key: from options, the environment, or a profile."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from apps.cli.errors import CliError, Exit

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_PROFILE = "default"

Environ = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Target:
    """Where to, and as whom. warning: what the user should know of the key's keeping."""

    url: str
    key: str = field(repr=False)
    warning: str = ""


def target_of(given: Mapping[str, Any], environ: Environ) -> Target:
    """Find the server and the key.

    An option wins; then, if ``--profile`` names one, the profile; then the environment; then the
    profile ``default``. A profile's key goes to the profile's own URL and to no other.
    Raises CliError.
    """
    named = given.get("profile") or environ.get("BOTSCONFIG_PROFILE")
    profile, warning = _profile(named or DEFAULT_PROFILE, environ, must_exist=bool(named))
    first, second = (profile, environ) if named else (environ, profile)
    url = _url(given.get("url") or _url_in(first) or _url_in(second) or DEFAULT_URL)
    if url != _url(_url_in(profile) or DEFAULT_URL):
        first, second = environ, {}
    key = given.get("key") or _key_in(first) or _key_in(second)
    if not key:
        raise CliError(
            f"There is no key for {url}. Set BOTSCONFIG_KEY or BOTSCONFIG_KEY_FILE, or name a "
            "key_file in a profile.",
            code=Exit.NOT_AUTHORISED,
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        # Said here, because the HTTP library's own complaint would quote the key.
        raise CliError("The key holds characters that no key has.", code=Exit.NOT_AUTHORISED)
    return Target(url, key, warning)


def _url_in(source: Mapping[str, Any]) -> str:
    return str(source.get("BOTSCONFIG_URL") or source.get("url") or "")


def _key_in(source: Mapping[str, Any]) -> str:
    if key := source.get("BOTSCONFIG_KEY") or source.get("key"):
        return str(key).strip()
    file = source.get("BOTSCONFIG_KEY_FILE") or source.get("key_file")
    if not file:
        return ""
    try:
        return Path(str(file)).expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise CliError(f"The key file {file} cannot be read: {_reason(exc)}.") from None


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.username or parts.query or parts.fragment or not text.isprintable():
        # Not quoted: it may hold a password.
        raise CliError("The URL must be http(s)://host[:port][/path] and hold no password.")
    return text.rstrip("/")


def profiles_file(environ: Environ) -> Path:
    """Return where the profiles stand."""
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", "~"), ".config")
    return Path(home).expanduser() / "botsconfig.toml"


def _profile(name: str, environ: Environ, *, must_exist: bool) -> tuple[dict[str, Any], str]:
    file = profiles_file(environ)
    try:
        text = file.read_text()
        found = tomllib.loads(text).get(name)
    except FileNotFoundError:
        found = None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        # The parser's own words may quote a line with a key in it.
        raise CliError(f"{file} cannot be read: {_reason(exc)}.") from None
    if found is None and must_exist:
        raise CliError(f"{file} has no profile [{name}].")
    if found is not None and not isinstance(found, dict):
        raise CliError(f"{file}: {name} is not a section.")
    profile = found or {}
    unknown = sorted(profile.keys() - {"url", "key", "key_file"})
    if unknown:
        raise CliError(
            f"{file}, [{name}]: unknown {', '.join(unknown)}. Valid: url, key, key_file."
        )
    return profile, _exposed(file) if "key" in profile else ""


def _exposed(file: Path) -> str:
    others = stat.S_IRWXG | stat.S_IRWXO
    if os.name == "posix" and file.stat().st_mode & others:
        return f"{file} holds a key and others may read it: chmod 600 it."
    return ""


def _reason(exc: Exception) -> str:
    return str(exc.strerror) if isinstance(exc, OSError) else type(exc).__name__
