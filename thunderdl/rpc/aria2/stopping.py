"""Tasks that are being stopped: whoever asks after ``pause`` or ``remove`` was answered is told that it has happened.

A client that asks once would show the wrong state for good. aria2 1.36 has stopped by the request that follows; only
after ``pauseAll`` and ``forcePauseAll`` it says "active" for about a second (measured: 0.6 to 0.9 s). Its status, lists
and counts agree at every moment: to tell early what is to come would set ours against each other, so it is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from thunderdl.daemon.jobs import Job, State
from thunderdl.rpc.aria2.session import Session

# What does not stop for so long is told as running, as aria2 does, and not waited for again: a stop takes a few
# milliseconds, a trackerless or dead swarm's 20 (measured), a disk that hangs any time.
STOP_S = 2.0
_STOPPING = (State.PAUSED, State.REMOVED)


async def looked_at(session: Session, gid: str) -> Job:
    """The task of that gid, for a method that tells of it. Raises Refused."""
    job = session.job(gid)
    await stopped(session, [job])
    return job


async def stopped(session: Session, jobs: Iterable[Job]) -> None:
    """Wait a moment for those of them that are being paused or removed."""
    session.slow = {job for job in session.slow if job.leaving in _STOPPING}
    ends = {
        task.over: job
        for job in jobs
        if job.leaving in _STOPPING and job not in session.slow and (task := session.queue.task(job)) is not None
    }
    if ends:
        _, late = await asyncio.wait(ends, timeout=STOP_S)
        session.slow.update(ends[over] for over in late)


async def left(session: Session, job: Job, state: State) -> None:
    """Of one that is on its way to that state, wait until it is there.

    Of aria2 what was removed or paused has stopped by the next call; aria2p removes and removes the result in a row,
    and drops the fault.
    """
    task = session.queue.task(job)
    if task is not None and job.leaving is state:
        await task.outcome()
