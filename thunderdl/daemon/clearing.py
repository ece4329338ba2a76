"""A task removed together with what is there of its file: what it has saved, or the part and journal of it.

Invariants: only files below the roots, through no link; of a folder only what the torrent names, and the folder itself
where nothing else is in it; what another task is at work on stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from thunderdl.daemon.jobs import Job, State
from thunderdl.daemon.places import folder_of, inside
from thunderdl.daemon.queue import NotNow, Queue
from thunderdl.errors import printable
from thunderdl.storage.files import journal_path, lock, part_path, storage_fault


class _Found(NamedTuple):
    """``saved``: files under their final names; ``folder``: the one they are in, None for a single file; ``begun``: the
    final name of what is not whole, None where it is."""

    saved: Sequence[str] = ()
    folder: str | None = None
    begun: str | None = None


async def remove_with_files(queue: Queue, job: Job) -> None:
    """Stop it for good, or forget it where it has ended, and remove what is there. Raises NotNow for a folder of which
    nobody knows any more what belongs to it (nothing happens then), StorageError."""
    found = await _found(queue, job)
    if job.state.has_ended:
        await queue.forget([job])
    else:
        task = queue.task(job)
        await queue.remove(job)
        if task is not None:
            await task.outcome()
    await asyncio.to_thread(_remove, found, tuple(queue.rules.roots))


async def _found(queue: Queue, job: Job) -> _Found:
    task = queue.task(job)
    if task is not None:
        return _Found(begun=task.progress().path)
    outcome = job.outcome
    if outcome is None or not outcome.name:
        return _Found()
    if job.state is not State.COMPLETE or outcome.path is None:
        return _Found(begun=os.path.join(folder_of(job.wish, queue.rules), outcome.name))
    if not await asyncio.to_thread(os.path.isdir, outcome.path):
        return _Found(saved=[outcome.path])
    return _Found(await _listed(queue, job, outcome.path), outcome.path)


async def _listed(queue: Queue, job: Job, folder: str) -> Sequence[str]:
    """The files of a folder, by the torrent that is kept of it."""
    if not queue.store.is_document(job.wish.url):
        raise NotNow(f"{printable(folder)} is a folder whose list of files is not kept; remove it by hand.")
    torrent = await queue.client.torrent(job.wish.url)
    return [os.path.join(folder, file.path.partition("/")[2] or file.path) for file in torrent.files]


def _remove(found: _Found, roots: Sequence[str]) -> None:
    for path in found.saved:
        _unlink(path, roots)
    if found.folder is not None:
        _remove_empty(found.folder, found.saved)
    if found.begun is not None:
        part = part_path(found.begun)
        if _is_folder(part):
            inside(part, roots)
            _locked_folder_removed(part)
        else:
            _unlink(part, roots, is_locked=True)
            _unlink(journal_path(part), roots)


def _unlink(path: str, roots: Sequence[str], *, is_locked: bool = False) -> None:
    """Remove a plain file. One that is not there, or is no plain file, is left."""
    inside(os.path.dirname(path), roots)
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return
        if is_locked:
            with _held(path):
                os.unlink(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise storage_fault(path, error) from error


@contextlib.contextmanager
def _held(path: str) -> Iterator[None]:
    """Nobody else is at work on it meanwhile. Raises TargetLocked, OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        lock(path, fd)
        yield
    finally:
        os.close(fd)


def _locked_folder_removed(path: str) -> None:
    try:
        with _held(path):
            shutil.rmtree(path)
    except OSError as error:
        raise storage_fault(path, error) from error


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _remove_empty(folder: str, files: Iterable[str]) -> None:
    """The folders of those files, the deepest first, where nothing is left in them."""
    below = {os.path.dirname(path) for path in files}
    for path in list(below):
        while len(path) > len(folder):
            below.add(path := os.path.dirname(path))
    for path in sorted(below, key=len, reverse=True):
        with contextlib.suppress(OSError):
            os.rmdir(path)
