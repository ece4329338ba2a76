"""One file, from its URLs to its final name: opens sources, drives the scheduler, checks, commits.

Order of things: open the origin (mirrors meanwhile) -> name and version -> ledger (part file, journal) ->
scheduler and lanes until every byte is there and proven -> whole-file checks -> commit. Bytes of a source are
let in only after its head was compared with the version begun. :meth:`Download.run` never raises but for
cancellation: how it ended is in the Result.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from thunderdl.core.protocol import (
    Cancel,
    Close,
    Command,
    Complete,
    Event,
    Fetch,
    HostCap,
    Shrink,
    SourceLost,
    SourceOpened,
    Tick,
)
from thunderdl.core.scheduler import Scheduler
from thunderdl.core.trust import Verdict, Version, compare
from thunderdl.engine.blame import Blame
from thunderdl.engine.candidates import Candidate, Candidates, source_of
from thunderdl.engine.lanes import Lanes, OpenSource
from thunderdl.engine.ledger import Ledger, granule_bytes
from thunderdl.engine.naming import Target, choose_target, guess_target
from thunderdl.engine.opening import Opening, release
from thunderdl.engine.resumption import Resumption, first_range, version_of
from thunderdl.engine.session import Session
from thunderdl.engine.single import save_small, save_stream, whole_body
from thunderdl.engine.snapshot import progress_of, source_progress
from thunderdl.errors import BadContent, ContentChanged, RangesUnsupported, ThunderdlError, shown_url
from thunderdl.model import ContentKey, Progress, Result, Status
from thunderdl.options import Exists, Options

TICK_S = 0.1


class Download:
    """``urls``: the origin first, then its mirrors."""

    def __init__(self, session: Session, urls: Sequence[str], options: Options) -> None:
        self.session, self.options = session, options
        self.candidates = Candidates(session, urls, options)
        self.status = Status.QUEUED
        self.notes: list[str] = []
        self.target: Target | None = None
        self.ledger: Ledger | None = None
        self.scheduler: Scheduler | None = None
        self.lanes: Lanes | None = None
        self.version = Version()
        self.content_key: ContentKey | None = None
        self.single_bytes = 0
        self.started = time.monotonic()
        self._blame: Blame | None = None
        self._queue: deque[Event] = deque()
        self._telling = False
        self._caps: dict[str, int] = {}
        self._settled: asyncio.Future[None] = session.loop.create_future()

    def progress(self) -> Progress:
        """A snapshot of now."""
        return progress_of(self)

    # -- its life

    async def run(self) -> Result:
        """Download it; how it ended. Raises only CancelledError."""
        self.status, self.started = Status.ACTIVE, time.monotonic()
        path: str | None = None
        verified: tuple[str, ...] = ()
        error: ThunderdlError | None = None
        try:
            path, verified = await self._download()
            self.status = Status.COMPLETE
        except _Skipped as skipped:
            path, self.status = skipped.path, Status.SKIPPED
        except asyncio.CancelledError:
            self.status = Status.CANCELLED
            await asyncio.shield(self._leave())
            raise
        except ThunderdlError as caught:
            error, self.status = caught, Status.FAILED
            await self._leave()
        self.candidates.close()
        return self.result(path, verified, error)

    def result(self, path: str | None, verified: tuple[str, ...] = (), error: Exception | None = None) -> Result:
        """The Result as things stand."""
        sources = source_progress(self)
        size = self.version.size if self.version.size is not None else self.single_bytes
        return Result(
            url=self.candidates.origin.url, path=path, bytes=size if path else 0,
            seconds=time.monotonic() - self.started, status=self.status, verified=verified,
            resumed_bytes=self.ledger.resumed_bytes if self.ledger else 0,
            wasted_bytes=sum(source.wasted_bytes for source in sources), sources=sources,
            content_key=self.content_key, notes=tuple(self.notes), error=error,
        )  # fmt: skip

    async def _download(self) -> tuple[str, tuple[str, ...]]:
        guess = guess_target(self.candidates.origin.url, self.options)
        if self.options.exists is Exists.SKIP and not guess.free:
            raise _Skipped(guess.path)
        if guess.has_journal:
            ledger = await self._open_ledger(guess)
            if ledger.resumed is not None and ledger.resumed.header.size == ledger.resumed.written.total:
                return await self._finish_resumed(ledger)
        first = await self.candidates.first(lambda candidate: first_range(self.ledger, candidate))
        while self.ledger is None and first.opening and (body := whole_body(first.opening)) is not None:
            try:
                return await self._small(first, first.opening, body)
            except BadContent as error:
                first = await self._elsewhere(first, error)
        return await self._large(first)

    async def _leave(self) -> None:
        """Stop, and leave everything for another time."""
        self.candidates.close()
        if self.lanes is not None:
            self.scheduler = None
            await self.lanes.stop()
        if self.ledger is None:
            return
        if self.ledger.written.total or self.ledger.resumed is not None:
            await self.ledger.close([(c.url, c.source.bytes) for c in self.candidates.all if c.source])
        else:
            await self.ledger.discard()

    # -- one body

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
        if not self.target.free and self.options.exists is Exists.SKIP:
            raise _Skipped(self.target.path)
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

    async def _stream(self, first: Candidate, opening: Opening, ledger: Ledger) -> tuple[str, tuple[str, ...]]:
        """A body of unknown length, or coded: one connection, in order, nothing to resume."""
        self.notes.append(f"{shown_url(first.url)} tells no size: one connection, and no resume")
        source = first.source = source_of(first, opening, self.version, self.options.timeout)

        def count(done_bytes: int) -> None:
            self.single_bytes = source.bytes = done_bytes

        count(await save_stream(self.session, self.options, ledger, opening, count))
        return await self._check_and_commit(ledger)

    # -- many ranges

    async def _large(self, first: Candidate) -> tuple[str, tuple[str, ...]]:
        opening = first.opening
        assert opening is not None
        target = choose_target(self.candidates.origin.url, opening.head, self.options)
        ledger = self.ledger
        if ledger is None or ledger.part.target != target.path:
            if ledger is not None:
                await ledger.close()
            if not target.free and self.options.exists is Exists.SKIP:
                raise _Skipped(target.path)
            ledger = await self._open_ledger(target)
        resumption = Resumption(self.session, self.options, ledger, self.notes)
        opening, self.version = await resumption.settle(self.candidates, first, opening)
        if self.version.size is None:
            return await self._stream(first, opening, ledger)
        self._start(first, opening, ledger)
        while True:
            await self._until_settled(ledger)
            try:
                return await self._check_and_commit(ledger)
            except BadContent as error:
                self._settled = self.session.loop.create_future()
                if self._blame is None or not self._blame.hunt(error):
                    raise

    async def _open_ledger(self, target: Target) -> Ledger:
        self.target = target
        await self.session.on_disk(target.make_folder)
        self.ledger = await self.session.on_disk(Ledger.open, self.session, self.options, target.path)
        self.ledger.on_fault, self.ledger.on_verified = self._fault, self._look
        return self.ledger

    async def _finish_resumed(self, ledger: Ledger) -> tuple[str, tuple[str, ...]]:
        """Everything was there when the last run ended: only the checks and the final name are left."""
        assert ledger.resumed is not None
        self.version = ledger.resumed.version
        bad: list[BadContent] = []
        ledger.on_bad_piece = lambda start, end: bad.append(
            BadContent(f"{ledger.part.target}, bytes {start}-{end - 1}", "the given hash", "another")
        )
        ledger.go_on(self.version)
        await ledger.pieces_checked()
        if bad:
            ledger.drop_unverified()
            raise bad[0]
        return await self._check_and_commit(ledger)

    def _start(self, first: Candidate, opening: Opening, ledger: Ledger) -> None:
        size, pieces = self.version.size or 0, self.options.piece_hashes
        self.scheduler = Scheduler(
            size=size, filled=ledger.written.copy(), align=pieces.piece_length if pieces else granule_bytes(size),
            host_lanes=self.options.per_host, all_lanes=self.options.connections, retries=self.options.retries,
            stall_s=self.options.timeout, jitter=self.session.jitter,
        )  # fmt: skip
        self.lanes = Lanes(self.session, ledger, self.tell, self._fault, self._attempt_failed)
        self._blame = Blame(ledger, self.candidates, self.notes, self.tell)
        ledger.on_bad_piece = self._blame.bad_piece
        self._admit(first, opening)
        self.candidates.admit_to(self._join, first)

    def _admit(self, candidate: Candidate, opening: Opening) -> None:
        """Let a source in whose version was found to be ours."""
        assert self.lanes is not None
        assert self.scheduler is not None
        seen = Version(size=self.version.size, validators=opening.head.validators)
        candidate.source = source_of(candidate, opening, seen, self.options.timeout)
        transfer, status, size = opening.transfer, opening.head.status, self.version.size or 0
        start, end = transfer.start, min(transfer.end, size)
        if status == 200:
            start, end = 0, size
            transfer.start = transfer.position = 0
            candidate.notes.append("sends no ranges: one connection, from the start")
        if transfer.body is not None or status == 416:
            start = end = 0
        lane = self.scheduler.new_lane()
        self.lanes.adopt(lane, candidate.source, opening)
        opened = SourceOpened(
            source=candidate.id, host=candidate.source.host, lane=lane, start=start, end=end,
            latency_s=transfer.latency_s or 0.0, random_access=status != 200,
        )  # fmt: skip
        self.tell(opened)

    async def _join(self, candidate: Candidate) -> None:
        """A mirror has answered: let it in if it serves what the others do."""
        opening = candidate.opening
        assert opening is not None
        seen = version_of(opening)
        if why := self._why_refused(seen, opening):
            self.notes.append(f"{shown_url(candidate.url)} is not used: {why}")
            candidate.error = ContentChanged(candidate.url, str(self.version), str(seen))
            self.candidates.attempts.append(candidate.error)
            candidate.opening = None
            release(self.session, opening)
        else:
            self._admit(candidate, opening)

    def _why_refused(self, seen: Version, opening: Opening) -> str:
        if seen.size != self.version.size:
            return f"its file has {seen.size} bytes, the others' {self.version.size}"
        if opening.head.coded:
            return "it sends the file compressed"
        if self.options.checksum or self.options.piece_hashes:
            return ""
        same_date = seen.validators.last_modified == self.version.validators.last_modified is not None
        if compare(self.version, seen) is Verdict.SAME or same_date:
            return ""
        return "no hash was given, and its validators do not show that it is the same version"

    # -- driving the scheduler

    def tell(self, event: Event) -> None:
        """Hand an event to the scheduler and perform what it says; events that follow wait their turn."""
        self._queue.append(event)
        if self._telling:
            return
        self._telling = True
        try:
            while self._queue:
                following = self._queue.popleft()
                if self.scheduler is None:
                    continue
                self._update_caps(self.scheduler)
                for command in self.scheduler.handle(following, time.monotonic()):
                    self._perform(command)
        finally:
            self._telling = False

    def _update_caps(self, scheduler: Scheduler) -> None:
        """Slots that other downloads hold are none of ours."""
        assert self.lanes is not None
        for candidate in self.candidates.all:
            if (source := candidate.source) is None:
                continue
            cap = self.lanes.slots_of(source.host) + self.session.pool.free_slots(source.request.address.endpoint)
            if self._caps.get(source.host) != cap:
                self._caps[source.host] = cap
                for command in scheduler.handle(HostCap(source.host, cap), time.monotonic()):
                    self._perform(command)

    def _perform(self, command: Command) -> None:
        assert self.lanes is not None
        if isinstance(command, Fetch):
            source = self.candidates.by_id(command.source).source
            assert source is not None
            self.lanes.fetch(command, source)
        elif isinstance(command, Shrink):
            self.lanes.shrink(command)
        elif isinstance(command, Cancel):
            self.lanes.cancel(command)
        elif isinstance(command, Close):
            self.lanes.close(command)
        elif isinstance(command, Complete):
            self._look()
        elif not self.candidates.still_opening:
            self._fault(self.candidates.failure())

    async def _until_settled(self, ledger: Ledger) -> None:
        """Tick until all is there and checked, or an error ends it."""
        assert self.lanes is not None
        self.tell(Tick())
        self._look()
        while not self._settled.done():
            await asyncio.wait({self._settled}, timeout=TICK_S)
            self.lanes.poll()
            self.tell(Tick())
            ledger.keep_durable()
        self._settled.result()

    def _look(self) -> None:
        if self.ledger is not None and self.ledger.all_checked and not self._settled.done():
            self._settled.set_result(None)

    def _fault(self, error: ThunderdlError) -> None:
        if not self._settled.done():
            self._settled.set_exception(error)
            # Heard also where nobody waits for it: a barrier may fail after the last byte.
            self._settled.exception()

    def _attempt_failed(self, source: OpenSource, error: ThunderdlError) -> None:
        attempts = self.candidates.attempts
        if not attempts or str(attempts[-1]) != str(error):
            attempts.append(error)
        if isinstance(error, ContentChanged):
            self.notes.append(str(error).rstrip("."))
            self.tell(SourceLost(source.id, "its file is another version now"))
        elif isinstance(error, RangesUnsupported):
            self.tell(SourceLost(source.id, "sent the whole file instead of a range"))

    async def _check_and_commit(self, ledger: Ledger) -> tuple[str, tuple[str, ...]]:
        self.status = Status.VERIFYING
        if self.lanes is not None:
            self.lanes.poll()
        try:
            verified = await ledger.check_whole()
        except BadContent as error:
            self.status = Status.ACTIVE
            served = tuple(c.url for c in self.candidates.all if c.source and c.source.bytes)
            raise BadContent(error.where, error.expected, error.found, served) from None
        if self._blame is not None:
            self._blame.settle()
        self.content_key = await ledger.content_key()
        if self.lanes is not None:
            self.lanes.close_all()
        return await ledger.commit(), verified


class _Skipped(Exception):
    """The name is taken and the user wants it skipped."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path
