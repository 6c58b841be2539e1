"""Sweeps: plain functions that a worker calls again and again.

A sweep looks for rows that need something done, so a worker that is killed loses nothing: the
next sweep finds what it left. Several workers may run at once; a sweep claims what it takes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from django.db import close_old_connections
from prometheus_client import Counter, Histogram

logger = logging.getLogger(__name__)

# Returns how many rows it dealt with, for the log and the metrics.
Work = Callable[[], int]
_Work = TypeVar("_Work", bound=Work)

HANDLED = Counter("botsconfig_sweep_rows", "Rows that sweeps dealt with.", ["sweep"])
FAILED = Counter("botsconfig_sweep_failures", "Sweeps that raised.", ["sweep"])
SECONDS = Histogram("botsconfig_sweep_seconds", "How long sweeps took.", ["sweep"])


@dataclass(frozen=True, slots=True)
class Sweep:
    """A function, and the seconds between two of its runs."""

    name: str
    every_s: float
    work: Work


_sweeps: dict[str, Sweep] = {}


def periodic(*, every_s: float, name: str) -> Callable[[_Work], _Work]:
    """Have every worker call the function again and again. Apps do so in their ``sweeps`` module.

    Raises ValueError if another function has that name.
    """

    def register(work: _Work) -> _Work:
        known = _sweeps.get(name)
        if known is not None and known.work is not work:
            raise ValueError(f"There is a sweep {name} already.")
        _sweeps[name] = Sweep(name, every_s, work)
        return work

    return register


def sweeps() -> list[Sweep]:
    """List what was registered."""
    return list(_sweeps.values())


def run(sweep: Sweep) -> int:
    """Run a sweep once. Never raises: the next one comes anyway."""
    began = time.perf_counter()
    close_old_connections()
    try:
        handled = sweep.work()
    except Exception:  # the edge of a task
        FAILED.labels(sweep.name).inc()
        logger.exception("A sweep failed", extra={"sweep": sweep.name})
        return 0
    finally:
        SECONDS.labels(sweep.name).observe(time.perf_counter() - began)
        close_old_connections()
    HANDLED.labels(sweep.name).inc(handled)
    return handled
