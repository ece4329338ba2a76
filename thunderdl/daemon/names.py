"""What the tasks that run are called, written down once it is known: after kill -9 their parts are found by it."""

from __future__ import annotations

from collections.abc import Mapping

from thunderdl.daemon.jobs import Job, how_far
from thunderdl.daemon.store import Store
from thunderdl.task import Task


class Names:
    """Of each run one look more where its name is not known yet, none afterwards."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._named: set[Task] = set()

    def keep(self, running: Mapping[Job, Task]) -> None:
        """Write down those that became known since the last time."""
        self._named.intersection_update(running.values())
        fresh = list[Job]()
        for job, task in running.items():
            if task not in self._named and (seen := task.progress()).path is not None:
                job.outcome = how_far(seen)
                self._named.add(task)
                fresh.append(job)
        self._store.save_soon(fresh)
