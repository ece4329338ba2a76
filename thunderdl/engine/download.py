"""One file, from its URLs to its final name.

The origin is opened first (mirrors meanwhile). A file that came whole with the first answer is checked and saved
right here; anything larger goes to :mod:`thunderdl.engine.ranged`, which is loaded then (scheduler, journal and
hashing cost a small file's start 40 ms for nothing), or with mirrors while they are asked: whoever names mirrors
means a large file. :meth:`Download.run` never raises but for cancellation: how it ended is in the Result.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from thunderdl.core.trust import Version
from thunderdl.engine.candidates import Candidate, Candidates, from_the_start, source_of
from thunderdl.engine.naming import Skipped, Target, choose_target, guess_target
from thunderdl.engine.opening import Opening
from thunderdl.engine.session import Session
from thunderdl.engine.single import save_small, whole_body
from thunderdl.engine.snapshot import progress_of, source_progress
from thunderdl.errors import BadContent, ThunderdlError, foreseen, printable, shown_url
from thunderdl.formats.links import REMOTE_SCHEMES, scheme_of
from thunderdl.model import ContentKey, Explanation, Progress, Result, Status
from thunderdl.options import Exists, Options

if TYPE_CHECKING:
    from thunderdl.engine.ranged import Ranged
    from thunderdl.engine.sharing_back import SharingBack
    from thunderdl.sources.swarm.torrent import Torrent


# A download that has run for so long and has so long to go is long.
LONG_S, LONG_LEFT_S = 3.0, 10.0
# Mirrors that have not answered by then leave time to load what ranges need.
LOAD_AFTER_S = 0.01


class Download:
    """``urls``: the origin first, then its mirrors; none where ``options.torrent`` names what it is. ``url``: what the
    user asked for, where that is none of them; ``torrent``: where it is loaded already."""

    def __init__(
        self, session: Session, urls: Sequence[str], options: Options, url: str = "", torrent: Torrent | None = None
    ) -> None:  # fmt: skip
        self.session, self.options = session, options
        self.candidates = Candidates(session, urls, options)
        self.url = url or self.candidates.origin.url
        self.torrent = torrent
        self.status = Status.QUEUED
        self.notes: list[str] = []
        self.target: Target | None = None
        self.version = Version()
        self.content_key: ContentKey | None = None
        self.single_bytes = 0
        self.started = time.monotonic()
        self.ranged: Ranged | None = None
        # Held, or the garbage collector may take the task.
        self._loading: asyncio.Task[None] | None = None
        # While it is shared after its end, and since when it is whole.
        self.sharing: SharingBack | None = None
        self.ended: float | None = None

    def progress(self) -> Progress:
        """A snapshot of now."""
        return progress_of(self)

    def explanations(self) -> tuple[Explanation, ...]:
        """Why each source is used as it is now."""
        from thunderdl.engine.explanations import explanations

        return explanations(self)

    def is_long(self) -> bool:
        """Whether it has run for a while, and has much left to do at the rate so far."""
        if self.ranged is None or (ran_s := time.monotonic() - self.started) < LONG_S:
            return False
        size, done = self.version.size, self.ranged.fetched_bytes
        return size is None or done * LONG_LEFT_S < (size - self.ranged.resumed_bytes - done) * ran_s

    async def run(self) -> Result:
        """Download it; how it ended. Raises only CancelledError."""
        self.status, self.started = Status.ACTIVE, time.monotonic()
        path: str | None = None
        verified: tuple[str, ...] = ()
        error: ThunderdlError | None = None
        try:
            path, verified = await self._download()
            self.status = Status.COMPLETE
        except Skipped as skipped:
            path, self.status = skipped.path, Status.SKIPPED
        except asyncio.CancelledError:
            await asyncio.shield(self._leave())
            raise
        except Exception as caught:
            error, self.status = foreseen(caught), Status.FAILED
            await self._leave()
        self.candidates.close()
        if self.status is Status.COMPLETE and self.ranged is not None:
            self.notes += list(self.ranged.losses())
        await self._write_trace()
        self.ended = time.monotonic()
        if self.status is Status.COMPLETE and path is not None:
            await self._share(path)
        return self.result(path, verified, error)

    def result(self, path: str | None, verified: tuple[str, ...] = (), error: Exception | None = None) -> Result:
        """The Result as things stand."""
        sources = source_progress(self)
        size = self.version.size if self.version.size is not None else self.single_bytes
        return Result(
            url=self.url, path=path, bytes=size if path else 0,
            seconds=(self.ended or time.monotonic()) - self.started, status=self.status, verified=verified,
            resumed_bytes=self.ranged.resumed_bytes if self.ranged else 0,
            wasted_bytes=sum(source.wasted_bytes for source in sources), sources=sources,
            uploaded_bytes=self.uploaded_bytes, content_key=self.content_key, notes=tuple(self.notes), error=error,
        )  # fmt: skip

    @property
    def uploaded_bytes(self) -> int:
        """What peers had of it from us."""
        if self.sharing is not None:
            return self.sharing.sent_bytes
        return self.ranged.uploaded_bytes if self.ranged else 0

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        return shown_url(self.target.path if self.target else self.url)

    async def _download(self) -> tuple[str, tuple[str, ...]]:
        if self.torrent is not None or self.options.torrent is not None:
            return await self._by_torrent(self.options.torrent or "")
        guess = guess_target(self.candidates.origin.url, self.options)
        if self.options.exists is Exists.SKIP and not guess.free:
            raise Skipped(guess.path)
        if guess.has_journal:
            ranged = self._range()
            if (finished := await ranged.resume(guess)) is not None:
                return finished
            return await ranged.fetch(await self.candidates.first(ranged.first_range))
        if len(self.candidates.all) > 1 or scheme_of(self.candidates.origin.url) in REMOTE_SCHEMES[2:]:
            # FTP and its like take many round trips to an answer.
            self._loading = asyncio.create_task(self._load_ahead())
        try:
            first = await self.candidates.first(from_the_start)
        finally:
            if self._loading is not None:
                self._loading.cancel()
        while first.opening and (body := whole_body(first.opening)) is not None:
            try:
                return await self._small(first, first.opening, body)
            except BadContent as error:
                first = await self._elsewhere(first, error)
        return await self._range().fetch(first)

    async def _by_torrent(self, reference: str) -> tuple[str, tuple[str, ...]]:
        """What a torrent names: from its peers, and from the URLs, its own web seeds among them."""
        from thunderdl.engine.collection import Collection
        from thunderdl.engine.joint import Joint
        from thunderdl.engine.torrents import torrent_of

        torrent = self.torrent or await torrent_of(self.session, reference, self.options)
        # Mirrors of a single file are lanes of ours; those of a folder, or of pieces that nobody can prove yet, are
        # libtorrent's.
        is_joint = torrent.is_single and torrent.piece_hashes is not None
        if is_joint:
            self.candidates.add_foreign(torrent.file_urls)
        self.ranged = whole = Joint(self, torrent) if is_joint else Collection(self, torrent)
        return await whole.fetch_all()

    def _range(self) -> Ranged:
        from thunderdl.engine.ranged import Ranged

        self.ranged = Ranged(self)
        return self.ranged

    async def _load_ahead(self) -> None:
        # Begun at once it took the GIL from the first requests: they went out 12 ms later.
        await asyncio.sleep(LOAD_AFTER_S)
        if self.ranged is None:
            await self.session.on_disk(_load_ranged)

    async def _leave(self) -> None:
        """Stop, and leave everything for another time."""
        self.candidates.close()
        if self.ranged is not None:
            await self.ranged.leave()

    async def _share(self, path: str) -> None:
        """Go on giving it to peers, where that was asked for. Whatever happens, the download has succeeded."""
        if self.ranged is None or (self.options.ratio is None and self.options.seed_time is None):
            return
        from thunderdl.engine.sharing_back import SharingBack, goal_of

        goal, shared = goal_of(self.options), self.ranged.shareable(path)
        if shared is None or not goal.wants_any:
            return
        self.status, self.sharing = Status.SHARING, SharingBack(self.session, self.options, shared)
        try:
            await self.sharing.start()
            await self.sharing.run(goal)
        except asyncio.CancelledError:
            # Who cancels now has seen enough of the sharing; the file is there and stays.
            pass
        except ThunderdlError as error:
            self.notes.append(f"not shared any more: {str(error).rstrip('.')}")
        await self.sharing.stop()
        self.status = Status.COMPLETE

    async def _write_trace(self) -> None:
        """Have all of this download in the trace, or say that it is not."""
        if (trace := self.session.trace) is not None and self.ranged is not None:
            await self.session.on_disk(trace.flush)
            if trace.fault:
                self.notes.append(f"the trace {printable(trace.path)} is not complete: {trace.fault}")

    async def _small(self, first: Candidate, opening: Opening, body: bytes) -> tuple[str, tuple[str, ...]]:
        """A file that came whole with its first answer."""
        self.version = Version(size=len(body), validators=opening.head.validators)
        first.source = source_of(first, opening, self.version, self.options.timeout)
        first.source.bytes = len(body)
        if opening.connection is not None:
            self.session.pool.keep(opening.endpoint, opening.connection)
            opening.connection = None
        self.session.pool.free_slot(opening.endpoint)
        self.target = choose_target(self.candidates.origin.url, opening.head, self.options)
        path, verified, self.content_key = await save_small(self.session, self.options, self.target, body)
        return path, verified

    async def _elsewhere(self, first: Candidate, error: BadContent) -> Candidate:
        """A small file was wrong: another candidate, where there is one."""
        first.error = BadContent(error.where, error.expected, error.found, (first.url,))
        self.candidates.attempts.append(first.error)
        if first.source is not None:
            first.source.wasted_bytes, first.source.bytes = first.source.bytes, 0
        found = await self.candidates.next_after(first)
        self.notes.append(f"{shown_url(first.url)} served wrong bytes; fetched again elsewhere")
        return found


def _load_ranged() -> None:
    import thunderdl.engine.ranged  # noqa: F401 - for the next who imports it
