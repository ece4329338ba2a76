"""Runs the downloads of ``thunderdl aria2c`` and tells of them as aria2 does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from thunderdl.aria2.console import Ended, Shown, readout, results, summary
from thunderdl.aria2.exit_codes import UNFINISHED, counted, exit_code, of_many
from thunderdl.cli.aria2c.console import Console
from thunderdl.cli.aria2c.given import Given
from thunderdl.cli.aria2c.jobs import Job, Jobs
from thunderdl.cli.aria2c.resuming import cleared, settled
from thunderdl.cli.aria2c.saving import Hooks, save_session
from thunderdl.cli.session import stopping_on_signals
from thunderdl.engine.feeding import Feeder, host_as_typed
from thunderdl.engine.naming import guess_target
from thunderdl.engine.offers import metalink_named
from thunderdl.engine.wanted import named, named_in
from thunderdl.errors import (
    DownloadFailed,
    StorageError,
    TargetExists,
    ThunderdlError,
    UsageError,
    foreseen,
    printable,
    shown_url,
)
from thunderdl.formats.links import is_magnet, names_metalink, names_torrent
from thunderdl.model import Result, Status
from thunderdl.task import Task

if TYPE_CHECKING:
    from thunderdl.client import Client

EVERY_S = 1.0
_NO_METALINK, _NO_BENCODE, _NO_TORRENT, _NO_MAGNET = 20, 25, 26, 27


class Run:
    """One call: ``jobs`` over ``client`` until all have ended, or somebody stops it."""

    def __init__(self, client: Client, given: Given, made: Jobs, jobs: Sequence[Job], console: Console) -> None:
        self._client, self._given, self._made, self._console = client, given, made, console
        self._jobs = list(jobs)
        self._running: dict[Job, None] = {}
        self._ended: list[Job] = []
        self._codes: list[int] = []
        self._hooks = Hooks(given)
        self._was_stopped = False
        self._told_shared: set[Job] = set()
        self._feeder: Feeder[Job] | None = None
        self._named: dict[Job, tuple[int, str]] = {}

    async def all(self) -> int:
        """aria2's exit status."""
        self._jobs = [each async for job in _each(self._jobs) for each in await self._files_of(job)]
        for job in self._jobs:
            for warning in job.warnings:
                self._console.warn(warning)
        self._console.notice(f"Downloading {len(self._jobs)} item(s)")
        watching = [asyncio.create_task(self._watch()), *self._clocks()]
        try:
            with stopping_on_signals(self._stop_by_signal, self._leave):
                await (self._look_at_all() if self._given.is_on("dry-run") else self._download_all())
        finally:
            for each in watching:
                each.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            self._tell_results()
            self._save(told=True)
            self._hooks.leave()
            self._console.close()
        return of_many(self._codes, was_stopped=self._was_stopped and len(self._ended) < len(self._jobs))

    # -- the ways of a download

    async def _download_all(self) -> None:
        client, hosts = self._client, self._client.session.pool.hosts
        loop = asyncio.get_running_loop()
        self._feeder = Feeder[Job](
            jobs=client.options.jobs, room=lambda host: hosts.cap(host, loop.time()),
            host_of=lambda job: host_as_typed(job.request.url), begin=self._begin,
        )  # fmt: skip
        if self._was_stopped:
            return
        async for _ in self._feeder.results(self._settled_jobs()):
            pass

    async def _settled_jobs(self) -> AsyncIterator[Job]:
        for job in self._jobs:
            try:
                told = await settled(self._client, job)
            except ThunderdlError as error:
                self._over(job, _failed(job, error))
                continue
            if told:
                self._console.notice(told)
            await self._learn_names(job)
            yield job

    async def _learn_names(self, job: Job) -> None:
        """aria2 has read a torrent of the disk before it says that it begins."""
        torrent = _torrent_here(job)
        if torrent and self._given.text("on-download-start"):
            with contextlib.suppress(ThunderdlError):  # the download tells why
                self._named[job] = named_in(await self._client.torrent(torrent), job.options)

    async def _look_at_all(self) -> None:
        """``--dry-run``: only whether it is there, of the first source that answers."""
        for job in self._jobs:
            if self._was_stopped:
                return
            self._over(job, await self._looked_at(job))

    async def _looked_at(self, job: Job) -> Result:
        began, faults = time.monotonic(), list[ThunderdlError]()
        path = guess_target(job.request.url, job.options).path
        for url in (job.request.url, *job.request.mirrors):
            try:
                if not job.names_content:
                    await self._client.info(url)
                break
            except ThunderdlError as error:
                faults.append(error)
        else:
            return _failed(job, DownloadFailed(job.request.url, tuple(faults)))
        return Result(url=job.request.url, path=path, bytes=0, seconds=time.monotonic() - began, status=Status.COMPLETE)

    async def _files_of(self, job: Job) -> list[Job]:
        """A job for each file that a metalink names; itself where it is none, or cannot be read: it tells why. URIs
        that were typed beside are mirrors of the only file; of several, aria2 passes them over."""
        if not metalink_named(job.request.url, job.options):
            return [job]
        try:
            first, *others = await self._client.files_of(replace(job.request, mirrors=()))
        except (ThunderdlError, ValueError):
            return [job]
        job.request = first if others else replace(first, mirrors=job.request.mirrors)
        return [job, *(self._made.copy_of(job, request) for request in others)]

    def _begin(self, job: Job) -> Task:
        task = job.task = self._client.begin(job.request)
        self._running[job] = None
        self._hooks.run("start", job, self._named[job] if job in self._named else task.wanted())
        task.over.add_done_callback(lambda over: self._over(job, over.result()))
        return task

    def _over(self, job: Job, result: Result) -> None:
        job.files = files = job.task.wanted() if job.task is not None else (1, named(job.options, job.request.offer))
        job.result, job.task = result, None
        self._running.pop(job, None)
        if result.status is Status.CANCELLED:
            self._hooks.run("stop", job, files)
            return
        self._ended.append(job)
        self._codes.append(code := _code(job))
        if code:
            self._tell_failed(job, code)
            self._hooks.run("error", job, files)
            return
        if result.status is Status.SKIPPED:
            self._console.notice(f"GID#{job.gid} - Download has already completed: {result.path}")
        if job in self._told_shared:
            self._console.notice("Seeding is over.")
        else:
            self._console.notice(f"Download complete: {result.path}")
        if result.verified:
            self._console.notice(f"Verification finished successfully. file={result.path}")
        for note in result.notes:
            self._console.warn(note)
        cleared(job)
        if job.is_torrent and job not in self._told_shared:
            # aria2 tells both of a torrent, whether it is shared or not.
            self._hooks.run("shared", job, files)
        self._hooks.run("complete", job, files)

    # -- stopping

    def _stop_by_signal(self) -> None:
        self._console.notice("Shutdown sequence commencing... Press Ctrl-C again for emergency shutdown.")
        self.stop()

    def stop(self) -> None:
        """Begin nothing more, and stop what runs; what is there is kept."""
        self._was_stopped = True
        if self._feeder is not None:
            self._feeder.stop()
        for job in list(self._running):
            if job.task is not None:
                job.task.cancel()

    def _leave(self) -> None:
        self._console.close()
        os._exit(UNFINISHED)

    def _clocks(self) -> list[asyncio.Task[None]]:
        waits = []
        if seconds := self._given.number("stop"):
            waits.append(self._stop_after(seconds))
        if pid := self._given.number("stop-with-process"):
            waits.append(self._stop_with(pid))
        return [asyncio.create_task(wait) for wait in waits]

    async def _stop_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.stop()

    async def _stop_with(self, pid: int) -> None:
        while is_running(pid):  # noqa: ASYNC110  # of a foreign process nobody tells
            await asyncio.sleep(EVERY_S)
        self.stop()

    # -- telling

    async def _watch(self) -> None:
        summary_s, save_s = self._given.number("summary-interval"), self._given.number("save-session-interval")
        summary_at, save_at = time.monotonic() + summary_s, time.monotonic() + save_s
        while True:
            await asyncio.sleep(EVERY_S)
            shown = [Shown(job.gid, job.task.progress()) for job in self._running if job.task is not None]
            self._tell_shared()
            if summary_s and time.monotonic() >= summary_at:
                summary_at += summary_s
                paths = [self._path(job) for job in self._running if job.task is not None]
                self._console.lines(*summary(shown, paths, time.ctime(), human=self._console.human))
            self._console.readout(readout(shown, human=self._console.human))
            if save_s and time.monotonic() >= save_at:
                save_at += save_s
                self._save(told=False)

    def _tell_shared(self) -> None:
        """A torrent that is whole is told at once, not when it was shared enough."""
        for job in self._running:
            if job.task is not None and job.task.is_sharing and job not in self._told_shared:
                self._told_shared.add(job)
                self._console.notice(f"Download complete: {self._path(job)}")
                self._hooks.run("shared", job, job.task.wanted())

    def _path(self, job: Job) -> str:
        if job.result is not None and job.result.path:
            return job.result.path
        if job.task is not None and job.names_content:
            return os.path.join(job.options.dir, job.task.progress().name)
        return guess_target(job.request.url, job.options).path

    def _tell_failed(self, job: Job, code: int) -> None:
        assert job.result is not None
        told, uri = _sentence(job.result.error), shown_url(job.request.url)
        self._console.error(f"GID#{job.gid} - Download aborted. URI={uri}\nException: errorCode={code} {told}")
        self._console.notice(f"Download GID#{job.gid} not complete: {_path_of_failed(job)}")

    def _tell_results(self) -> None:
        form = self._given.text("download-result")
        if form == "hide" or not self._jobs:
            return
        stopped = [job for job in self._jobs if job.result is not None and job not in set(self._ended)]
        for job in stopped:
            self._console.notice(f"Download GID#{job.gid} not complete: {self._path(job)}")
        rows = [self._row(job) for job in [*self._ended, *stopped]]
        rows = _most(rows, self._given.number("max-download-result"))
        self._console.lines(*results(rows, full=form == "full", colours=self._console.has_colours))
        if any(row.stat != "OK" for row in rows):
            self._console.lines("", "What is not complete goes on where it stopped when the same command is run again.")

    def _row(self, job: Job) -> Ended:
        result = job.result
        assert result is not None
        stat = "INPR" if result.status is Status.CANCELLED else "ERR" if _code(job) else "OK"
        fetched = max(result.bytes - result.resumed_bytes, 0) if stat == "OK" else 0
        fetched = 0 if result.status is Status.SKIPPED else fetched
        path = _shown_path(job) or (self._path(job) if stat != "ERR" else _path_of_failed(job) or job.request.url)
        return Ended(job.gid, stat, path, fetched, result.seconds, 100 if stat == "OK" else None)

    def _save(self, *, told: bool) -> None:
        path = self._given.text("save-session")
        if not path:
            return
        fault = save_session(path, self._jobs)
        if fault:
            self._console.error(f"Failed to serialize session to '{path}': {fault}.")
        elif told:
            self._console.notice(f"Serialized session to '{path}' successfully.")


async def _each(jobs: Sequence[Job]) -> AsyncIterator[Job]:
    for job in jobs:
        yield job


def _torrent_here(job: Job) -> str | None:
    torrent = job.options.torrent or job.request.url
    return torrent if job.is_torrent and os.path.isfile(torrent) else None


def _code(job: Job) -> int:
    """aria2 has numbers of its own for documents that are none."""
    assert job.result is not None
    error = job.result.error
    told = error.most_telling if isinstance(error, DownloadFailed) else error
    code, url, options = exit_code(error), job.request.url, job.options
    if code == 1 and isinstance(told, UsageError):
        if is_magnet(url):
            return _NO_MAGNET
        if names_torrent(url) or options.torrent is not None:
            return no_torrent(told)
        return _NO_METALINK if names_metalink(url) or options.metalink is not None else code
    return counted(code, job.raw, len(job.uris))


def no_torrent(error: UsageError) -> int:
    """aria2 tells what is no bencode from what is no torrent; here libtorrent's own words do, in brackets."""
    return _NO_BENCODE if "bencoded" in str(error).rpartition("(")[2] else _NO_TORRENT


def _path_of_failed(job: Job) -> str:
    """Empty where none was chosen yet."""
    assert job.result is not None
    error = job.result.error
    return error.path if isinstance(error, TargetExists | StorageError) else job.result.path or job.files[1]


def _shown_path(job: Job) -> str:
    """Of a torrent as aria2 tells it, by its first file; empty for others."""
    count, first = job.files if job.is_torrent else (1, "")
    return f"{first} ({count - 1}more)" if count > 1 and first else first


def _sentence(error: Exception | None) -> str:
    if isinstance(error, TargetExists):
        return f"{printable(error.path)} exists already; choose --allow-overwrite or --auto-file-renaming."
    return shown_url(str(foreseen(error))) if error is not None else "nobody knows why."


def _failed(job: Job, error: ThunderdlError) -> Result:
    return Result(url=job.request.url, path=None, bytes=0, seconds=0.0, status=Status.FAILED, error=error)


def _most(rows: list[Ended], most: int) -> list[Ended]:
    """So many of them, those that failed before all others."""
    if len(rows) <= most:
        return rows
    kept = set([id(row) for row in sorted(rows, key=lambda row: row.stat == "OK")][:most])
    return [row for row in rows if id(row) in kept]


def is_running(pid: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
