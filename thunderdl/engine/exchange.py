"""While mirrors and peers bring one file: a few times a second the division looks, and its outcome is performed.

Movers and libtorrent write to one part file, each its own pieces (:mod:`thunderdl.core.division` says which). A piece
of the swarm is recorded in the ledger once libtorrent says that it has written it; a piece of the movers is handed to
the swarm once it is proven, where a peer could want it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from thunderdl.core.division import Division, Moves
from thunderdl.core.explaining_swarms import why_no_tracker
from thunderdl.core.protocol import Beside, Brought, Released, Reserved, Scarce
from thunderdl.core.scarcity import OwnOrder
from thunderdl.engine.candidates import Candidates
from thunderdl.engine.driver import Driver
from thunderdl.engine.ledger import Ledger
from thunderdl.engine.session import Session
from thunderdl.errors import StorageError, ThunderdlError, foreseen
from thunderdl.sources.swarm.host import Host, SwarmFault
from thunderdl.sources.swarm.member import Member

SWARM = 0
"""The swarm's id among the sources; those of URLs begin with 1."""
LOOK_EVERY_S = 0.25
RECORD_EVERY_S = 1.0
# Without a peer for so long, others are tried than those that speak TCP.
REACH_FURTHER_S = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an exchange is made of."""

    session: Session
    ledger: Ledger
    driver: Driver
    division: Division
    candidates: Candidates
    host: Host
    member: Member


class Exchange:
    """``patience_s``: how long nothing may come where nobody is there; ``on_fault``: an error that ends it."""

    def __init__(
        self, parts: Parts, *, name: str, patience_s: float, on_fault: Callable[[ThunderdlError], None]
    ) -> None:  # fmt: skip
        self._parts, self._name, self._patience_s, self._fault = parts, name, patience_s, on_fault
        self._to_feed: deque[int] = deque()
        self._to_record: list[int] = []
        self._looking: asyncio.Task[None] | None = None
        self._recording: asyncio.Task[None] | None = None
        self._looked_at = self._recorded_at = 0.0
        self._alive_at, self._moved_bytes = time.monotonic(), 0
        self._order: OwnOrder | None = None
        # Pieces that libtorrent has: it fetches none of them again by itself.
        self._from_swarm: set[int] = set()
        self._read_back: set[int] = set()
        self._has_lost = self._is_away = self._has_failed = False
        self.swarm_bytes = 0
        # Asked when nobody is left: whether a mirror brings all of it from the start, what is there given up.
        self.begin_again: Callable[[], bool] = lambda: False
        self._is_without_swarm = False
        parts.member.on_piece, parts.member.on_fault = self._brought, self._swarm_failed
        parts.member.on_bad = parts.division.assigned.discard
        parts.ledger.on_piece = self._proven

    @property
    def pieces_here(self) -> bytes:
        """A byte for each piece, 1 where it is here, whoever brought it."""
        return self._parts.division.here

    def unrecorded(self) -> Iterator[tuple[int, int, int]]:
        """What the swarm has brought since it was last recorded."""
        return ((*self._parts.division.bounds(piece), SWARM) for piece in self._to_record)

    def first_pieces(self) -> tuple[int, ...]:
        """What the swarm has at first."""
        parts = self._parts
        first = parts.division.begin(parts.driver.scheduler.missing, mirrors=bool(parts.candidates.all))
        for start, end in _spans(first.taken, parts.division):
            parts.driver.tell(Reserved(start, end))
        return first.taken

    def tick(self) -> None:
        """Ten times a second."""
        now = time.monotonic()
        self._parts.ledger.keep_durable()
        if now - self._looked_at >= LOOK_EVERY_S and (self._looking is None or self._looking.done()):
            self._looked_at = now
            self._looking = asyncio.create_task(self._guarded(self._look_around))

    async def end(self) -> None:
        """Leave the swarm, with all recorded that it brought."""
        for task in (self._looking, self._recording):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        await self._parts.member.stop()
        ledger = self._parts.ledger
        if self._has_failed:
            ledger.on_bad_piece = ledger.drop
        self._record()
        if self._has_failed:
            await ledger.pieces_checked()

    async def _look_around(self) -> None:
        seen = await self._parts.member.look()
        self._parts.host.ask_ahead(seen.view.rate_bytes_per_s / max(1, seen.sending))
        if self._has_lost:
            await self._rejoin()
        self._divide()
        await self._feed()
        if self._to_record and time.monotonic() - self._recorded_at >= RECORD_EVERY_S:
            self._recorded_at = time.monotonic()
            await self._flush_and_record()
        self._check_alive()

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """A fault in a task of ours ends the download; nobody else would hear of it, and it would wait for ever."""
        try:
            await work()
        except Exception as error:
            self._fault(foreseen(error))

    # -- who brings what

    def _divide(self) -> None:
        driver, candidates, view = self._parts.driver, self._parts.candidates, self._parts.member.last.view
        if self._is_without_swarm and not any(view.available):
            # What it were given would be a hole in what one mirror sends from start to end.
            return
        self._is_without_swarm = False
        scheduler = driver.scheduler
        held = scheduler.held()
        mirrors = candidates.still_opening or scheduler.has_source_at_work
        rate = scheduler.lanes_rate(time.monotonic()) if held else 0.0
        self._perform(self._parts.division.look(view, scheduler.missing, held, rate, mirrors=mirrors))
        driver.tell(Beside(view.rate_bytes_per_s))
        driver.most_lanes = self._parts.division.most_lanes
        if view.leechers or scheduler.scarce:
            division = self._parts.division
            scarce = division.scarce(view, self._own_order())
            driver.tell(Scarce(tuple(division.bounds(piece)[0] for piece in scarce)))

    def _own_order(self) -> OwnOrder:
        if self._order is None:
            pieces = list(range(self._parts.division.count))
            self._parts.session.jitter.shuffle(pieces)
            self._order = OwnOrder(pieces)
        return self._order

    def _perform(self, moves: Moves) -> None:
        driver, division, member = self._parts.driver, self._parts.division, self._parts.member
        for start, end in _spans(moves.taken, division):
            driver.tell(Reserved(start, end))
        member.assign(moves.taken)
        member.leave_alone(moves.given_back)
        for start, end in _spans(moves.given_back, division):
            driver.tell(Released(start, end))

    def _check_alive(self) -> None:
        """A swarm without peers, and no mirror either: not for ever."""
        now, last = time.monotonic(), self._parts.member.last
        written = self._parts.ledger.written.total
        if not last.peers and now - self._alive_at > REACH_FURTHER_S:
            self._parts.host.reach_further()
        if (moved := last.down_bytes + written) > self._moved_bytes or self._is_hopeful():
            self._moved_bytes, self._alive_at = moved, now
        if now - self._alive_at > self._patience_s:
            self._leave_it_to_mirrors()
            # Where it had begun nothing yet, the start may have been what was kept for the swarm.
            if self._parts.driver.scheduler.has_hopeful_source or self.begin_again():
                self._alive_at = now
                return
            failed = why_no_tracker(last.crowd.trackers)
            raise SwarmFault(
                f"{self._name}: no peer has it, and no mirror works (waited {self._patience_s:g} seconds"
                f"{failed and f'; {failed}'}); "
                "give mirrors with -m, trackers with --tracker, or wait longer with --timeout."
            )

    def _leave_it_to_mirrors(self) -> None:
        """What no peer has the mirrors are to bring, and what they had brought once more: one that sends no ranges
        begins at the start."""
        division = self._parts.division
        self._is_without_swarm = True
        back, division.assigned = tuple(sorted(division.assigned)), set[int]()
        self._perform(Moves(given_back=back))
        for piece in list(division.done):
            division.lost(piece)
        self._has_lost = bool(self._from_swarm)

    def _is_hopeful(self) -> bool:
        mirrors = self._parts.candidates.still_opening or self._parts.driver.scheduler.has_hopeful_source
        return mirrors or any(self._parts.member.last.view.available)

    # -- pieces

    def _brought(self, piece: int) -> None:
        """The swarm has brought a piece, and it is right."""
        division, driver = self._parts.division, self._parts.driver
        if piece in division.done:
            return
        start, end = division.bounds(piece)
        division.brought(piece)
        self._from_swarm.add(piece)
        self.swarm_bytes += end - start
        self._to_record.append(piece)
        driver.tell(Brought(start, end))
        if division.is_short(self._parts.member.last.view):
            self._divide()
        if len(division.done) == division.count:
            # Nothing is left to look at: what is recorded last ends the download.
            self._recording = asyncio.create_task(self._guarded(self._flush_and_record))

    def _proven(self, piece: int) -> None:
        """The movers have brought a piece, and it is right."""
        division = self._parts.division
        if piece not in division.done:
            division.brought(piece)
            self._to_feed.append(piece)
            if len(division.done) == division.count and self._to_record:
                self._recording = asyncio.create_task(self._guarded(self._flush_and_record))

    def bad_piece(self, start: int, end: int) -> bool:
        """A piece that was read does not match. False where the swarm brought it meanwhile: that one is read again."""
        division = self._parts.division
        piece = start // division.piece_bytes
        if piece in self._to_record:
            self._read_back.add(piece)
            return False
        division.lost(piece)
        self._has_lost = self._has_lost or piece in self._from_swarm
        return True

    async def _rejoin(self) -> None:
        """Leave the swarm and, a look later, come again without what was written over by movers. (At once, a peer that
        has not heard of the leaving refuses us, and is not called again for a minute.)"""
        division, member = self._parts.division, self._parts.member
        if not self._is_away:
            await member.stop()
            self._record()
            self._is_away = True
            return
        self._has_lost = self._is_away = False
        self._from_swarm &= division.done
        self._to_feed.clear()
        have = [piece in division.done for piece in range(division.count)]
        await member.rejoin(have=have, assigned=division.assigned)

    async def _feed(self) -> None:
        """Hand pieces of the movers to the swarm, where somebody may want them."""
        member, fd = self._parts.member, self._parts.ledger.part.fd
        while self._to_feed and member.last.leechers and member.may_feed:
            piece = self._to_feed.popleft()
            start, end = self._parts.division.bounds(piece)
            member.feed(piece, await self._parts.session.on_disk(os.pread, fd, end - start, start))

    def _swarm_failed(self, error: ThunderdlError) -> None:
        """The disk, or libtorrent: of a full disk it had called pieces finished that never were written."""
        self._has_failed = True
        self._fault(error)

    async def _flush_and_record(self) -> None:
        count = len(self._to_record)
        await self._parts.member.flush()
        self._record(count)

    def _record(self, count: int | None = None) -> None:
        """The first ``count`` pieces of the swarm that wait (all: None) are in the file. Where something has failed
        they are read back.

        A piece on which a lease still lies waits for its end: its mover may write over what was proven. Where movers
        ever wrote in it, it is read back: of a piece that was begun, given back and given again libtorrent keeps the
        blocks that it had, and counts them as right though a mirror's wrong bytes lie over them by now.
        """
        pieces, division, ledger = self._to_record[:count], self._parts.division, self._parts.ledger
        del self._to_record[:count]
        leases = list(self._parts.driver.scheduler.written_by_lanes())
        alone, mixed = list[tuple[int, int]](), list[tuple[int, int]]()
        for piece in pieces:
            start, end = division.bounds(piece)
            if any(first < end and start < last for first, last in leases):
                self._to_record.append(piece)
                continue
            is_alone = ledger.moved.first_gap(start, end) == (start, end)
            is_sure = is_alone and piece not in self._read_back and not self._has_failed
            (alone if is_sure else mixed).append((start, end))
            self._read_back.discard(piece)
        try:
            if alone:
                ledger.take_proven(alone, SWARM)
            for start, end in mixed:
                ledger.take_written(start, end)
        except StorageError as error:
            self._fault(error)


def _spans(pieces: tuple[int, ...], division: Division) -> Iterator[tuple[int, int]]:
    """The byte ranges of pieces, neighbours together."""
    ordered = sorted(pieces)
    breaks = [0, *(at for at, (one, two) in enumerate(pairwise(ordered), 1) if two != one + 1), len(ordered)]
    for first, after in pairwise(breaks):
        if first < after:
            yield division.bounds(ordered[first])[0], division.bounds(ordered[after - 1])[1]
