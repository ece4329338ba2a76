"""A task removed together with what is there of its file: what it has saved, or the part and journal of it.

Invariants: only files below the roots, through no link; of a folder only what the torrent names, and the folder itself
where nothing else is in it; what is another task's stays: a file is what this one saved, a part what it began.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import NamedTuple

from thunderdl.daemon.claims import is_claimed
from thunderdl.daemon.jobs import Job, State
from thunderdl.daemon.places import folder_of, inside
from thunderdl.daemon.queue import MOST_ENDED, NotNow, Queue
from thunderdl.engine.offers import METALINK_PREFIX
from thunderdl.errors import JournalUnusable, StorageError, ThunderdlError, UsageError, printable, without_userinfo
from thunderdl.formats.links import is_magnet
from thunderdl.storage.files import journal_path, lock, part_path, storage_fault
from thunderdl.storage.journal import read_header
from thunderdl.task import Task


class _Found(NamedTuple):
    """``saved``: files under their final names; ``folder``: the one they are in, None for a single file; ``begun``: the
    final name of what is not whole, None where it is; ``names``: what its journal may call it, empty for anything;
    ``is_wanted``: whether others would have that name, too, so that only what is known to be this one's goes."""

    saved: Sequence[str] = ()
    folder: str | None = None
    begun: str | None = None
    names: Set[str] = frozenset()
    is_wanted: bool = False


async def remove_with_files(queue: Queue, job: Job) -> None:
    """Stop it for good, or forget it where it has ended, and remove what is there. Raises NotNow for a folder of which
    nobody knows any more what belongs to it (nothing happens then), StorageError.

    The files first: where the disk is full there is no room before for what is to be written.
    """
    task = queue.task(job)
    # Of one that runs it is known when it has stopped: until then it may get its name, or become whole.
    found = await _found(queue, job) if task is None or task.is_sharing else None
    with queue.reserving([job.gid]):
        has_ended = job.state.has_ended
        is_written = has_ended or await _stop(queue, job)
        if found is None:
            found = await _found(queue, job, task)
        await asyncio.to_thread(_remove, found, tuple(queue.rules.roots))
        if has_ended or job.state is State.COMPLETE:
            await queue.forget([job])
        elif not is_written:
            await queue.store.save([job])


async def _stop(queue: Queue, job: Job) -> bool:
    """Stop it for good; whether that is on the disk."""
    task = queue.task(job)
    is_written = True
    try:
        await queue.remove(job)
    except StorageError:
        is_written = False
    if task is not None:
        await task.outcome()
    return is_written


async def _found(queue: Queue, job: Job, ran: Task | None = None) -> _Found:
    """``ran``: what ran of it until now."""
    task, outcome = ran or queue.task(job), job.outcome
    if task is not None and job.state is not State.COMPLETE:
        path = task.progress().path
        return await _saved(queue, job, path) if task.is_sharing and path else _begun(queue, job, path)
    if job.whole is not None:
        return await _saved(queue, job, job.whole.path)
    if outcome is None or not outcome.name:
        return _Found()
    if job.state is State.COMPLETE and outcome.path is not None:
        return await _saved(queue, job, outcome.path)
    return _begun(queue, job, _path_of(queue, job, outcome.name))


def _path_of(queue: Queue, job: Job, name: str) -> str:
    """Where it is to be saved. A name that was asked for, or that a metalink gives, may have folders of its own."""
    asked_for = str(job.wish.options.get("out") or job.wish.name)
    return os.path.join(folder_of(job.wish, queue.rules), os.path.dirname(asked_for), name)


async def _saved(queue: Queue, job: Job, path: str) -> _Found:
    inside(os.path.dirname(path), queue.rules.roots)
    is_folder = await asyncio.to_thread(os.path.isdir, path)
    if not await _is_its_own(queue, job, path, is_folder=is_folder):
        return _Found()
    if not is_folder:
        return _Found(saved=[path])
    return _Found(await _listed(queue, job, path), path)


async def _is_its_own(queue: Queue, job: Job, path: str, *, is_folder: bool) -> bool:
    """Whether what is there is what this task saved, not what another one did after somebody had moved it away."""
    if job.claim is None:
        # It saved nothing: what is there was there before (exists=skip).
        return False
    if await asyncio.to_thread(is_claimed, job.claim, path):
        return True
    if not is_folder:
        return False
    # A folder changes with each file that somebody puts into it, and may have been there before.
    known = [*queue.ended(), *await queue.history(os.path.basename(path), most=MOST_ENDED)]
    return not any(other.gid != job.gid and other.outcome and other.outcome.path == path for other in known)


def _begun(queue: Queue, job: Job, path: str | None) -> _Found:
    if path is None:
        return _Found()
    others = [each for each in (*queue.active(), *queue.waiting()) if each != job and _is_at(queue, each, path)]
    # Of a document what it names is begun, and of a magnet what it stands for.
    is_named = not queue.store.is_document(job.wish.url) and not is_magnet(job.wish.url)
    names = _names(job) - {name for other in others for name in _names(other)} if is_named else set()
    return _Found(begun=path, names=names, is_wanted=bool(others))


def _names(job: Job) -> Set[str]:
    return set(map(without_userinfo, job.wish.urls))


def _is_at(queue: Queue, other: Job, path: str) -> bool:
    """Whether that one, which has not ended, is at work on that file, or goes on with it."""
    if (task := queue.task(other)) is not None:
        return task.progress().path == path
    if other.outcome is None or other.outcome.name != os.path.basename(path):
        return False
    try:
        return _path_of(queue, other, other.outcome.name) == path
    except UsageError:
        return False


async def _listed(queue: Queue, job: Job, folder: str) -> Sequence[str]:
    """The files of a folder, by the torrent that is kept of it."""
    document = job.whole.torrent if job.whole is not None else job.wish.url
    not_kept = NotNow(f"{printable(folder)} is a folder whose list of files is not kept; remove it by hand.")
    if not queue.store.is_document(document):
        raise not_kept
    try:
        torrent = await queue.client.torrent(document)
    except ThunderdlError:
        # Somebody has removed or damaged it.
        raise not_kept from None
    from thunderdl.engine.collection import chosen_files

    # Of the others somebody else may have put there what has their names: another task of the same torrent.
    wanted = chosen_files(torrent, queue.rules.options_of(job.wish).files)
    return [os.path.join(folder, file.path.partition("/")[2] or file.path) for file in wanted]


def _remove(found: _Found, roots: Sequence[str]) -> None:
    for path in found.saved:
        _unlink(path, roots)
    if found.folder is not None:
        _remove_empty(found.folder, found.saved)
    if found.begun is not None:
        part = part_path(found.begun)
        if _is_folder(part):
            if found.is_wanted:
                return
            inside(part, roots)
            _locked_folder_removed(part)
        elif _is_begun_by(found, journal_path(part)):
            _unlink(part, roots, is_locked=True)
            _unlink(journal_path(part), roots)


def _is_begun_by(found: _Found, journal: str) -> bool:
    try:
        told = read_header(journal)
    except (JournalUnusable, StorageError):
        return not found.is_wanted
    if not found.names:
        return not found.is_wanted
    return not found.names.isdisjoint((told.url.removeprefix(METALINK_PREFIX), *told.mirrors))


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
