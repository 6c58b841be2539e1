"""What may depend on what, beyond the layers that import-linter checks."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

APPS = Path(__file__).parents[1] / "apps"
MAY_USE = {
    "voice": {"numpy", "soxr"},
    "telephony": {"twilio", "orjson"},
    "cli": {"click", "httpx", "rich", "yaml"},
}


def roots_of(package: str) -> set[str]:
    found = set()
    for file in (APPS / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("package", sorted(MAY_USE))
def test_a_pure_package_uses_the_standard_library_and_little_else(package: str) -> None:
    others = roots_of(package) - sys.stdlib_module_names - {"apps"}
    assert others <= MAY_USE[package]


@pytest.mark.parametrize("file", sorted(APPS.rglob("*.py")), ids=lambda file: file.stem)
def test_every_module_says_what_it_is_for(file: Path) -> None:
    if "migrations" in file.parts:
        return
    text = file.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text))


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "helpers", "manager", "handler", "common", "misc"}
    assert not [file for file in APPS.rglob("*.py") if file.stem in empty]
