"""The tasks and settings on the disk: rows of the database, and the documents that tasks came from.

Invariant: what could not be written is kept in mind and written again; whoever asked for it is told at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Set
from concurrent.futures import Future
from typing import Any

from thunderdl.daemon import records
from thunderdl.daemon.database import Database, Statement
from thunderdl.daemon.jobs import Job, State, Text
from thunderdl.errors import StorageError, TargetLocked, printable
from thunderdl.options import Exists
from thunderdl.storage.files import AGAIN, ensure_folder, lock, storage_fault, sync_folder, write_small

# Fails where the gid is there already, be it one of long ago that nobody has at hand; to ask before each add would cost
# those with gids of our own, too.
_ADD = f"INSERT INTO job ({','.join(records.COLUMNS)}) VALUES ({','.join('?' * len(records.COLUMNS))})"
_TAKE_BACK = "DELETE FROM job WHERE gid = ? AND added_at = ?"
_ARE_THERE = "SELECT count(*) FROM job WHERE gid IN (SELECT value FROM json_each(?))"
_SET = "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
# What may name a document. First what nearly always does, each once (0.06 s of 100,000 that all do; all that they wish
# took 0.4 s), then all that is wished of any. By their names alone: in JSON a folder's may be written otherwise.
_NAMING = (
    "SELECT DISTINCT url FROM job WHERE instr(url, '/documents/') "
    "UNION ALL SELECT whole FROM job WHERE ended_at IS NULL AND whole IS NOT NULL",
    "SELECT wish FROM job WHERE instr(wish, '/documents/')",
)
_NAME = re.compile(r"[0-9a-f]{32}\.(?:torrent|meta4)")
_DOCUMENT = re.compile(f"/documents/({_NAME.pattern})")


class Store:
    """``folder``: where all of it lies; ``notes``: what the user should know of what was read."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.notes: list[str] = []
        self._prefix = os.path.join(folder, "documents", "")
        # The folder, open: who has it locked owns what is in it.
        self._lock = -1
        self._database = Database(os.path.join(folder, "queue.sqlite"))
        self._reader = records.Reader()
        # Those that could not be written.
        self._unsaved: set[Job] = set()

    async def open(self) -> None:
        """Raises UsageError for what is not ours to read, StorageError, TargetLocked where another daemon has it."""
        self._lock = await asyncio.to_thread(_locked, self.folder)
        try:
            await self._database.open()
        except BaseException:
            os.close(self._lock)
            raise
        self.notes += self._database.notes

    async def close(self) -> None:
        """Write what is left, and close it."""
        with contextlib.suppress(StorageError):
            await self.save(self._unsaved)
        await self._database.close()
        os.close(self._lock)

    # -- tasks

    async def open_jobs(self) -> list[Job]:
        """Those that have not ended."""
        return await self._read(records.OPEN)

    async def ended_jobs(
        self, text: str = "", *, before: float = float("inf"), most: int = 100, state: State | None = None
    ) -> list[Job]:
        """Those that ended, the newest first, whose name or link holds ``text``. Raises StorageError."""
        pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        sql = (
            f"{records.ENDED} AND ended_at < ? AND (name LIKE ? ESCAPE '\\' OR url LIKE ? ESCAPE '\\') "
            "AND (? IS NULL OR state = ?) ORDER BY ended_at DESC LIMIT ?"
        )
        named = state.value if state is not None else None
        return await self._read(sql, before, pattern, pattern, named, named, most)

    async def job(self, gid: str) -> Job | None:
        """The task of that name as it is on the disk, for one that ended long ago. Raises StorageError.

        None for one that has not ended there: its end could not be written yet, and nothing runs of what would be made.
        """
        return next((job for job in await self._read(records.ONE, gid) if job.state.has_ended), None)

    async def count_ended(self) -> int:
        """How many have ended and are not forgotten. Raises StorageError."""
        (count,) = (await asyncio.wrap_future(self._database.read(records.COUNT_ENDED)))[0]
        return int(count)

    async def has_any(self, gids: Iterable[str]) -> bool:
        """Whether a task of one of those names is on the disk. Raises StorageError."""
        (count,) = (await asyncio.wrap_future(self._database.read(_ARE_THERE, json.dumps(list(gids)))))[0]
        return bool(count)

    def write(self, jobs: Iterable[Job], new: Iterable[Job] = ()) -> Future[None]:
        """Done once they are on the disk; for any thread. ``new``: those whose gids nothing on the disk has, else
        nothing is written. Fails with StorageError."""
        changed, added = ([records.row_of(job) for job in each] for each in (jobs, new))
        return self._database.write(Statement(_ADD, added), Statement(records.SAVE, changed))

    async def save(self, jobs: Iterable[Job], new: Iterable[Job] = ()) -> None:
        """They are on the disk when this returns. Raises StorageError; they are written again later then."""
        jobs, new = list(jobs), list(new)
        try:
            await asyncio.wrap_future(self.write(jobs, new))
        except StorageError:
            self._unsaved.update(jobs, new)
            raise

    async def amend(self, job: Job) -> None:
        """Write its outcome where it is on the disk still: one that was forgotten stays so. Raises StorageError."""
        await asyncio.wrap_future(self._database.write(Statement(records.AMEND, [records.amended(job)])))

    def save_soon(self, jobs: Iterable[Job] = ()) -> None:
        """Write them, and what could not be written before; nobody waits for it."""
        jobs = {*jobs, *self._unsaved}
        if jobs:
            self._unsaved.difference_update(jobs)
            saving = asyncio.wrap_future(self.write(jobs))
            saving.add_done_callback(lambda done: self._unsaved.update(jobs) if done.exception() else None)

    async def forget(self, jobs: Iterable[Job]) -> None:
        """Strike them out. Raises StorageError."""
        jobs = list(jobs)
        await self._struck(set(jobs), Statement(records.FORGET, [(job.gid,) for job in jobs]))

    async def _struck(self, jobs: Set[Job], statement: Statement) -> None:
        """Those are not written meanwhile, and afterwards only where they could not be struck out."""
        held = self._unsaved & jobs
        self._unsaved -= held
        try:
            await asyncio.wrap_future(self._database.write(statement))
        except StorageError:
            self._unsaved |= held
            raise
        # A write that was on the way may have failed, too.
        self._unsaved -= jobs

    def take_back(self, jobs: Iterable[Job]) -> None:
        """Strike out those that nobody was told are there, whether they are on the disk or on the way to it."""
        jobs = list(jobs)
        self._unsaved.difference_update(jobs)
        # Not the task of long ago whose gid they were refused for.
        self._database.write(Statement(_TAKE_BACK, [(job.gid, job.added_at) for job in jobs]))

    async def forget_ended(self) -> None:
        """Strike out all that ended. Raises StorageError."""
        jobs = {job for job in self._unsaved if job.state.has_ended}
        await self._struck(jobs, Statement(records.FORGET_ENDED, [()]))

    def share(self, options: Mapping[str, Text]) -> Mapping[str, Text]:
        """The same options as one object for all that have them."""
        return self._reader.share(options)

    async def _read(self, sql: str, *values: object) -> list[Job]:
        found = await asyncio.wrap_future(self._database.read_each(self._job_of, sql, *values))
        return [job for job in found if job is not None]

    def _job_of(self, row: tuple[Any, ...]) -> Job | None:
        try:
            return self._reader.job_of(row)
        except ValueError as error:
            gid = printable(str(row[0]))[:40]
            self.notes.append(f"the task {gid} cannot be read and is left out: {printable(str(error))}.")
            return None

    # -- settings and documents

    async def settings(self) -> dict[str, str]:
        """JSON by name."""
        return dict(await asyncio.wrap_future(self._database.read("SELECT name, value FROM setting")))

    async def save_settings(self, settings: Mapping[str, str]) -> None:
        """Raises StorageError."""
        await asyncio.wrap_future(self._database.write(Statement(_SET, list(settings.items()))))

    async def keep(self, document: bytes, suffix: str) -> str:
        """Keep a torrent (``.torrent``) or metalink (``.meta4``) that came from outside: a path that a wish may name,
        as its URL. Raises StorageError."""
        name = hashlib.sha256(document).hexdigest()[:32] + suffix
        path = self._prefix + name
        await asyncio.to_thread(_put, path, document)
        return path

    async def forget_documents(self) -> None:
        """Remove those that no task names: its task was forgotten, or somebody only looked into it. Only before
        anybody adds one. Raises StorageError."""
        unnamed = await asyncio.to_thread(_documents_of, self.folder)
        for sql in _NAMING:
            if unnamed:
                named = self._database.read_each(lambda row: unnamed.difference_update(_DOCUMENT.findall(row[0])), sql)
                await asyncio.wrap_future(named)
        if unnamed:
            await asyncio.to_thread(_remove_each, [self._prefix + name for name in unnamed])

    def is_document(self, path: str) -> bool:
        """Whether it names one that :meth:`keep` has made."""
        return path.startswith(self._prefix) and "/" not in path[len(self._prefix) :]


def _make_private(folder: str) -> None:
    """Make a folder where it is absent, for this user alone. Raises StorageError."""
    ensure_folder(os.path.dirname(folder))
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
    except OSError as error:
        raise storage_fault(folder, error) from error


def _locked(folder: str) -> int:
    """The folder, made where it is absent, and locked. Raises StorageError, TargetLocked."""
    try:
        _make_private(folder)
    except StorageError as error:
        raise StorageError(error.path, error.reason, error.advice.replace("--dir", "--state")) from None
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise storage_fault(folder, error) from error
    try:
        lock(folder, fd)
    except TargetLocked as error:
        os.close(fd)
        reason = error.reason.replace("is at work on it", "runs with it")
        raise TargetLocked(folder, f"another daemon, {reason}", "stop that one, or choose another --state") from None
    except OSError as error:
        os.close(fd)
        raise storage_fault(folder, error) from error
    return fd


def _documents_of(folder: str) -> set[str]:
    """Names of those that are kept. None where a damaged database is set aside: what it tells of may be wanted yet."""
    try:
        if any(name.startswith("queue.sqlite.damaged-") for name in os.listdir(folder)):
            return set()
        return {name for name in os.listdir(os.path.join(folder, "documents")) if _NAME.fullmatch(name)}
    except OSError:
        return set()


def _remove_each(paths: Iterable[str]) -> None:
    """Those that cannot be removed stay until the next time."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _put(path: str, data: bytes) -> None:
    try:
        # Torrents of private trackers hold the keys of who may fetch them.
        _make_private(os.path.dirname(path))
        write_small(path, data, Exists.OVERWRITE)
        sync_folder(os.path.dirname(path))
    except StorageError as error:
        # Nothing of it is kept, and no task goes on from there.
        advice = error.advice.replace(AGAIN, "then add it again").replace("--dir", "--state")
        raise type(error)(error.path, error.reason, advice) from None
