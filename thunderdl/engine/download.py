"""One file, from its URLs to its final name: opens sources, drives the scheduler, checks, commits.

Order of things: open the origin (mirrors meanwhile) -> name and version -> ledger (part file, journal) ->
scheduler and lanes until every byte is there and proven -> whole-file checks -> commit. Bytes of a source are
let in only after its head was compared with the version begun. :meth:`Download.run` never raises but for
cancellation: how it ended is in the Result.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from thunderdl.core.protocol import (
    Blamed,
    Cancel,
    Close,
    Command,
    Complete,
    Event,
    Fetch,
    HostCap,
    PieceBad,
    Shrink,
    SourceLost,
    SourceOpened,
    Tick,
)
from thunderdl.core.scheduler import Scheduler
from thunderdl.core.trust import Verdict, Version, compare
from thunderdl.engine.blame import Suspicion, whole_file_suspects
from thunderdl.engine.lanes import Lanes, OpenSource
from thunderdl.engine.ledger import Identity, Ledger, granule_bytes
from thunderdl.engine.naming import Target, choose_target, guess_target
from thunderdl.engine.opening import Opening, back_off_s, is_passing, open_source, release
from thunderdl.engine.overlap import same_bytes
from thunderdl.engine.session import Session
from thunderdl.engine.single import save_small, save_stream, whole_body
from thunderdl.engine.snapshot import progress_of, source_progress
from thunderdl.errors import (
    BadContent,
    BadResponse,
    Cancelled,
    ContentChanged,
    DownloadFailed,
    RangesUnsupported,
    StorageError,
    ThunderdlError,
    shown_url,
)
from thunderdl.model import ContentKey, Progress, Result, Status
from thunderdl.options import Exists, Options

TICK_S = 0.1
# How long an answer of a mirror waits for the origin's, which then decides what the version is.
ORIGIN_GRACE_S = 1.0


@dataclass(slots=True)
class Candidate:
    """One URL of the file, before and while it is a source."""

    id: int
    url: str
    error: ThunderdlError | None = None
    opening: Opening | None = None
    source: OpenSource | None = None
    notes: list[str] = field(default_factory=list)


class Download:
    """``urls``: the origin first, then its mirrors."""

    def __init__(self, session: Session, urls: Sequence[str], options: Options) -> None:
        self.session, self.options = session, options
        self.candidates = [Candidate(number, url) for number, url in enumerate(dict.fromkeys(urls), 1)]
        self.status = Status.QUEUED
        self.notes: list[str] = []
        self.attempts: list[ThunderdlError] = []
        self.target: Target | None = None
        self.ledger: Ledger | None = None
        self.scheduler: Scheduler | None = None
        self.lanes: Lanes | None = None
        self.version = Version()
        self.content_key: ContentKey | None = None
        self.single_bytes = 0
        self.started = time.monotonic()
        self._queue: deque[Event] = deque()
        self._telling = False
        self._caps: dict[str, int] = {}
        self._settled: asyncio.Future[None] = session.loop.create_future()
        self._suspicions: list[Suspicion] = []
        self._openers: list[asyncio.Task[None]] = []

    # -- what others see

    def progress(self) -> Progress:
        return progress_of(self)

    # -- the life of a download

    async def run(self) -> Result:
        """Download it; how it ended. Raises only CancelledError."""
        self.status = Status.ACTIVE
        self.started = time.monotonic()
        path: str | None = None
        verified: tuple[str, ...] = ()
        error: ThunderdlError | None = None
        try:
            path, verified = await self._download()
            self.status = Status.COMPLETE
        except _Skipped as skipped:
            path, self.status = skipped.path, Status.SKIPPED
        except asyncio.CancelledError:
            error, self.status = Cancelled(), Status.CANCELLED
            await asyncio.shield(self._leave())
            raise
        except ThunderdlError as caught:
            error, self.status = caught, Status.FAILED
            await self._leave()
        finally:
            for opener in self._openers:
                opener.cancel()
        return self.result(path, verified, error)

    def result(self, path: str | None, verified: tuple[str, ...] = (), error: Exception | None = None) -> Result:
        """The Result as things stand."""
        sources = source_progress(self)
        size = self.version.size if self.version.size is not None else self.single_bytes
        return Result(
            url=self.candidates[0].url, path=path, bytes=size if path else 0,
            seconds=time.monotonic() - self.started, status=self.status, verified=verified,
            resumed_bytes=self.ledger.resumed_bytes if self.ledger else 0,
            wasted_bytes=sum(source.wasted_bytes for source in sources), sources=sources,
            content_key=self.content_key, notes=tuple(self.notes), error=error,
        )  # fmt: skip

    async def _download(self) -> tuple[str, tuple[str, ...]]:
        guess = guess_target(self.candidates[0].url, self.options)
        if self.options.exists is Exists.SKIP and not guess.free:
            raise _Skipped(guess.path)
        if guess.has_journal:
            await self._open_ledger(guess)
            if self.ledger is not None and self.ledger.resumed is not None and self._all_there():
                return await self._finish_resumed()
        first = await self._first_opening()
        if first.opening is not None and (body := whole_body(first.opening)) is not None and self.ledger is None:
            return await self._small(first, first.opening, body)
        return await self._large(first)

    # -- opening

    async def _first_opening(self) -> Candidate:
        """The candidate that decides name and version: the origin where it answers soon, else the first that does."""
        if len(self.candidates) == 1:
            await self._open(self.candidates[0])
        else:
            self._openers = [asyncio.create_task(self._open(candidate)) for candidate in self.candidates]
            origin, pending = self._openers[0], set(self._openers)
            while pending and not any(c.opening for c in self.candidates):
                _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if not origin.done():
                await asyncio.wait({origin}, timeout=ORIGIN_GRACE_S)
        opened = next((c for c in self.candidates if c.opening), None)
        if opened is None:
            raise self._failure()
        return opened

    async def _open(self, candidate: Candidate) -> None:
        """Open a candidate, with patience for what may pass; its opening or its error is in it afterwards."""
        failures = 0
        while True:
            start, if_range = self._opening_range(candidate)
            try:
                candidate.opening = await open_source(self.session, candidate.url, self.options, start, if_range)
            except ThunderdlError as error:
                failures += 1
                self.attempts.append(error)
                candidate.error = error
                if not is_passing(error) or failures > self.options.retries:
                    return
                await asyncio.sleep(back_off_s(failures, error, self.session.jitter.uniform(0.75, 1.25)))
                continue
            candidate.error = None
            if self.lanes is not None:
                await self._join(candidate)
            return

    def _opening_range(self, candidate: Candidate) -> tuple[int, str | None]:
        """Where a first request begins: what is missing, each source at another place."""
        resumed = self.ledger.resumed if self.ledger else None
        if resumed is None or resumed.header.size is None:
            return 0, None
        gaps = list(resumed.written.gaps(0, resumed.header.size))
        start = gaps[(candidate.id - 1) % len(gaps)][0] if gaps else 0
        return start, resumed.version.validators.strong_etag if candidate.id == 1 and start else None

    def _failure(self) -> ThunderdlError:
        if len(self.candidates) == 1 and len(set(map(str, self.attempts))) == 1:
            return self.attempts[-1]
        return DownloadFailed(shown_url(self.candidates[0].url), tuple(self.attempts))

    # -- one body

    async def _small(self, first: Candidate, opening: Opening, body: bytes) -> tuple[str, tuple[str, ...]]:
        """A file that came whole with its first answer."""
        self.version = Version(size=len(body), validators=opening.head.validators)
        self.target = choose_target(self.candidates[0].url, opening.head, self.options)
        first.source = self._source_of(first, opening, self.version)
        first.source.bytes = len(body)
        self._give_back(opening)
        try:
            path, verified, self.content_key = await save_small(self.session, self.options, self.target, body)
        except BadContent as error:
            blamed = BadContent(error.where, error.expected, error.found, (first.url,))
            self.attempts.append(blamed)
            first.error, first.opening, first.source.wasted_bytes = blamed, None, len(body)
            others = [c for c in self.candidates if c.opening or (c.error is None and c is not first)]
            if not others:
                raise self._failure() from None
            self.notes.append(f"{shown_url(first.url)} served wrong bytes; fetched again elsewhere")
            self.candidates.remove(first)
            self.candidates.append(first)
            return await self._next_small()
        return path, verified

    async def _next_small(self) -> tuple[str, tuple[str, ...]]:
        while not any(c.opening for c in self.candidates) and any(not t.done() for t in self._openers):
            await asyncio.wait({t for t in self._openers if not t.done()}, return_when=asyncio.FIRST_COMPLETED)
        found = next((c for c in self.candidates if c.opening), None)
        if found is None or found.opening is None:
            raise self._failure()
        body = whole_body(found.opening)
        if body is None:
            return await self._large(found)
        return await self._small(found, found.opening, body)

    def _give_back(self, opening: Opening) -> None:
        """The answer is complete: keep its connection for others."""
        if opening.connection is not None:
            self.session.pool.keep(opening.endpoint, opening.connection)
            opening.connection = None
        self.session.pool.free_slot(opening.endpoint)

    async def _stream(self, first: Candidate, opening: Opening) -> tuple[str, tuple[str, ...]]:
        """A body of unknown length, or coded: one connection, in order, nothing to resume."""
        assert self.ledger is not None
        self.notes.append(f"{shown_url(first.url)} tells no size: one connection, and no resume")
        source = first.source = self._source_of(first, opening, self.version)

        def count(done_bytes: int) -> None:
            self.single_bytes = source.bytes = done_bytes

        self.single_bytes = await save_stream(self.session, self.options, self.ledger, opening, count)
        return await self._check_and_commit()

    # -- many ranges

    async def _large(self, first: Candidate) -> tuple[str, tuple[str, ...]]:
        opening = first.opening
        assert opening is not None
        target = choose_target(self.candidates[0].url, opening.head, self.options)
        if self.ledger is None or self.ledger.part.target != target.path:
            await self._close_ledger()
            if not target.free and self.options.exists is Exists.SKIP:
                release(self.session, opening)
                raise _Skipped(target.path)
            await self._open_ledger(target)
        self.target = target
        self.version = Version(size=self._size_of(opening), validators=opening.head.validators)
        opening = await self._settle_resume(first, opening)
        if self.version.size is None:
            return await self._stream(first, opening)
        self._start(first, opening)
        while True:
            await self._until_settled()
            try:
                return await self._check_and_commit()
            except BadContent as error:
                if not self._hunt(error):
                    raise

    def _size_of(self, opening: Opening) -> int | None:
        try:
            return opening.head.total_bytes
        except ValueError as error:
            raise BadResponse(opening.url, str(error)) from None

    async def _open_ledger(self, target: Target) -> None:
        self.target = target
        await self.session.on_disk(target.make_folder)
        self.ledger = await self.session.on_disk(Ledger.open, self.session, self.options, target.path)
        self.ledger.on_bad_piece, self.ledger.on_fault = self._bad_piece, self._fault
        self.ledger.on_verified = self._look

    async def _close_ledger(self) -> None:
        if self.ledger is not None:
            await self.ledger.close()
            self.ledger = None

    def _all_there(self) -> bool:
        assert self.ledger is not None
        resumed = self.ledger.resumed
        return resumed is not None and resumed.header.size == resumed.written.total

    async def _finish_resumed(self) -> tuple[str, tuple[str, ...]]:
        """Everything was there when the last run ended: only the checks and the final name are left."""
        assert self.ledger is not None
        assert self.ledger.resumed is not None
        self.version = self.ledger.resumed.version
        self.ledger.go_on(self.version)
        self._look()
        await self._settled
        return await self._check_and_commit()

    async def _settle_resume(self, first: Candidate, opening: Opening) -> Opening:
        """Go on from the journal where it speaks of this version, else begin anew and say why."""
        assert self.ledger is not None
        resumed = self.ledger.resumed
        kept = resumed.written.total if resumed else 0
        reason = ""
        if resumed is not None and kept:
            reason = await self._why_not_resumed(resumed.version, opening)
            if not reason:
                self.version = replace(self.version, size=resumed.header.size)
                self.ledger.go_on(self.version)
                return await self._reopened_at_gap(first, opening)
            self.notes.append(f"{kept} bytes of an earlier run were thrown away: {reason}")
        identity = Identity(
            url=self.candidates[0].url, mirrors=tuple(c.url for c in self.candidates[1:]),
            name=os.path.basename(self.ledger.part.target), version=self.version,
        )  # fmt: skip
        if opening.head.status == 416 or (opening.transfer.start and reason):
            opening = await self._reopen(first, opening, 0)
            self.version = Version(size=self._size_of(opening), validators=opening.head.validators)
            identity.version = self.version
        await self.session.on_disk(self.ledger.begin, identity)
        return opening

    async def _why_not_resumed(self, before: Version, opening: Opening) -> str:
        """Empty where what is there may be kept."""
        assert self.ledger is not None
        if opening.head.status == 416:
            return f"the server has another size now ({self.version.size} bytes, it was {before.size})"
        verdict = compare(before, self.version)
        if verdict is Verdict.DIFFERENT:
            return str(ContentChanged(opening.url, str(before), str(self.version))).rstrip(".")
        if opening.head.status == 200 and opening.transfer.start == 0 and verdict is Verdict.UNPROVEN:
            return "the server sends no ranges, and nothing proves that the file is the same"
        if verdict is Verdict.UNPROVEN and not await same_bytes(self.session, opening, self.options, self.ledger):
            return f"{shown_url(opening.url)} now serves other bytes"
        return ""

    async def _reopened_at_gap(self, first: Candidate, opening: Opening) -> Opening:
        """If-Range was answered with the whole file although it is the same (a CDN's node): ask without it."""
        if opening.head.status != 200 or opening.head.get("accept-ranges") == "none":
            return opening
        assert self.ledger is not None
        gap = self.ledger.written.first_gap(0, self.version.size or 0)
        return await self._reopen(first, opening, gap[0]) if gap and gap[0] else opening

    async def _reopen(self, first: Candidate, opening: Opening, start: int) -> Opening:
        release(self.session, opening)
        first.opening = await open_source(self.session, first.url, self.options, start, None)
        return first.opening

    def _start(self, first: Candidate, opening: Opening) -> None:
        assert self.ledger is not None
        size = self.version.size or 0
        pieces = self.options.piece_hashes
        self.scheduler = Scheduler(
            size=size, filled=self.ledger.written.copy(),
            align=pieces.piece_length if pieces else granule_bytes(size), host_lanes=self.options.per_host,
            all_lanes=self.options.connections, retries=self.options.retries, stall_s=self.options.timeout,
            jitter=self.session.jitter,
        )  # fmt: skip
        self.lanes = Lanes(self.session, self.ledger, self.tell, self._fault, self._attempt_failed)
        self._admit(first, opening)
        for candidate in self.candidates:
            if candidate is not first and candidate.opening is not None:
                self._openers.append(asyncio.create_task(self._join(candidate)))

    def _source_of(self, candidate: Candidate, opening: Opening, version: Version) -> OpenSource:
        return OpenSource(
            id=candidate.id, url=candidate.url, request=opening.request, version=version,
            timeout_s=self.options.timeout,
        )  # fmt: skip

    def _admit(self, candidate: Candidate, opening: Opening) -> None:
        """Let a source in whose version was found to be ours."""
        assert self.lanes is not None
        assert self.scheduler is not None
        seen = Version(size=self.version.size, validators=opening.head.validators)
        candidate.source = self._source_of(candidate, opening, seen)
        lane = self.scheduler.new_lane()
        transfer, status = opening.transfer, opening.head.status
        start, end = transfer.start, min(transfer.end, self.version.size or 0)
        if status == 200:
            start, end = 0, self.version.size or 0
            transfer.start = transfer.position = 0
        if transfer.body is not None or status == 416:
            start = end = 0
        opened = SourceOpened(
            source=candidate.id, host=candidate.source.host, lane=lane, start=start, end=end,
            latency_s=transfer.latency_s or 0.0, random_access=status != 200,
        )  # fmt: skip
        self.lanes.adopt(lane, candidate.source, opening)
        if status == 200:
            candidate.notes.append("sends no ranges: one connection, from the start")
        self.tell(opened)

    async def _join(self, candidate: Candidate) -> None:
        """A mirror has answered: let it in if it serves what the others do."""
        opening = candidate.opening
        assert opening is not None
        seen = Version(size=opening.head.total_bytes, validators=opening.head.validators)
        why = self._why_refused(seen, opening)
        if why:
            self.notes.append(f"{shown_url(candidate.url)} is not used: {why}")
            candidate.error = ContentChanged(candidate.url, str(self.version), str(seen))
            self.attempts.append(candidate.error)
            release(self.session, opening)
            candidate.opening = None
            return
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
        if self._telling or self.scheduler is None:
            return
        self._telling = True
        try:
            while self._queue:
                following = self._queue.popleft()
                self._update_caps()
                for command in self.scheduler.handle(following, time.monotonic()):
                    self._perform(command)
        finally:
            self._telling = False

    def _update_caps(self) -> None:
        """Slots that other downloads hold are none of ours."""
        assert self.lanes is not None
        assert self.scheduler is not None
        for candidate in self.candidates:
            if (source := candidate.source) is None:
                continue
            cap = self.lanes.slots_of(source.host) + self.session.pool.free_slots(source.request.address.endpoint)
            if self._caps.get(source.host) != cap:
                self._caps[source.host] = cap
                for command in self.scheduler.handle(HostCap(source.host, cap), time.monotonic()):
                    self._perform(command)

    def _perform(self, command: Command) -> None:
        assert self.lanes is not None
        if isinstance(command, Fetch):
            source = next(c.source for c in self.candidates if c.id == command.source)
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
        elif all(opener.done() for opener in self._openers):
            self._fault(self._failure())

    async def _until_settled(self) -> None:
        """Tick until all is there and checked, or an error ends it."""
        assert self.lanes is not None
        assert self.ledger is not None
        self._look()
        while not self._settled.done():
            await asyncio.wait({self._settled}, timeout=TICK_S)
            self.lanes.poll()
            self.tell(Tick())
            self.ledger.keep_durable()
        self._settled.result()

    def _look(self) -> None:
        if self.ledger is not None and self.ledger.all_checked and not self._settled.done():
            self._settled.set_result(None)

    def _fault(self, error: ThunderdlError) -> None:
        if not self._settled.done():
            self._settled.set_exception(error)

    def _attempt_failed(self, source: OpenSource, error: ThunderdlError) -> None:
        if not self.attempts or str(self.attempts[-1]) != str(error):
            self.attempts.append(error)
        if isinstance(error, ContentChanged):
            self.notes.append(str(error).rstrip("."))
            self.tell(SourceLost(source.id, "its file is another version now"))
        elif isinstance(error, RangesUnsupported):
            self.tell(SourceLost(source.id, "sent the whole file instead of a range"))

    # -- wrong bytes

    def _bad_piece(self, start: int, end: int) -> None:
        """A piece does not match its hash: fetch it again, elsewhere where there is an elsewhere."""
        assert self.ledger is not None
        suspects = self.ledger.origin.sources_of(start, end)
        names = ", ".join(shown_url(c.url) for c in self.candidates if c.id in suspects) or "an earlier run"
        self.notes.append(f"bytes {start}-{end - 1} from {names} did not match their hash; fetched again")
        self.attempts.append(BadContent(f"bytes {start}-{end - 1}", "the given hash", "another", (names,)))
        self._waste(start, end)
        self.ledger.drop(start, end)
        culprits = suspects if len(suspects) == 1 else frozenset[int]()
        self.tell(PieceBad(start, end, suspects, culprits))

    def _waste(self, start: int, end: int) -> None:
        assert self.ledger is not None
        for first, last, source_id in self.ledger.origin.within(start, end):
            for candidate in self.candidates:
                if candidate.id == source_id and candidate.source is not None:
                    candidate.source.wasted_bytes += last - first
                    candidate.source.bytes -= last - first
        self.ledger.origin.remove(start, end)

    def _hunt(self, error: BadContent) -> bool:
        """The whole is wrong and no piece says where: fetch one source's part again from others."""
        assert self.ledger is not None
        assert self.scheduler is not None
        self.attempts.append(error)
        suspicion = whole_file_suspects(self.ledger, self._suspicions, [c for c in self.candidates if c.source])
        if suspicion is None:
            return False
        self._suspicions.append(suspicion)
        name = shown_url(next(c.url for c in self.candidates if c.id == suspicion.source))
        self.notes.append(f"the checksum was wrong; the part from {name} was fetched again elsewhere to compare")
        self._settled = self.session.loop.create_future()
        for start, end in suspicion.extents:
            self._waste(start, end)
            self.ledger.drop(start, end)
            self.tell(PieceBad(start, end, frozenset({suspicion.source}), frozenset()))
        return True

    # -- ending

    async def _check_and_commit(self) -> tuple[str, tuple[str, ...]]:
        assert self.ledger is not None
        self.status = Status.VERIFYING
        if self.lanes is not None:
            self.lanes.poll()
        try:
            verified = await self.ledger.check_whole()
        except BadContent as error:
            self.status = Status.ACTIVE
            served = tuple(c.url for c in self.candidates if c.source and c.source.bytes)
            raise BadContent(error.where, error.expected, error.found, served) from None
        self._name_culprit()
        self.content_key = await self.ledger.content_key()
        if self.lanes is not None:
            self.lanes.close_all()
        return await self.ledger.commit(), verified

    def _name_culprit(self) -> None:
        if self._suspicions and self.ledger is not None:
            last = self._suspicions[-1]
            if last.differs(self.ledger):
                name = shown_url(next(c.url for c in self.candidates if c.id == last.source))
                self.notes.append(f"{name} served wrong bytes; the file is right now")
                self.tell(Blamed(last.source))

    async def _leave(self) -> None:
        """Stop, and leave everything for another time."""
        for candidate in self.candidates:
            if candidate.opening is not None and candidate.source is None:
                release(self.session, candidate.opening)
                candidate.opening = None
        if self.lanes is not None:
            self.scheduler = None
            await self.lanes.stop()
        if self.ledger is not None:
            served = [(c.url, c.source.bytes) for c in self.candidates if c.source]
            if self.ledger.written.total or self.ledger.resumed is not None:
                await self.ledger.close(served)
            else:
                await self.ledger.discard()


class _Skipped(Exception):
    """The name is taken and the user wants it skipped."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


__all__ = ["Candidate", "Download", "StorageError"]
