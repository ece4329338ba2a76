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
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from thunderdl.engine.feeding import Feeder, origin_of
from thunderdl.engine.naming import suggested_target
from thunderdl.engine.opening import First, open_source, release
from thunderdl.engine.opening import origin_of as source_origin
from thunderdl.engine.pacing import checked_limit
from thunderdl.engine.session import Session
from thunderdl.errors import ThunderdlError, UsageError, shown_url
from thunderdl.formats.hashes import parse_checksum
from thunderdl.formats.links import names_metalink
from thunderdl.formats.old_links import is_ed2k, opened
from thunderdl.model import Digest, Result, Validators
from thunderdl.options import Options, Priority
from thunderdl.task import Request, Task

if TYPE_CHECKING:
    from thunderdl.engine.opening import Opening
    from thunderdl.engine.seeding import Seeding
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What a server says of a URL. ``ranges``: whether it can be fetched in parallel and resumed; ``digests``: of
    the whole, as the server states them; ``server``, ``content_type``: as sent, "" where absent."""

    url: str
    final_url: str
    name: str
    size_bytes: int | None
    ranges: bool
    validators: Validators
    digests: tuple[Digest, ...]
    protocol: str
    server: str
    content_type: str


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
        from thunderdl.engine.metalinks import metalink_of, offers_of

        session, options = self._running_session(), request.options or self.options
        offers = offers_of(await metalink_of(session, request.url, options), request.url, options)
        if len(offers) > 1 and (options.out is not None or request.mirrors):
            raise UsageError(f"{shown_url(request.url)}: it names {len(offers)} files; choose one with --files.")
        return [replace(request, offer=offer) for offer in offers]

    async def _each_file(self, requests: Iterable[Request] | AsyncIterable[Request]) -> AsyncIterator[Request]:
        """The requests, a metalink's files in its place."""
        async for request in requests if isinstance(requests, AsyncIterable) else _one_by_one(requests):
            follows = (request.options or self.options).follow
            if request.offer is not None or not (follows and names_metalink(request.url)):
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

        changed = _changed(options or self.options, changes)
        parts = stream(session, tuple(map(opened, (url, *mirrors))), changed, window_bytes)
        try:
            async for part in parts:
                yield part
        finally:
            # At once where the reader has had enough, not when the garbage is collected.
            await parts.aclose()

    async def info(self, url: str) -> Info:
        """Ask for a URL without downloading it. Raises ThunderdlError."""
        session, url = self._running_session(), opened(url)
        from thunderdl.formats.digest_fields import repr_digests

        session.access.named.update(filter(None, [source_origin(url)]))
        opening = await open_source(session, url, self.options, First(), session.pacing.pace(self.options).meter)
        try:
            head = opening.head
            fields = [(name, value.decode("latin-1")) for name, value in head.fields]
            target = suggested_target(url, head, self.options)
            return Info(
                url=url, final_url=opening.final_url, name=os.path.basename(target.path),
                size_bytes=head.total_bytes, ranges=head.status == 206, validators=head.validators,
                digests=repr_digests(fields), protocol=_protocol_of(opening), server=head.get("server") or "",
                content_type=head.get("content-type") or "",
            )  # fmt: skip
        finally:
            release(session, opening)

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

    def tasks(self) -> tuple[Task, ...]:
        """Those that have not ended, oldest first."""
        return tuple(self._tasks)

    def change_limit(self, limit: int | str | Timetable | None) -> None:
        """Another limit over all downloads, from now on: as ``Options.limit``, text as on the command line, None for
        none. Raises UsageError."""
        self._running_session().pacing.change(limit)

    def change_upload_limit(self, limit: int | str | Timetable | None) -> None:
        """Another limit of what peers have from us, over all torrents, from now on: as ``Options.upload_limit``, text
        as on the command line, None for none. Raises UsageError."""
        self._running_session().change_upload_limit(checked_limit("upload_limit", limit))

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
        options = request.options or self.options
        if is_ed2k(request.url):
            from thunderdl.engine.ed2k import sources_and_options

            urls, options = sources_and_options(request.url, request.mirrors, options)
            request = Request(urls[0], urls[1:], options)
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


async def _one_by_one(requests: Iterable[Request]) -> AsyncIterator[Request]:
    for request in requests:
        yield request


def _changed(options: Options, changes: Mapping[str, Any]) -> Options:
    changes = dict(changes)
    if isinstance(changes.get("checksum"), str):
        changes["checksum"] = parse_checksum(changes["checksum"])
    for name in ("limit", "task_limit", "upload_limit"):
        if name in changes:
            changes[name] = checked_limit(name, changes[name])
    if isinstance(changes.get("priority"), str):
        changes["priority"] = Priority(changes["priority"])
    try:
        return replace(options, **changes)
    except TypeError as error:
        raise UsageError(f"no such option ({error}).") from None


def _protocol_of(opening: Opening) -> str:
    scheme = opening.endpoint.scheme
    return f"HTTP/{opening.head.http_version}" if scheme in ("http", "https") else scheme.upper()


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
