"""One download under way, as the library shows it: what was asked for, and the task that brings it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from thunderdl.changes import changed_for_one
from thunderdl.engine.download import Download
from thunderdl.engine.live import LIVE, change_urls, take, urls_of
from thunderdl.engine.offers import Offer, metalink_named
from thunderdl.engine.opening import for_url, origin_of
from thunderdl.engine.session import Session
from thunderdl.engine.whole import SharedAgain
from thunderdl.errors import Cancelled, ThunderdlError, UsageError, shown_url
from thunderdl.formats.links import REMOTE_SCHEMES, names_torrent, scheme_of
from thunderdl.formats.old_links import is_ed2k, is_wrapped, opened, parse_ed2k
from thunderdl.model import (
    Explanation,
    FileProgress,
    PeerProgress,
    PieceTable,
    Progress,
    Result,
    Status,
    SwarmFacts,
    Whole,
)
from thunderdl.options import Options, Priority

if TYPE_CHECKING:
    from thunderdl.engine.facts import Facts
    from thunderdl.sources.swarm.torrent import Torrent
    from thunderdl.timetable import Timetable

PROGRESS_S = 0.1


@dataclass(frozen=True, slots=True)
class Request:
    """One file to download: its URL, more URLs of the same file, options that differ from the client's.

    ``offer``: what a metalink says of it, where that is known; ``url`` may be the metalink's. ``new_url``: where the
    URL has expired since it was begun, another link of the same file; ``renewed_url``: the one that an earlier run had
    got in its place, which gets nothing of what is for ``url`` unless both are of one server. ``size_bytes``: how long
    it is, where that is known: who has a file of another length is not used. ``on_commit``: called in a thread with the
    finished file open, right before it gets its final name. ``on_settled``: called once its part is there.
    ``on_sharing``: waited for when it is whole, before :attr:`Task.is_sharing` says that it is shared; never raises.
    ``whole``: an earlier run of the program has brought all of it, and was sharing it (:meth:`Task.whole`): it goes on
    with that, and fetches nothing. ``may_be_one_file``: ``Options.files`` then chooses nothing, where it fails else.

    Of a thunder, flashget or qqdl link it holds what is inside. An ed2k link needs ``mirrors``, and names and checks
    the file. Raises InvalidUrl for rubbish in either.
    """

    url: str
    mirrors: tuple[str, ...] = ()
    options: Options | None = None
    offer: Offer | None = None
    new_url: str | None = None
    size_bytes: int | None = None
    renewed_url: str | None = None
    on_commit: Callable[[int], None] | None = None
    on_settled: Callable[[], None] | None = None
    on_sharing: Callable[[], Awaitable[None]] | None = None
    whole: Whole | None = None
    may_be_one_file: bool = False

    def __post_init__(self) -> None:
        if any(map(is_wrapped, (self.url, *self.mirrors))):
            object.__setattr__(self, "url", opened(self.url))
            object.__setattr__(self, "mirrors", tuple(map(opened, self.mirrors)))
        if is_ed2k(self.url):
            parse_ed2k(self.url)


class Task:
    """A download under way. Await it for its Result; iterate over it for its Progress, ten times a second."""

    def __init__(self, session: Session, request: Request, options: Options) -> None:
        self._session, self._request, self._options = session, request, options
        self._torrent: Torrent | None = None
        self._joining: asyncio.Task[None] | None = None
        self._told: Facts | None = None
        self._removed = frozenset[str]()
        self._is_to_recheck = False
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

    def pieces(self) -> PieceTable | None:
        """Which pieces are there; None before the size is known."""
        return self._facts.pieces()

    def piece_sources(self) -> bytes:
        """Who brought most of each cell of ``Progress.piece_map``: 1 and more for the first of ``Progress.sources`` and
        those after it; 0 for nobody yet, or an earlier run. Empty where that is not known."""
        return self._facts.piece_sources()

    def files(self) -> tuple[FileProgress, ...]:
        """Each file, with where it comes to lie and from where; those of a torrent with whether they are wanted. None
        at all while the torrent is still to be read, or to come from peers."""
        return self._facts.files()

    def wanted(self) -> tuple[int, str]:
        """How many files it brings, and where the first of them is or will be: empty while nobody has settled that."""
        from thunderdl.engine.wanted import named

        return self._facts.wanted() or (1, named(self._options, self._download.offer))

    def peers(self, *, with_bitfields: bool = False) -> tuple[PeerProgress, ...]:
        """The peers that are connected, of a torrent, as seen a quarter of a second ago at most. ``with_bitfields``:
        each with the pieces that it has, which takes longer."""
        return self._facts.peers(with_bitfields=with_bitfields)

    def swarm(self) -> SwarmFacts | None:
        """The torrent, and how it stands in its swarm; None where there is none, or none is known yet."""
        return self._facts.swarm()

    @property
    def _facts(self) -> Facts:
        if self._told is None or self._told.download is not self._download:
            from thunderdl.engine.facts import Facts

            self._told = Facts(self._download)
        return self._told

    def explain(self) -> str:
        """Why each source is used as it is now, slow, on probation, banned or left alone: a line each."""
        return "\n".join(f"{shown_url(each.url)}: {each.told}" for each in self.explanations())

    def explanations(self) -> tuple[Explanation, ...]:
        """The same as values, in the order of the URLs."""
        return self._download.explanations()

    @property
    def is_sharing(self) -> bool:
        """Whether it is whole, and goes on only to be shared with peers."""
        return self._download.status is Status.SHARING

    def whole(self, torrent: str) -> Whole | None:
        """How its sharing stands, or stood when it was stopped, for a later :class:`Request`; None where it was not
        shared. ``torrent``: where the caller keeps what :attr:`metainfo` is."""
        sharing, path = self._download.sharing, self._download.path
        if sharing is None or path is None:
            return None
        return Whole(
            path=path, size_bytes=sharing.size_bytes, torrent=torrent, since=sharing.since,
            sent_bytes=sharing.sent_bytes, shared_s=sharing.shared_s, seconds=self._download.seconds,
            verified=self._download.verified, notes=tuple(self._download.notes),
        )  # fmt: skip

    @property
    def metainfo(self) -> bytes | None:
        """The .torrent that it is shared by; None before it is."""
        sharing = self._download.sharing
        return sharing.shared.torrent.metainfo if sharing is not None else None

    @property
    def over(self) -> asyncio.Future[Result]:
        """Done once it has ended. Not to be cancelled; see :meth:`outcome`."""
        return self._over

    def is_long(self) -> bool:
        """Whether it has proven to take long: it ran for some time, and much is left."""
        return self._download.is_long()

    async def outcome(self) -> Result:
        """How it ended; never raises for a download that failed (see ``Result.error``)."""
        # Behind whoever waits for it longer, also where it has ended already: the daemon's queue is told by a callback,
        # and who had asked it to stop the task found it running still.
        await asyncio.wait({self._over})
        return self._over.result()

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
            run = self._download.run() if self._offer is None else self._run_where_allowed(self._offer, self._download)
            self._run = self._session.loop.create_task(run)
            self._run.add_done_callback(self._ended)

    async def _run_where_allowed(self, offer: Offer, download: Download) -> Result:
        from thunderdl.engine.metalinks import check_place

        try:
            await check_place(self._session, offer, self._options)
        except ThunderdlError as error:
            download.status = Status.FAILED
            return download.result(None, error)
        return await download.run()

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
        await self._add_torrent(reference)

    async def _add_torrent(self, reference: str, told_by: str = "") -> None:
        from thunderdl.engine.torrents import check_size, torrent_of

        asked_with = for_url(self._options, reference, self._request.url)
        torrent = await torrent_of(self._session, reference, asked_with, told_by)
        size, target = self._download.version.size, self._download.target
        if not torrent.is_single or torrent.piece_hashes is None:
            raise UsageError(f"{shown_url(reference)[:200]}: it names no single file with known pieces.")
        check_size(torrent, reference, size)
        self._torrent, self._offer = torrent, self._download.offer
        if target is not None:
            self._keep_place(target.path)
        self._begin_again()

    def change_limit(self, limit: int | str | Timetable | None) -> None:
        """Another limit for this download alone, from now on: as ``Options.task_limit``, text as on the command
        line, None for none. Raises UsageError."""
        self.change_options(task_limit=limit)

    def change_priority(self, priority: Priority) -> None:
        """Another share of connections and limits beside the other downloads, from now on."""
        self.change_options(priority=priority)

    def change_options(self, **changes: Any) -> bool:
        """Other options for this download, from now on; ``changes`` as for :meth:`Client.add`. Whether it begins again
        for them, with all that is there: nothing is lost.

        No new beginning is needed for ``task_limit``, ``priority``, ``task_upload_limit``, ``ratio``, ``seed_time`` and
        ``files``. Raises UsageError, also for ``dir`` and ``out`` once its place is settled.
        """
        settled = changed_for_one(self._options, changes)
        names = {name for name in changes if getattr(settled, name) != getattr(self._options, name)}
        if (moved := names & {"dir", "out"}) and self._download.target is not None:
            raise UsageError(
                f"{' and '.join(sorted(moved))} cannot be changed any more: {self._download.name} is begun."
            )
        take(self._download, settled, names & LIVE)
        self._options = settled
        return bool(names - LIVE) and self._begin_again()

    def change_urls(self, remove: Sequence[str] = (), add: Sequence[str] = ()) -> tuple[int, int]:
        """Fetch nothing more from the URLs ``remove``, and from the URLs ``add``, too: how many there were of the one,
        and how many are new of the other. Of a torrent of several files they are web seeds, each for all of it.

        Raises UsageError where no URL would be left, and for what is no URL; nothing happens then.
        """
        known, add = set(urls_of(self._download)), tuple(map(opened, add))
        gone = [url for url in dict.fromkeys(remove) if url in known]
        new = [url for url in dict.fromkeys(add) if url not in known.difference(gone)]
        for url in new:
            if scheme_of(url) not in REMOTE_SCHEMES or origin_of(url) is None:
                raise UsageError(f"{shown_url(url)[:200]}: it is no URL of a server.")
        if known and not known.difference(gone) and not new and self.swarm() is None:
            raise UsageError(f"{self._download.name}: no URL would be left; name another one with it.")
        self._keep_urls(gone, new)
        change_urls(self._download, gone, new)
        return len(gone), len(new)

    def _keep_urls(self, gone: Sequence[str], new: Sequence[str]) -> None:
        """For when it begins again."""
        request = self._request
        if request.url in gone and self._download.target is not None:
            self._keep_place(self._download.target.path)
        mirrors = (*(url for url in request.mirrors if url not in gone), *(url for url in new if url != request.url))
        self._request = replace(request, mirrors=mirrors)
        self._removed = (self._removed | frozenset(gone)) - frozenset(new)

    def recheck(self) -> bool:
        """Read back and check all that is there, then go on. False where nothing is left to check: it has ended, or is
        being shared."""
        self._is_to_recheck = can = not self._over.done() and not self._download.is_whole
        self._begin_again()
        return can

    def _begin_again(self) -> bool:
        """Have a running download begin anew, with what is there."""
        if self._run is not None and self._wanted is None and not self._download.is_whole:
            self.pause()
            self.resume()
        return self._run is not None and self._wanted is Status.ACTIVE

    def _keep_place(self, path: str) -> None:
        folder, name = os.path.split(path)
        self._options = replace(self._options, dir=folder or ".", out=name)

    def _stop(self, status: Status) -> None:
        if self._run is None or self._run.done() or self._wanted is Status.CANCELLED:
            return
        before, self._wanted = self._wanted, status
        if before is None:
            # Once only: a second cancellation would cut short how the first one leaves part file and journal.
            self._run.cancel()

    def _ended(self, run: asyncio.Task[Result]) -> None:
        left = self._download
        try:
            self._settle(run, left)
        finally:
            self._session.leave_swarm(left)

    def _settle(self, run: asyncio.Task[Result], left: Download) -> None:
        self._run = None
        wanted, self._wanted = self._wanted, None
        if not run.cancelled():
            # A bug in one download is that download's failure alone.
            bug = run.exception()
            failed = self._download.result(None, bug if isinstance(bug, Exception) else Cancelled())
            self._over.set_result(run.result() if bug is None else replace(failed, status=Status.FAILED))
        elif self._download.saved_path is not None:
            # It had its name already.
            self._over.set_result(self._download.result(self._download.saved_path))
        elif wanted is Status.PAUSED:
            self._download.status = Status.PAUSED
        elif wanted is Status.ACTIVE:
            self.resume()
            # Left free for a moment, another download of it would get in, and this one could not go on.
            self._session.pass_on_swarm(left, self._download)
        else:
            self._over.set_result(self._stopped())

    def _stopped(self) -> Result:
        self._download.status = Status.CANCELLED
        return self._download.result(None, Cancelled())

    def _new_download(self) -> Download:
        request, options, removed = self._request, self._options, self._removed
        if request.whole is not None:
            return SharedAgain(self._session, options, request.url, request.whole)
        if self._is_to_recheck:
            self._is_to_recheck, options = False, replace(options, verify_resumed=True)
        # One that was named as a torrent is one, whatever it is called.
        by_torrent = options.torrent == request.url or (names_torrent(request.url) and options.follow)
        metalink = None if by_torrent else metalink_named(request.url, options)
        by_document = by_torrent or metalink is not None or self._offer is not None
        mirrors = request.mirrors
        if request.new_url is not None and by_document:
            # What tells of the file has not expired: it is one more source.
            mirrors = (request.new_url, *mirrors)
        own = () if request.url in removed else (request.url,)
        if by_torrent:
            named = replace(options, torrent=request.url)
            download = Download(self._session, mirrors, named, request.url, without=removed)
        elif by_document:
            urls = mirrors if metalink in (request.url, None) else (*own, *mirrors)
            download = Download(
                self._session, urls, options, request.url, self._torrent, self._offer, metalink or request.url,
                without=removed,
            )  # fmt: skip
        else:
            # Its login is for the first URL's server alone, whether that is still asked or not.
            download = Download(
                self._session, (*own, *mirrors), options, "" if own else request.url, self._torrent,
                without=removed,
            )  # fmt: skip
            if own and request.new_url is not None:
                download.candidates.replace_origin(request.new_url)
            elif own and request.renewed_url is not None:
                download.candidates.origin.go_to(request.renewed_url)
        download.on_torrents = self._join_peers
        download.said_bytes, download.may_be_one_file = request.size_bytes, request.may_be_one_file
        download.on_commit, download.on_settled = request.on_commit, request.on_settled or download.on_settled
        download.on_sharing = request.on_sharing
        return download

    def _join_peers(self, references: tuple[str, ...]) -> None:
        """Have peers join of the first of these torrents that can be had."""
        if self._joining is None and self._options.torrent is None:
            self._joining = self._session.loop.create_task(self._join_any(references))
            self._over.add_done_callback(lambda _: self._joining and self._joining.cancel())

    async def _join_any(self, references: tuple[str, ...]) -> None:
        for reference in references:
            try:
                await self._add_torrent(reference, self._download.url)
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
