"""A file in many ranges: drives the scheduler until every byte is there and proven, then checks and commits.

Bytes of a source are let in only after its head was compared with the version begun. Lives on the event loop:
events of lanes reach the scheduler at once (:meth:`tell`), positions ten times a second.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

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
from thunderdl.engine.candidates import Candidate, source_of
from thunderdl.engine.lanes import Lanes
from thunderdl.engine.ledger import Ledger, granule_bytes
from thunderdl.engine.naming import Target, choose_target
from thunderdl.engine.opening import Opening, OpenSource, release
from thunderdl.engine.resumption import Resumption, first_range, version_of
from thunderdl.engine.single import save_stream
from thunderdl.errors import BadContent, ContentChanged, RangesUnsupported, ThunderdlError, shown_url
from thunderdl.model import Status

if TYPE_CHECKING:
    from thunderdl.engine.download import Download

TICK_S = 0.1
Saved = tuple[str, tuple[str, ...]]


class Ranged:
    """The part of ``download`` that begins where its first answer does not hold the whole file."""

    def __init__(self, download: Download) -> None:
        self._download = download
        self._session, self._options = download.session, download.options
        self._candidates, self._notes = download.candidates, download.notes
        self.ledger: Ledger | None = None
        self.scheduler: Scheduler | None = None
        self.lanes: Lanes | None = None
        self._blame: Blame | None = None
        self._queue: deque[Event] = deque()
        self._telling = False
        self._caps: dict[str, int] = {}
        self._settled: asyncio.Future[None] = self._session.loop.create_future()

    @property
    def resumed_bytes(self) -> int:
        return self.ledger.resumed_bytes if self.ledger else 0

    @property
    def version(self) -> Version:
        return self._download.version

    # -- beginning

    async def resume(self, guess: Target) -> Saved | None:
        """Open what an earlier run left; where nothing is missing, finish it without asking anybody."""
        ledger = await self._open_ledger(guess)
        if ledger.resumed is not None and ledger.resumed.header.size == ledger.resumed.written.total:
            return await self._finish_resumed(ledger)
        return None

    def first_range(self, candidate: Candidate) -> tuple[int, str | None]:
        """Where the first request of a candidate begins."""
        return first_range(self.ledger, candidate)

    async def fetch(self, first: Candidate) -> Saved:
        """Download from ``first`` and those that join: path and what was verified. Raises ThunderdlError."""
        opening = first.opening
        assert opening is not None
        target = choose_target(self._candidates.origin.url, opening.head, self._options)
        ledger = self.ledger
        if ledger is None or ledger.part.target != target.path:
            if ledger is not None:
                await ledger.close()
            ledger = await self._open_ledger(target)
        resumption = Resumption(self._session, self._options, ledger, self._notes)
        opening, self._download.version = await resumption.settle(self._candidates, first, opening)
        if self.version.size is None:
            return await self._stream(first, opening, ledger)
        self._start(first, opening, ledger)
        while True:
            await self._until_settled(ledger)
            try:
                return await self._check_and_commit(ledger)
            except BadContent as error:
                self._settled = self._session.loop.create_future()
                if self._blame is None or not self._blame.hunt(error):
                    raise

    async def leave(self) -> None:
        """Stop; what is worth keeping stays on the disk."""
        if self.lanes is not None:
            self.scheduler = None
            await self.lanes.stop()
        if self.ledger is None:
            return
        if self.ledger.written.total or self.ledger.resumed is not None:
            await self.ledger.close([(c.url, c.source.bytes) for c in self._candidates.all if c.source])
        else:
            await self.ledger.discard()

    async def _open_ledger(self, target: Target) -> Ledger:
        self._download.target = target
        await self._session.on_disk(target.make_folder)
        self.ledger = await self._session.on_disk(Ledger.open, self._session, self._options, target.path)
        self.ledger.on_fault, self.ledger.on_verified = self._fault, self._look
        return self.ledger

    async def _finish_resumed(self, ledger: Ledger) -> Saved:
        """Everything was there when the last run ended: only the checks and the final name are left."""
        assert ledger.resumed is not None
        self._download.version = ledger.resumed.version
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

    async def _stream(self, first: Candidate, opening: Opening, ledger: Ledger) -> Saved:
        """A body of unknown length, or coded: one connection, in order, nothing to resume."""
        self._notes.append(f"{shown_url(first.url)} tells no size: one connection, and no resume")
        source = first.source = source_of(first, opening, self.version, self._options.timeout)

        def count(done_bytes: int) -> None:
            self._download.single_bytes = source.bytes = done_bytes

        count(await save_stream(self._session, self._options, ledger, opening, count))
        return await self._check_and_commit(ledger)

    # -- sources

    def _start(self, first: Candidate, opening: Opening, ledger: Ledger) -> None:
        options, size, pieces = self._options, self.version.size or 0, self._options.piece_hashes
        self.scheduler = Scheduler(
            size=size, filled=ledger.written.copy(), align=pieces.piece_length if pieces else granule_bytes(size),
            host_lanes=options.per_host, all_lanes=options.connections, retries=options.retries,
            stall_s=options.timeout, jitter=self._session.jitter,
        )  # fmt: skip
        self.lanes = Lanes(self._session, ledger, self.tell, self._fault, self._attempt_failed)
        self._blame = Blame(ledger, self._candidates, self._notes, self.tell)
        ledger.on_bad_piece = self._blame.bad_piece
        self._admit(first, opening)
        self._candidates.admit_to(self._join, first)

    def _admit(self, candidate: Candidate, opening: Opening) -> None:
        """Let a source in whose version was found to be ours."""
        assert self.lanes is not None
        assert self.scheduler is not None
        seen = Version(size=self.version.size, validators=opening.head.validators)
        candidate.source = source_of(candidate, opening, seen, self._options.timeout)
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
            self._notes.append(f"{shown_url(candidate.url)} is not used: {why}")
            candidate.error = ContentChanged(candidate.url, str(self.version), str(seen))
            self._candidates.attempts.append(candidate.error)
            candidate.opening = None
            release(self._session, opening)
        else:
            self._admit(candidate, opening)

    def _why_refused(self, seen: Version, opening: Opening) -> str:
        if seen.size != self.version.size:
            return f"its file has {seen.size} bytes, the others' {self.version.size}"
        if opening.head.coded:
            return "it sends the file compressed"
        if self._options.checksum or self._options.piece_hashes:
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
        for candidate in self._candidates.all:
            if (source := candidate.source) is None:
                continue
            cap = self.lanes.slots_of(source.host) + self._session.pool.free_slots(source.request.address.endpoint)
            if self._caps.get(source.host) != cap:
                self._caps[source.host] = cap
                for command in scheduler.handle(HostCap(source.host, cap), time.monotonic()):
                    self._perform(command)

    def _perform(self, command: Command) -> None:
        assert self.lanes is not None
        if isinstance(command, Fetch):
            source = self._candidates.by_id(command.source).source
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
        elif not self._candidates.still_opening:
            self._fault(self._candidates.failure())

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
        attempts = self._candidates.attempts
        if not attempts or str(attempts[-1]) != str(error):
            attempts.append(error)
        if isinstance(error, ContentChanged):
            self._notes.append(str(error).rstrip("."))
            self.tell(SourceLost(source.id, "its file is another version now"))
        elif isinstance(error, RangesUnsupported):
            self.tell(SourceLost(source.id, "sent the whole file instead of a range"))

    # -- ending

    async def _check_and_commit(self, ledger: Ledger) -> Saved:
        self._download.status = Status.VERIFYING
        if self.lanes is not None:
            self.lanes.poll()
        try:
            verified = await ledger.check_whole()
        except BadContent as error:
            self._download.status = Status.ACTIVE
            served = tuple(c.url for c in self._candidates.all if c.source and c.source.bytes)
            raise BadContent(error.where, error.expected, error.found, served) from None
        if self._blame is not None:
            self._blame.settle()
        self._download.content_key = await ledger.content_key()
        if self.lanes is not None:
            self.lanes.close_all()
        return await ledger.commit(), verified
