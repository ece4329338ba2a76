"""A queue of a test: its folders, its rules, and waiting for what should come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from thunderdl.daemon.jobs import Job
from thunderdl.daemon.queue import Queue
from thunderdl.daemon.rules import Rules
from thunderdl.options import Options
from thunderdl.timetable import Timetable

LIMIT_S = 30.0


def rules_of(folder: Path, **changes: object) -> Rules:
    """Saves below ``folder/out``; tries nothing twice and looks for no checksum files."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    settled = {"dir": str(out), "retries": 0, "timeout": 5.0, "checksum_files": False, "dht": False, "lsd": False}
    return Rules(base=Options(**{**settled, **changes}), roots=(str(out),))  # type: ignore[arg-type]


@asynccontextmanager
async def running(folder: Path, **changes: object) -> AsyncIterator[Queue]:
    """A queue whose state is in ``folder/state``, the one of before where there was one."""
    state = folder / "state"
    async with asyncio.timeout(LIMIT_S), Queue(str(state), rules_of(folder, **changes)).running() as queue:
        yield queue


def hold(queue: Queue) -> None:
    """Have it begin nothing: no hour is one of its."""
    queue.rules = replace(queue.rules, hours=Timetable((), None))


async def until(reached: Callable[[], object]) -> None:
    """Wait for it; the limit of :func:`running` ends a vain wait."""
    while not reached():  # noqa: ASYNC110 - what is waited for sets no event
        await asyncio.sleep(0.005)


async def ended(*jobs: Job) -> None:
    await until(lambda: all(job.state.has_ended for job in jobs))
