"""Reads and writes YAML and JSON so that nothing changes its meaning on the way.

YAML as of 1.2: ``no`` is a text, 12:30 is not 750, a date stays a text; a member named twice is
an error. (YAML 1.2.2, 10.3.2, without octal, hexadecimal and infinite numbers.)
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from apps.cli.errors import CliError

_TAG = "tag:yaml.org,2002:"
_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?",
        list("-+.0123456789"),
    ),
)


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars above and no others."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for name_node, _ in node.value:
            name = self.construct_object(name_node)
            if not isinstance(name, str):
                raise yaml.constructor.ConstructorError(
                    None, None, "a member's name must be a text; quote it", name_node.start_mark
                )
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{name} is named twice", name_node.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes what either version of YAML would take for something else."""


for _name, _pattern, _first in _SCALARS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), _first)


def _number(kind: type[int] | type[float]) -> Any:
    def construct(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | float:
        return kind(str(loader.construct_scalar(node)))

    return construct


_Loader.add_constructor(_TAG + "int", _number(int))
_Loader.add_constructor(_TAG + "float", _number(float))


# Line ends to YAML 1.1, which PyYAML would fold into others: written as escapes.
_RARE_BREAKS = frozenset("\r\x85\u2028\u2029")


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None
    if _RARE_BREAKS & set(value):
        style = '"'
    return dumper.represent_scalar(_TAG + "str", value, style=style)


_Dumper.add_representer(str, _text)


def yaml_write(value: Any) -> str:
    """Return a value as YAML: members in their order, long texts as blocks."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, indent=2
    )
    return text


def documents_parse(text: str, name: str) -> list[Any]:
    """Return every document of a YAML or JSON text. Raises CliError that names file and place."""
    try:
        # JSON is YAML but for its escaped surrogates and a few other corners.
        if name.endswith(".json"):
            return [json.loads(text)]
        found = list(yaml.load_all(text, Loader=_Loader))  # a SafeLoader
    except json.JSONDecodeError as exc:
        raise CliError(f"{name}, line {exc.lineno}: not JSON: {exc.msg}.") from None
    except yaml.MarkedYAMLError as exc:
        # Its own words quote the line, which may hold a secret.
        mark = exc.problem_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise CliError(f"{name}{line}: not YAML: {exc.problem}.") from None
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise CliError(f"{name}: not YAML: {type(exc).__name__}.") from None
    return [document for document in found if document is not None]


def file_text(name: str) -> str:
    """Return a file's text; ``-`` is standard input. Raises CliError."""
    try:
        if name == "-":
            return sys.stdin.read()
        return Path(name).read_text(encoding="utf-8")
    except OSError as exc:
        raise CliError(f"{name}: {exc.strerror}.") from None
    except UnicodeDecodeError:
        raise CliError(f"{name}: not UTF-8.") from None


def object_read(name: str) -> Mapping[str, Any]:
    """Return the one object that a file holds. Raises CliError."""
    found = documents_parse(file_text(name), name)
    if len(found) != 1 or not isinstance(found[0], Mapping):
        raise CliError(f"{name}: one object is wanted, and there is something else.")
    return found[0]
