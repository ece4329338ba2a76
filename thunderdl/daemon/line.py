"""The order of the tasks that wait, those that are paused among them. Pure.

Invariants: ranks are strictly ascending; a task that leaves the line to run keeps its rank, so that it comes back to
where it stood. Ranks are floats so that a move writes one task, not all that it passes; where there is no number left
between two neighbours, all of them are numbered anew and told.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from thunderdl.daemon.jobs import Job, State

_STEP = float(1 << 20)


class Whence(enum.Enum):
    """From where a position is counted."""

    START = "POS_SET"
    HERE = "POS_CUR"
    END = "POS_END"


def place_of(whence: Whence, position: int, here: int, count: int) -> int:
    """The index in a line of ``count`` to which a move leads; kept within the line, as aria2 does."""
    base = {Whence.START: 0, Whence.HERE: here, Whence.END: count - 1}[whence]
    return max(0, min(count - 1, base + position))


class Line:
    """Tasks in the order in which they will begin. ``changed``: those whose rank was not their own."""

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self._jobs = sorted(jobs, key=_rank)
        # One that ran keeps its rank, and another one may have got it since; after a crash both are in line.
        is_right = _ascends(None, [job.rank for job in self._jobs], None)
        self.changed: Sequence[Job] = () if is_right else self._number_anew()
        # Whether all are known to be paused: of 100,000 to look at each took 30 ms, every second.
        self._is_asleep = False

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)

    def __getitem__(self, part: slice) -> Sequence[Job]:
        return self._jobs[part]

    def index(self, job: Job) -> int:
        """Where it stands, from 0. ValueError where it does not."""
        found = bisect_left(self._jobs, job.rank, key=_rank)
        if found < len(self._jobs) and self._jobs[found] is job:
            return found
        raise ValueError(job.gid)

    def first(self, may_begin: Callable[[Job], bool]) -> Job | None:
        """The next that waits and may begin."""
        if self._is_asleep:
            return None
        self._is_asleep = True
        for job in self._jobs:
            if job.state is State.WAITING:
                self._is_asleep = False
                if may_begin(job):
                    return job
        return None

    def wake(self) -> None:
        """One that is in line waits again."""
        self._is_asleep = False

    def come_back(self, job: Job) -> Sequence[Job]:
        """Let it stand where its rank says; those whose rank changed."""
        at = bisect_left(self._jobs, job.rank, key=_rank)
        if at < len(self._jobs) and self._jobs[at].rank == job.rank:
            return self.insert([job], at)
        self._jobs.insert(at, job)
        self.wake()
        return ()

    def remove(self, job: Job) -> None:
        """Take it out; it keeps its rank. ValueError where it is not in line."""
        del self._jobs[self.index(job)]

    def insert(self, jobs: Sequence[Job], at: int | None = None) -> Sequence[Job]:
        """Put new ones in at an index, else at the end; those whose rank changed, the new ones among them."""
        count = len(self._jobs)
        at = count if at is None else max(0, min(count, at))
        below = self._jobs[at - 1].rank if at else None
        above = self._jobs[at].rank if at < count else None
        ranks = list(_between(below, above, len(jobs)))
        self._jobs[at:at] = jobs
        if any(job.state is State.WAITING for job in jobs):
            self.wake()
        if not _ascends(below, ranks, above):
            return self._number_anew()
        for job, rank in zip(jobs, ranks, strict=True):
            job.rank = rank
        return jobs

    def move(self, job: Job, to: int) -> Sequence[Job]:
        """Put it at an index of the line; those whose rank changed."""
        self.remove(job)
        return self.insert([job], to)

    def end_of(self, is_before: Callable[[Job], bool]) -> int:
        """The index behind the last one of which that is true."""
        return next((at + 1 for at in range(len(self._jobs) - 1, -1, -1) if is_before(self._jobs[at])), 0)

    def _number_anew(self) -> Sequence[Job]:
        for number, job in enumerate(self._jobs):
            job.rank = number * _STEP
        return self._jobs


def _rank(job: Job) -> float:
    return job.rank


def _between(below: float | None, above: float | None, count: int) -> Iterator[float]:
    if below is None:
        first = 0.0 if above is None else above - count * _STEP
        return (first + number * _STEP for number in range(count))
    if above is None:
        return (below + (number + 1) * _STEP for number in range(count))
    return (below + (above - below) * (number + 1) / (count + 1) for number in range(count))


def _ascends(below: float | None, ranks: Sequence[float], above: float | None) -> bool:
    every = [each for each in (below, *ranks, above) if each is not None]
    return all(left < right for left, right in pairwise(every))
