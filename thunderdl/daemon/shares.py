"""The tasks that are whole and shared with peers, and what it takes to go on with them after a restart.

Invariants:
1. That a task is whole and shared is on the disk before anybody is told so, unless the disk takes nothing.
2. What the disk holds of a share is :data:`KEEP_S` old at most, so that after kill -9 a little more is shared than was
   asked for; after a clean stop it is exact.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping

from thunderdl.daemon.jobs import Job, State
from thunderdl.daemon.store import Store
from thunderdl.errors import StorageError
from thunderdl.model import Whole
from thunderdl.task import Task

KEEP_S = 60.0


class Shares:
    """Those that run, and those that wait to go on: no limit on downloads holds them back."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._due: set[Job] = set()
        # Where the .torrent of each is kept, "" where it is not yet.
        self._torrents: dict[Job, str] = {}
        self._fresh: set[Job] = set()
        self._kept_at = time.monotonic()

    def __len__(self) -> int:
        return len(self._torrents)

    def __contains__(self, job: Job) -> bool:
        return job in self._torrents

    def await_turn(self, job: Job) -> None:
        """It waits; where it is whole it is due at once."""
        if job.whole is not None:
            self._due.add(job)

    def due(self) -> Iterator[Job]:
        """Those that are to go on, each once."""
        while self._due:
            # It may have been paused again, or removed.
            if (job := self._due.pop()).state is State.WAITING:
                yield job

    async def begin(self, job: Job, task: Task) -> None:
        """It is whole, and shared from now on: that is on the disk when this returns."""
        # Where it cannot be kept now it is shared all the same, and tried again with :meth:`keep`.
        with contextlib.suppress(StorageError):
            if (metainfo := task.metainfo) is not None:
                job.whole = task.whole(await self._store.keep(metainfo, ".torrent"))
                await self._store.save([job])
        self.add(job)

    def add(self, job: Job) -> None:
        """It is shared from now on."""
        self._torrents[job] = job.whole.torrent if job.whole else ""
        self._fresh.add(job)

    async def keep(self, running: Mapping[Job, Task]) -> None:
        """Write down how they stand: new ones at once, all now and then."""
        jobs, self._fresh = self._fresh, set()
        if time.monotonic() - self._kept_at >= KEEP_S:
            self._kept_at, jobs = time.monotonic(), set(self._torrents)
        for job in jobs:
            task = running.get(job)
            if task is None or (metainfo := task.metainfo) is None:
                continue
            # Where it cannot be kept now it is tried again with the next look at all.
            with contextlib.suppress(StorageError):
                path = self._torrents.get(job) or await self._store.keep(metainfo, ".torrent")
                # It may have ended meanwhile.
                if job in self._torrents:
                    self._torrents[job] = path
                    job.whole = task.whole(path)
                    self._store.save_soon([job])

    def ended(self, job: Job, task: Task) -> Whole | None:
        """It has stopped: how its sharing stands, None where nobody can go on with it."""
        self._fresh.discard(job)
        path = self._torrents.pop(job, "") or (job.whole.torrent if job.whole else "")
        return (task.whole(path) if path else None) or job.whole
