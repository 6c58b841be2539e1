"""A bot's secrets in its file: where they stand, and ``${NAME}`` for the environment's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from apps.cli.errors import CliError

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

Text = Callable[[str], str]


def secrets_filled(body: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the body with every ``${NAME}`` of its secrets filled in.

    Only api_keys and webhook_tools.*.custom_headers are looked at: a prompt may say ``${NAME}``.
    Raises CliError, which names all variables that are not set or empty.
    """
    missing: set[str] = set()

    def fill(text: str) -> str:
        missing.update(name for name in _REFERENCE.findall(text) if not environ.get(name))
        return _REFERENCE.sub(lambda found: environ.get(found[1], ""), text)

    filled = _mapped(body, fill)
    if missing:
        names = ", ".join(sorted(missing))
        raise CliError(f"Not set in the environment, but named by ${{…}}: {names}.")
    return filled


def secrets_dropped(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body without its secrets, which the API never answers."""
    shown = deepcopy({name: value for name, value in body.items() if name != "api_keys"})
    for tool in _tools(shown).values():
        tool.pop("custom_headers", None)
    return shown


def secrets_kept(body: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body with the secrets of ``old``, a body of the same bot with its references."""
    kept = deepcopy(dict(body))
    if "api_keys" in old:
        kept["api_keys"] = old["api_keys"]
    before = _tools(old)
    for name, tool in _tools(kept).items():
        if "custom_headers" in before.get(name, {}):
            tool["custom_headers"] = before[name]["custom_headers"]
    return kept


def secrets_named(body: Mapping[str, Any]) -> list[str]:
    """Return the paths of the secrets that a body brings."""
    keys = body.get("api_keys")
    paths = [f"api_keys.{name}" for name in keys] if isinstance(keys, Mapping) else []
    headed = (name for name, tool in _tools(body).items() if "custom_headers" in tool)
    return paths + [f"webhook_tools.{name}.custom_headers" for name in headed]


def _mapped(body: Mapping[str, Any], fill: Text) -> dict[str, Any]:
    filled = deepcopy(dict(body))
    places = [filled.get("api_keys")]
    places += [tool.get("custom_headers") for tool in _tools(filled).values()]
    for place in places:
        if isinstance(place, dict):
            for name, value in place.items():
                if isinstance(value, str):
                    place[name] = fill(value)
    return filled


def _tools(body: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    tools = body.get("webhook_tools")
    if not isinstance(tools, Mapping):
        return {}
    return {name: tool for name, tool in tools.items() if isinstance(tool, dict)}
