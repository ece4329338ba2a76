"""The library: one call for one file, a client for many, sync and async.

result = thunderdl.get("https://example.org/file.iso", "downloads")
result = await thunderdl.download(url, mirrors=(other,), checksum="sha-256=…")
async with thunderdl.Client(options) as client:
    task = client.add(url)
    async for progress in task: ...
    result = await task
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from thunderdl.engine.download import Download
from thunderdl.engine.feeding import Feeder, origin_of
from thunderdl.engine.offers import Offer, metalink_named
from thunderdl.engine.pacing import checked_limit
from thunderdl.engine.session import Session
from thunderdl.errors import Cancelled, ThunderdlError, UsageError, shown_url
from thunderdl.formats.hashes import parse_checksum
from thunderdl.formats.links import names_torrent
from thunderdl.model import Digest, Explanation, Progress, Result, Status
from thunderdl.options import Options, Priority

if TYPE_CHECKING:
    from thunderdl.engine.asking import Info
    from thunderdl.engine.seeding import Seeding
    from thunderdl.formats.metalink_model import Metalink
    from thunderdl.sources.swarm.torrent import Torrent
    from thunderdl.timetable import Timetable

PROGRESS_S = 0.1
_OUTSIDE = "a Client is used inside 'async with Client(…) as client'."


@dataclass(frozen=True, slots=True)
class Request:
    """One file to download: its URL, more URLs of the same file, options that differ from the client's. ``offer``: what
    a metalink says of it, where that is known; ``url`` may be the metalink's."""

    url: str
    mirrors: tuple[str, ...] = ()
    options: Options | None = None
    offer: Offer | None = None


@dataclass(slots=True)
class Totals:
    """Counts over the life of a client. ``bytes_done``: of files that ended and of those under way."""

    files_done: int = 0
    files_failed: int = 0
    bytes_done: int = 0
    rate_bytes_per_s: float = 0.0


class Task:
    """A download under way. Await it for its Result; iterate over it for its Progress, ten times a second."""

    def __init__(self, session: Session, request: Request, options: Options) -> None:
        self._session, self._request, self._options = session, request, options
        self._torrent: Torrent | None = None
        self._joining: asyncio.Task[None] | None = None
        self._offer = request.offer
        self._download = self._new_download()
        self._over: asyncio.Future[Result] = session.loop.create_future()
        self._run: asyncio.Task[Result] | None = None
        # What the run is being stopped for, None while it is not.
        self._wanted: Status | None = None
        self.resume()

    def progress(self) -> Progress:
        """A snapshot of now."""
        return self._download.progress()

    def explain(self) -> str:
        """Why each source is used as it is now, slow, on probation, banned or left alone: a line each."""
        return "\n".join(f"{shown_url(each.url)}: {each.told}" for each in self.explanations())

    def explanations(self) -> tuple[Explanation, ...]:
        """The same as values, in the order of the URLs."""
        return self._download.explanations()

    @property
    def over(self) -> asyncio.Future[Result]:
        """Done once it has ended. Not to be cancelled; see :meth:`outcome`."""
        return self._over

    def is_long(self) -> bool:
        """Whether it has proven to take long: it ran for some time, and much is left."""
        return self._download.is_long()

    async def outcome(self) -> Result:
        """How it ended; never raises for a download that failed (see ``Result.error``)."""
        return await asyncio.shield(self._over)

    def pause(self) -> None:
        """Stop for now; what is there is kept. Nothing happens where it has ended or is paused."""
        self._stop(Status.PAUSED)

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        if self._run is not None and self._wanted is Status.PAUSED:
            # It is still on its way out: begin again from there.
            self._wanted = Status.ACTIVE
        elif self._run is None and not self._over.done():
            if self._download.status is not Status.QUEUED:
                self._download = self._new_download()
            self._run = self._session.loop.create_task(self._download.run())
            self._run.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Stop for good; the part file and its journal stay, so that the same request goes on from there."""
        if self._run is None and not self._over.done():
            self._over.set_result(self._stopped())
        else:
            self._stop(Status.CANCELLED)

    async def add_torrent(self, reference: str) -> None:
        """Have the peers of a torrent join, which became known only now: a path, a URL, a magnet link. What is there
        stays, compared with the torrent's piece hashes.

        Raises UsageError where it is of another file, or names several; ThunderdlError where it cannot be had. Nothing
        happens then, nor where the download has ended.
        """
        from thunderdl.engine.torrents import torrent_of

        torrent = await torrent_of(self._session, reference, self._options)
        size, target = self._download.version.size, self._download.target
        if not torrent.is_single or torrent.piece_hashes is None:
            raise UsageError(f"{shown_url(reference)[:200]}: it names no single file with known pieces.")
        if size is not None and size != torrent.size_bytes:
            raise UsageError(
                f"{shown_url(reference)[:200]}: it is of another file: {torrent.size_bytes} bytes, not {size}."
            )
        self._torrent, self._offer = torrent, self._download.offer
        if target is not None:
            folder, name = os.path.split(target.path)
            self._options = replace(self._options, dir=folder or ".", out=name)
        if self._run is not None and self._wanted is None:
            self.pause()
            self.resume()

    def change_limit(self, limit: int | str | Timetable | None) -> None:
        """Another limit for this download alone, from now on: as ``Options.task_limit``, text as on the command
        line, None for none. Raises UsageError."""
        settled = checked_limit("task_limit", limit)
        self._options = replace(self._options, task_limit=settled)
        self._download.candidates.pace.change(settled)

    def change_priority(self, priority: Priority) -> None:
        """Another share of connections and limits beside the other downloads, from now on."""
        self._options = replace(self._options, priority=priority)
        self._download.candidates.pace.weigh(priority.weight)

    def _stop(self, status: Status) -> None:
        if self._run is None or self._run.done() or self._wanted is Status.CANCELLED:
            return
        before, self._wanted = self._wanted, status
        if before is None:
            # Once only: a second cancellation would cut short how the first one leaves part file and journal.
            self._run.cancel()

    def _ended(self, run: asyncio.Task[Result]) -> None:
        self._run = None
        wanted, self._wanted = self._wanted, None
        if not run.cancelled():
            # A bug in one download is that download's failure alone.
            bug = run.exception()
            failed = self._download.result(None, (), bug if isinstance(bug, Exception) else Cancelled())
            self._over.set_result(run.result() if bug is None else replace(failed, status=Status.FAILED))
        elif wanted is Status.PAUSED:
            self._download.status = Status.PAUSED
        elif wanted is Status.ACTIVE:
            self.resume()
        else:
            self._over.set_result(self._stopped())

    def _stopped(self) -> Result:
        self._download.status = Status.CANCELLED
        return self._download.result(None, (), Cancelled())

    def _new_download(self) -> Download:
        request, options = self._request, self._options
        if names_torrent(request.url) and options.follow:
            return Download(self._session, request.mirrors, replace(options, torrent=request.url), request.url)
        if (metalink := metalink_named(request.url, options)) or self._offer is not None:
            urls = request.mirrors if metalink in (request.url, None) else (request.url, *request.mirrors)
            download = Download(
                self._session, urls, options, request.url, self._torrent, self._offer, metalink or request.url
            )
        else:
            download = Download(self._session, (request.url, *request.mirrors), options, torrent=self._torrent)
        download.on_torrents = self._join_peers
        return download

    def _join_peers(self, references: tuple[str, ...]) -> None:
        """Have peers join of the first of these torrents that can be had."""
        if self._joining is None and self._options.torrent is None:
            self._joining = self._session.loop.create_task(self._join_any(references))
            self._over.add_done_callback(lambda _: self._joining and self._joining.cancel())

    async def _join_any(self, references: tuple[str, ...]) -> None:
        for reference in references:
            try:
                await self.add_torrent(reference)
            except ThunderdlError as error:
                self._download.notes.append(f"its torrent is not used: {str(error).rstrip('.')}")
            else:
                return

    def __await__(self) -> Generator[Any, None, Result]:
        return self._result().__await__()

    async def _result(self) -> Result:
        result = await self.outcome()
        if result.error is not None:
            raise result.error
        return result

    async def __aiter__(self) -> AsyncIterator[Progress]:
        while not self._over.done():
            yield self.progress()
            await asyncio.wait({self._over}, timeout=PROGRESS_S)
        yield self.progress()


class Client:
    """Downloads that share connections, limits and threads. ``async with`` it; leaving it stops what still runs.

    ``httpx_settings``: keyword arguments of ``httpx.AsyncClient`` (auth, event_hooks, verify, cookies …): with
    them every source is first asked through a client of yours.
    """

    def __init__(self, options: Options | None = None, *, httpx_settings: Mapping[str, Any] | None = None) -> None:
        self.options = options or Options()
        self._settings = httpx_settings or {}
        self._session: Session | None = None
        self._tasks: dict[Task, None] = {}
        self._feeders: list[Feeder[Request]] = []
        self._ended = Totals()

    async def __aenter__(self) -> Client:
        self._session = Session(self.options, self._settings)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait({task._over for task in self._tasks})
        if self._session is not None:
            await self._session.close()

    def add(self, url: str, *, mirrors: Sequence[str] = (), options: Options | None = None, **changes: Any) -> Task:
        """Begin a download. ``changes``: fields of Options that differ for it alone. Raises UsageError."""
        shared = sorted(
            changes.keys() & {row.name for row in fields(Options) if row.metadata.get("scope") == "session"}
        )
        if shared:
            raise UsageError(f"{', '.join(shared)}: set for all downloads of a client; give it to Client(Options(…)).")
        return self._begin(Request(url, tuple(mirrors), _changed(options or self.options, changes)))

    async def run(self, requests: Iterable[Request] | AsyncIterable[Request]) -> AsyncIterator[Result]:
        """Download them all, ``options.jobs`` at once, looking ahead in ``requests`` by no more than a thousand.

        Those whose host has least to do begin first, else the order is kept. Yields each Result as it comes; a file
        that failed is a Result too.
        """
        session = self._running_session()
        hosts = session.pool.hosts
        feeder = Feeder[Request](
            jobs=self.options.jobs, room=lambda host: hosts.cap(host, session.loop.time()),
            host_of=lambda request: origin_of(request.url), begin=self._begin,
        )  # fmt: skip
        self._feeders.append(feeder)
        results = feeder.results(self._each_file(requests))
        try:
            async for result in results:
                yield result
        finally:
            await results.aclose()
            self._feeders.remove(feeder)

    async def files_of(self, request: Request) -> list[Request]:
        """A request for each file that a metalink names. Raises UsageError for what is no metalink, ThunderdlError."""
        from thunderdl.engine.metalinks import metalink_of

        session, options = self._running_session(), request.options or self.options
        reference = metalink_named(request.url, options) or request.url
        return _requests_of(await metalink_of(session, reference, options), reference, request, options)

    async def _each_file(self, requests: Iterable[Request] | AsyncIterable[Request]) -> AsyncIterator[Request]:
        """The requests, a metalink's files in its place."""
        async for request in requests if isinstance(requests, AsyncIterable) else _one_by_one(requests):
            if request.offer is not None or not metalink_named(request.url, request.options or self.options):
                yield request
                continue
            try:
                found = await self.files_of(request)
            except ThunderdlError:
                # Its download tells what is wrong.
                found = [request]
            for each in found:
                yield each

    def stop(self) -> None:
        """Begin nothing more of what :meth:`run` was given, and cancel what runs."""
        for feeder in self._feeders:
            feeder.stop()
        for task in self.tasks():
            task.cancel()

    async def stream(
        self, url: str, *, mirrors: Sequence[str] = (), options: Options | None = None,
        window_bytes: int = 64 * 1024 * 1024, **changes: Any,
    ) -> AsyncIterator[bytes]:  # fmt: skip
        """The bytes of a file in order, fetched in parallel up to ``window_bytes`` ahead of the reader; no file.

        A wrong piece is fetched again before it is handed out; a wrong checksum raises BadContent after the last
        byte. Raises ThunderdlError.
        """
        session = self._running_session()
        from thunderdl.engine.streaming import stream

        if (options or self.options).signed_by is not None or changes.get("signed_by") is not None:
            raise UsageError("signed_by: of a stream nobody can take the bytes back; download it to a file.")
        changed = _changed(options or self.options, changes)
        parts = stream(session, (url, *mirrors), changed, window_bytes)
        try:
            async for part in parts:
                yield part
        finally:
            # At once where the reader has had enough, not when the garbage is collected.
            await parts.aclose()

    async def info(self, url: str) -> Info:
        """Ask for a URL without downloading it. Raises ThunderdlError."""
        session = self._running_session()
        from thunderdl.engine.asking import asked

        return await asked(session, url)

    async def seed(
        self, path: str, *, options: Options | None = None,
        on_read: Callable[[int, int], None] | None = None, **changes: Any,
    ) -> Seeding:  # fmt: skip
        """Share ``path`` with peers: a .torrent whose data is in ``dir``, the data of ``torrent``, or a plain file or
        folder, of which a torrent is made. It is compared with its hashes first; ``on_read`` is told of bytes read and
        bytes in all. Raises UsageError, StorageError, BadContent, ThunderdlError.
        """
        session = self._running_session()
        from thunderdl.engine.seeding import seed

        return await seed(
            session, path, _changed(options or self.options, changes), on_read or (lambda done, whole: None)
        )

    async def torrent(self, reference: str) -> Torrent:
        """What is in a torrent: a .torrent file's path or URL, or a magnet link, whose metadata peers send. Raises
        ThunderdlError."""
        session = self._running_session()
        from thunderdl.engine.torrents import torrent_of

        return await torrent_of(session, reference, self.options)

    async def metalink(self, reference: str) -> Metalink:
        """What is in a metalink, by its path or URL. Raises UsageError for what is none, ThunderdlError."""
        from thunderdl.engine.metalinks import metalink_of

        return await metalink_of(self._running_session(), reference, self.options)

    def tasks(self) -> tuple[Task, ...]:
        """Those that have not ended, oldest first."""
        return tuple(self._tasks)

    def change_limit(self, limit: int | str | Timetable | None) -> None:
        """Another limit over all downloads, from now on: as ``Options.limit``, text as on the command line, None for
        none. Raises UsageError."""
        self._running_session().pacing.change(limit)

    def totals(self) -> Totals:
        """Counts so far."""
        now = [task.progress() for task in self._tasks]
        return replace(
            self._ended, bytes_done=self._ended.bytes_done + sum(p.done_bytes for p in now),
            rate_bytes_per_s=sum(p.rate_bytes_per_s for p in now),
        )  # fmt: skip

    def _running_session(self) -> Session:
        if self._session is None:
            raise UsageError(_OUTSIDE)
        return self._session

    def _begin(self, request: Request) -> Task:
        task = Task(self._running_session(), request, request.options or self.options)
        self._tasks[task] = None
        task._over.add_done_callback(lambda over: self._count(task, over))
        return task

    def _count(self, task: Task, over: asyncio.Future[Result]) -> None:
        self._tasks.pop(task, None)
        if over.cancelled() or over.exception() is not None:
            return
        result = over.result()
        self._ended.files_failed += result.error is not None
        self._ended.files_done += result.error is None
        self._ended.bytes_done += result.bytes


def requests_in(document: bytes, name: str, request: Request, options: Options) -> list[Request]:
    """A request for each file of a metalink that is at hand, called ``name`` in sentences. Raises UsageError."""
    from thunderdl.engine.metalinks import parsed

    return _requests_of(parsed(document, name), name, request, request.options or options)


def _requests_of(metalink: Metalink, told_by: str, request: Request, options: Options) -> list[Request]:
    from thunderdl.engine.metalinks import offers_of, sole

    offers = offers_of(metalink, told_by, options)
    if options.out is not None or request.mirrors or request.url not in (told_by, options.metalink):
        sole(offers, told_by)
    return [replace(request, offer=offer) for offer in offers]


async def _one_by_one(requests: Iterable[Request]) -> AsyncIterator[Request]:
    for request in requests:
        yield request


def _changed(options: Options, changes: Mapping[str, Any]) -> Options:
    changes = dict(changes)
    if isinstance(changes.get("checksum"), str):
        changes["checksum"] = parse_checksum(changes["checksum"])
    for name in ("limit", "task_limit"):
        if name in changes:
            changes[name] = checked_limit(name, changes[name])
    if isinstance(changes.get("priority"), str):
        changes["priority"] = Priority(changes["priority"])
    try:
        return replace(options, **changes)
    except TypeError as error:
        raise UsageError(f"no such option ({error}).") from None


async def download(
    url: str, dir: str = ".", *, mirrors: Sequence[str] = (), checksum: Digest | str | None = None,
    options: Options | None = None, httpx_settings: Mapping[str, Any] | None = None, **changes: Any,
) -> Result:  # fmt: skip
    """Download one file into the folder ``dir``. Raises ThunderdlError where it cannot."""
    settings = _changed(options or Options(), {"dir": dir, "checksum": checksum, **changes})
    async with Client(settings, httpx_settings=httpx_settings) as client:
        return await client.add(url, mirrors=mirrors)


def get(
    url: str, dir: str = ".", *, mirrors: Sequence[str] = (), checksum: Digest | str | None = None,
    options: Options | None = None, httpx_settings: Mapping[str, Any] | None = None, **changes: Any,
) -> Result:  # fmt: skip
    """:func:`download` for code that is not async; not to be called inside a running event loop."""
    settled = _changed(options or Options(), changes)
    return asyncio.run(
        download(url, dir, mirrors=mirrors, checksum=checksum, options=settled, httpx_settings=httpx_settings)
    )


__all__ = ["Client", "Request", "Task", "ThunderdlError", "Totals", "download", "get"]
