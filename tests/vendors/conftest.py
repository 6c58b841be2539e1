"""The conformance suite's table: which adapter passed which case, printed at the end of a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.providers import connections
from tests.vendors.subjects import EARS, MODELS, SPEAKERS, VOICES

IDS = {subject.id for subject in (*MODELS, *VOICES, *EARS, *SPEAKERS)}
_SIGNS = {"passed": "ok", "failed": "FAIL", "skipped": "-"}


@pytest.fixture(autouse=True)
async def _connections_closed() -> AsyncIterator[None]:
    """Each test has its own event loop, and closes what was opened on it."""
    yield
    await connections.aclose()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print provider x case for every conformance test that ran."""
    tables: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for outcome, sign in _SIGNS.items():
        for report in terminalreporter.stats.get(outcome, []):
            place, _, case = report.nodeid.partition("::test_")
            name, _, variant = case.rstrip("]").partition("[")
            found = max((id_ for id_ in IDS if id_ in variant), key=len, default="")
            if "/test_every_" not in place or not found:
                continue
            key = f"{name} {variant.replace(found, '').strip(':- ')}".strip()
            suite = place.rpartition("/test_every_")[2].removesuffix(".py")
            tables[suite][key][found.partition("-")[2]] = sign
    for suite, cases in sorted(tables.items()):
        providers = sorted({provider for row in cases.values() for provider in row})
        terminalreporter.write_sep("=", f"conformance: {suite}")
        width = max(len(name) for name in cases)
        terminalreporter.write_line(" " * width + "  " + "  ".join(providers))
        for name, row in cases.items():
            signs = "  ".join(row.get(p, "").center(len(p)) for p in providers)
            terminalreporter.write_line(f"{name.replace('_', ' '):{width}}  {signs}")
