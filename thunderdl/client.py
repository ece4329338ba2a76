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
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from thunderdl.changes import changed, changed_for_one, fixed_ones
from thunderdl.engine.feeding import Feeder, host_as_typed, one_by_one
from thunderdl.engine.offers import NamesSeveral, metalink_named
from thunderdl.engine.opening import origin_of
from thunderdl.engine.session import Session, seen_through
from thunderdl.errors import ThunderdlError, UsageError
from thunderdl.formats.old_links import is_ed2k, opened
from thunderdl.model import Digest, Result
from thunderdl.options import Options
from thunderdl.task import Request, Task

if TYPE_CHECKING:
    from thunderdl.engine.asking import Info
    from thunderdl.engine.seeding import Seeding
    from thunderdl.formats.metalink_model import Metalink
    from thunderdl.sources.swarm.torrent import Torrent
    from thunderdl.timetable import Timetable

_OUTSIDE = "a Client is used inside 'async with Client(…) as client'."


@dataclass(slots=True)
class Totals:
    """Counts over the life of a client. ``bytes_done``: of files that ended and of those under way."""

    files_done: int = 0
    files_failed: int = 0
    bytes_done: int = 0
    rate_bytes_per_s: float = 0.0


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
        if self._session is not None:
            await seen_through(asyncio.ensure_future(self._close(self._session)))

    async def _close(self, session: Session) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait({task._over for task in self._tasks})
        await session.close()

    def add(self, url: str, *, mirrors: Sequence[str] = (), options: Options | None = None, **changes: Any) -> Task:
        """Begin a download. ``changes``: fields of Options that differ for it alone. Raises UsageError."""
        settled = changed_for_one(options or self.options, changes)
        return self.begin(Request(url, tuple(mirrors), settled))

    async def run(self, requests: Iterable[Request] | AsyncIterable[Request]) -> AsyncIterator[Result]:
        """Download them all, ``options.jobs`` at once, looking ahead in ``requests`` by no more than a thousand.

        Those whose host has least to do begin first, else the order is kept. Yields each Result as it comes; a file
        that failed is a Result too.
        """
        session = self._running_session()
        hosts = session.pool.hosts
        feeder = Feeder[Request](
            jobs=self.options.jobs, room=lambda host: hosts.cap(host, session.loop.time()),
            host_of=lambda request: host_as_typed(request.url), begin=self.begin, instead=self._files_named,
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
        from thunderdl.engine.opening import for_document

        session, options = self._running_session(), request.options or self.options
        reference = metalink_named(request.url, options) or request.url
        found = await metalink_of(session, reference, for_document(options, reference, request.url))
        return _requests_of(found, reference, request, options)

    async def _each_file(self, requests: Iterable[Request] | AsyncIterable[Request]) -> AsyncIterator[Request]:
        """The requests, a metalink's files in its place."""
        async for request in one_by_one(requests):
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

    def _files_named(self, request: Request, result: Result) -> list[Request]:
        """The files in the place of what only its answer showed to be a metalink of several."""
        options = request.options or self.options
        if not isinstance(result.error, NamesSeveral) or options.out is not None or request.mirrors:
            return []
        self._ended.files_failed -= 1
        return [replace(request, offer=offer) for offer in result.error.offers]

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
        settled = changed(options or self.options, changes)
        parts = stream(session, tuple(map(opened, (url, *mirrors))), settled, window_bytes)
        try:
            async for part in parts:
                yield part
        finally:
            # At once where the reader has had enough, not when the garbage is collected.
            await parts.aclose()

    async def info(self, url: str) -> Info:
        """Ask for a URL without downloading it. Raises ThunderdlError."""
        session, url = self._running_session(), opened(url)
        from thunderdl.engine.asking import asked

        session.access.named.update(filter(None, [origin_of(url)]))
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
            session, path, changed(options or self.options, changes), on_read or (lambda done, whole: None)
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
        self.change_options(limit=limit)

    def change_upload_limit(self, limit: int | str | Timetable | None) -> None:
        """Another limit of what peers have from us, over all torrents, from now on: as ``Options.upload_limit``, text
        as on the command line, None for none. Raises UsageError."""
        self.change_options(upload_limit=limit)

    def change_options(self, **changes: Any) -> None:
        """Other options from now on. ``limit``, ``upload_limit``, ``per_host``, ``connections`` and ``jobs`` hold for
        what runs, too; those of a single download for what is added from now on without options of its own.

        Raises UsageError for all others, which a client has from its beginning, and nothing has changed then.
        """
        session = self._running_session()
        if fixed := fixed_ones(changes):
            raise UsageError(f"{', '.join(fixed)}: a client has it from its beginning; make another one.")
        self.options = changed(self.options, changes)
        session.change(self.options)
        for feeder in self._feeders:
            feeder.change_jobs(self.options.jobs)

    def totals(self) -> Totals:
        """Counts so far."""
        now = [task.progress() for task in self._tasks]
        return replace(
            self._ended, bytes_done=self._ended.bytes_done + sum(p.done_bytes for p in now),
            rate_bytes_per_s=sum(p.rate_bytes_per_s for p in now),
        )  # fmt: skip

    @property
    def session(self) -> Session:
        """What its downloads share. Raises UsageError outside ``async with``."""
        return self._running_session()

    def _running_session(self) -> Session:
        if self._session is None:
            raise UsageError(_OUTSIDE)
        return self._session

    def begin(self, request: Request) -> Task:
        """Begin a download. Raises UsageError."""
        options = request.options or self.options
        if is_ed2k(request.url):
            from thunderdl.engine.ed2k import ed2k_plan

            (url, *mirrors), options, size_bytes = ed2k_plan(request.url, request.mirrors, options)
            request = replace(request, url=url, mirrors=tuple(mirrors), options=options, size_bytes=size_bytes)
        task = Task(self._running_session(), request, options)
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


async def download(
    url: str, dir: str = ".", *, mirrors: Sequence[str] = (), checksum: Digest | str | None = None,
    options: Options | None = None, httpx_settings: Mapping[str, Any] | None = None, **changes: Any,
) -> Result:  # fmt: skip
    """Download one file into the folder ``dir``. Raises ThunderdlError where it cannot."""
    settings = changed(options or Options(), {"dir": dir, "checksum": checksum, **changes})
    async with Client(settings, httpx_settings=httpx_settings) as client:
        return await client.add(url, mirrors=mirrors)


def get(
    url: str, dir: str = ".", *, mirrors: Sequence[str] = (), checksum: Digest | str | None = None,
    options: Options | None = None, httpx_settings: Mapping[str, Any] | None = None, **changes: Any,
) -> Result:  # fmt: skip
    """:func:`download` for code that is not async; not to be called inside a running event loop."""
    settled = changed(options or Options(), changes)
    return asyncio.run(
        download(url, dir, mirrors=mirrors, checksum=checksum, options=settled, httpx_settings=httpx_settings)
    )


__all__ = ["Client", "Request", "Task", "ThunderdlError", "Totals", "download", "get"]
