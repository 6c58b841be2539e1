"""The lanes in which local models run: one at a time, bounded, and safe to walk away from."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from apps.providers.workers import Lane, LaneFull


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane("test", backlog=2)
    yield lane
    lane.shutdown()


async def test_it_returns_what_the_job_returns(lane: Lane) -> None:
    assert await lane.run(divmod, 7, 2) == (3, 1)
    assert lane.idle


async def test_it_raises_what_the_job_raises(lane: Lane) -> None:
    with pytest.raises(ZeroDivisionError):
        await lane.run(divmod, 1, 0)
    assert lane.idle


async def test_it_runs_in_a_named_thread_of_its_own(lane: Lane) -> None:
    name = await lane.run(lambda: threading.current_thread().name)
    assert name.startswith("local-test")


async def test_it_refuses_more_than_its_backlog(lane: Lane) -> None:
    release = threading.Event()
    jobs = [asyncio.ensure_future(lane.run(release.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(LaneFull):
        await lane.run(len, "")
    release.set()
    assert await asyncio.gather(*jobs) == [True, True]


async def test_a_job_withdrawn_before_its_turn_never_runs(lane: Lane) -> None:
    release = threading.Event()
    ran: list[int] = []
    first = asyncio.ensure_future(lane.run(release.wait))
    second = asyncio.ensure_future(lane.run(ran.append, 1))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    release.set()
    await first
    await lane.run(len, "")
    assert ran == []


async def test_a_running_job_ends_undisturbed_when_its_caller_is_cancelled(lane: Lane) -> None:
    started, release, ended = threading.Event(), threading.Event(), threading.Event()

    def job() -> None:
        started.set()
        release.wait()
        ended.set()

    waiting = asyncio.ensure_future(lane.run(job))
    await asyncio.to_thread(started.wait, 5)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    release.set()
    assert await asyncio.to_thread(ended.wait, 5)
    assert await lane.run(len, "abc") == 3


async def test_it_starts_anew_after_a_shutdown(lane: Lane) -> None:
    await lane.run(len, "")
    lane.shutdown()
    assert await lane.run(len, "abc") == 3


async def test_a_job_that_a_shutdown_withdraws_fails_instead_of_cancelling_who_waits(
    lane: Lane,
) -> None:
    started, release = threading.Event(), threading.Event()

    def job() -> None:
        started.set()
        release.wait(5)

    running = asyncio.ensure_future(lane.run(job))
    await asyncio.to_thread(started.wait, 5)
    waiting = asyncio.ensure_future(lane.run(len, ""))
    await asyncio.sleep(0)
    ending = asyncio.ensure_future(asyncio.to_thread(lane.shutdown))
    with pytest.raises(RuntimeError, match="shut down"):
        await waiting
    release.set()
    await asyncio.gather(running, ending)
