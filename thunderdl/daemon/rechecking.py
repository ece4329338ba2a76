"""A task whose bytes are read back and checked again: one that runs at once, one that stopped when it goes on, one that
is complete by the checksum that it was found right by."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from thunderdl.daemon.events import What
from thunderdl.daemon.jobs import Job, Outcome, State
from thunderdl.daemon.queue import NoSuchTask, NotNow, Queue
from thunderdl.daemon.unwaited import unwaited
from thunderdl.errors import BadContent, UsageError, printable
from thunderdl.formats.hashes import parse_checksum
from thunderdl.model import Digest
from thunderdl.verify import hash_file

_UNCHANGED = "checked again: it is as it was"


async def recheck(queue: Queue, job: Job) -> None:
    """Check it again. Raises NotNow where nothing can be checked, BadContent where a complete file is another one now,
    NoSuchTask where it was forgotten meanwhile, StorageError."""
    task = queue.task(job)
    if task is not None:
        if not task.recheck():
            raise NotNow(f"{job.gid}: it is whole, and being shared.")
    elif job.state is State.COMPLETE:
        await _recheck_file(queue, job)
    else:
        before, wish = job.wish, replace(job.wish, options={**job.wish.options, "verify_resumed": "yes"})
        if not job.state.has_ended:
            await queue.change(job, wish)
            return
        job.wish = wish
        try:
            await queue.retry(job)
        except NotNow:
            job.wish = before
            raise


async def _recheck_file(queue: Queue, job: Job) -> None:
    outcome = job.outcome
    digest = next(filter(None, map(_digest, outcome.verified)), None) if outcome else None
    if outcome is None or outcome.path is None or digest is None:
        raise NotNow(f"{job.gid}: no checksum of the whole file was known, so there is nothing to check it with.")
    found = await unwaited("thunderdl-recheck", partial(hash_file, outcome.path, digest.algorithm))
    if not digest.covers(found):
        raise BadContent(outcome.path, str(digest), printable(str(found)))
    notes = outcome.notes if _UNCHANGED in outcome.notes else (*outcome.notes, _UNCHANGED)
    await _amend(queue, job, replace(outcome, notes=notes))


async def _amend(queue: Queue, job: Job, outcome: Outcome) -> None:
    """More is known of how it ended. It may have been forgotten meanwhile: then nobody is told."""
    job.outcome = outcome
    await queue.store.amend(job)
    if not await queue.store.has_any([job.gid]):
        raise NoSuchTask(job.gid)
    queue.events.publish(What.CHANGED, job)


def _digest(text: str) -> Digest | None:
    """The checksum of ``sha256=hex``; None for one of the pieces."""
    try:
        return parse_checksum(text)
    except (UsageError, ValueError):
        return None
