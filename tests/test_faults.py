"""docs/faults.md names a test for each fault, and each test that it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "faults.md"
FAULTS = range(1, 38)
OPEN = range(1, 9)

_NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_ALSO = re.compile(r"`::(\w+)`")
_TOKENS = re.compile(f"{_NAMED.pattern}|{_ALSO.pattern}")


def sections() -> dict[str, list[list[str]]]:
    """Return the tables by the heading that they stand under: rows of cells, without the heads."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            found.setdefault(heading, []).append(cells)
    return {heading: rows[2:] for heading, rows in found.items()}


def named(text: str) -> list[tuple[str, str]]:
    """List the tests of a cell: file and name; ``::name`` is one of the file named before it."""
    found, file = [], ""
    for match in _TOKENS.finditer(text):
        file = match[1] or file
        found.append((file, match[2] or match[3] or ""))
    return found


@cache
def names_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


def rows(heading: str) -> list[list[str]]:
    return sections()[heading]


@pytest.mark.parametrize("number", FAULTS)
def test_a_fault_is_described_and_tried(number: int) -> None:
    (found,) = [row for row in rows("Faults") if row[0] == str(number)]
    _, notices, does, tests = found
    assert notices
    assert does
    assert named(tests), "no test is named"


def test_faults_stand_in_their_order_and_once() -> None:
    assert [row[0] for row in rows("Faults")] == [str(number) for number in FAULTS]
    assert [row[0] for row in rows("Open until tried on a live account")] == [
        str(number) for number in OPEN
    ]


def test_a_fact_is_tried() -> None:
    for row in rows("Facts that we keep to"):
        assert named(row[-1]), row


def test_every_test_that_is_named_exists() -> None:
    found = named(PAGE.read_text())
    assert len(found) > 100
    missing = [
        f"{file}::{name}"
        for file, name in found
        if not (ROOT / file).is_file() or (name and name not in names_in(file))
    ]
    assert missing == []
