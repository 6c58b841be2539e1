"""The conformance suite's table: which adapter passed which case, printed at the end of a run.

A plugin rather than a conftest: where tests run in several processes, the one that prints collects
none of them.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

_SIGNS = {"passed": "ok", "failed": "FAIL", "skipped": "-"}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print provider x case for every conformance test that ran."""
    # Not before: the process that only hands tests out to others has no settings yet.
    from tests.vendors.subjects import EARS, MODELS, SPEAKERS, VOICES

    ids = {subject.id for subject in (*MODELS, *VOICES, *EARS, *SPEAKERS)}
    tables: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for outcome, sign in _SIGNS.items():
        for report in terminalreporter.stats.get(outcome, []):
            place, _, case = report.nodeid.partition("::test_")
            name, _, variant = case.rstrip("]").partition("[")
            found = max((id_ for id_ in ids if id_ in variant), key=len, default="")
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
