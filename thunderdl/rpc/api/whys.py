"""Why a task waits, or is slow: one sentence, or nothing where there is nothing to explain."""

from __future__ import annotations

import time

from thunderdl.daemon.jobs import Job, State
from thunderdl.daemon.queue import Queue
from thunderdl.engine.pacing import second_of_week
from thunderdl.model import Progress, SourceState, Status

# A source at work explains nothing: it is what should be.
_AT_WORK = (SourceState.ACTIVE,)


def why_of(queue: Queue, job: Job, progress: Progress | None) -> str:
    """The sentence. ``progress``: of one that runs."""
    if job.state is State.WAITING:
        return _why_it_waits(queue, job)
    if progress is None or progress.status is not Status.ACTIVE:
        return ""
    return _why_it_is_slow(queue, job, progress)


def _why_it_waits(queue: Queue, job: Job) -> str:
    if job.wish.not_before > time.time():
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.wish.not_before))
        return f"It is to begin at {when}."
    if not queue.rules.runs_at(second_of_week()):
        return "Outside of the hours in which downloads run."
    return ""


def _why_it_is_slow(queue: Queue, job: Job, progress: Progress) -> str:
    if any(source.state in _AT_WORK and source.rate_bytes_per_s for source in progress.sources):
        return ""
    task = queue.task(job)
    told = task.explanations() if task is not None else ()
    if not told:
        return ""
    # Of several that bring nothing the first is what the user knows it by.
    return f"{told[0].told[:1].upper()}{told[0].told[1:].rstrip('.')}."
