"""One file from mirrors and peers at once.

The torrent says what the file is, so nobody is asked first. Movers and libtorrent write to one part file, each its own
pieces (:mod:`thunderdl.core.division` says which); the ledger records both, so that a resume takes pieces of either.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from thunderdl.core.division import Division, Held, Moves
from thunderdl.core.protocol import Beside, Brought, Released, Reserved
from thunderdl.core.trust import Version
from thunderdl.engine.blame import Blame
from thunderdl.engine.candidates import Candidate
from thunderdl.engine.driver import Driver
from thunderdl.engine.ledger import Identity, Ledger
from thunderdl.engine.naming import named_target
from thunderdl.engine.opening import MIRROR_FIRST, First
from thunderdl.engine.ranged import Ranged, Saved
from thunderdl.errors import StorageError, ThunderdlError
from thunderdl.model import SourceKind, SourceProgress, SourceState
from thunderdl.sources.swarm.host import SwarmFault
from thunderdl.sources.swarm.member import Look, Member

if TYPE_CHECKING:
    from thunderdl.engine.download import Download
    from thunderdl.sources.swarm.host import Host
    from thunderdl.sources.swarm.torrent import Torrent

SWARM = 0
"""The swarm's id among the sources; those of URLs begin with 1."""
LOOK_EVERY_S = 0.25
RECORD_EVERY_S = 1.0
# Without a peer for so long, others are tried than those that speak TCP.
REACH_FURTHER_S = 4.0


class Joint(Ranged):
    """The part of ``download`` that has a torrent of one file."""

    def __init__(self, download: Download, torrent: Torrent) -> None:
        super().__init__(download)
        assert torrent.piece_hashes is not None
        self._options = download.options = replace(download.options, piece_hashes=torrent.piece_hashes)
        self._torrent = torrent
        self.member: Member | None = None
        self._division: Division | None = None
        self._to_feed: deque[int] = deque()
        self._to_record: list[int] = []
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = self._recorded_at = self._alive_at = 0.0
        self._progress_bytes = 0
        self.swarm_bytes = 0
        self._last = Look()
        self._host: Host

    def first_range(self, candidate: Candidate) -> First:
        """What a candidate is asked for first: a byte, to see what it has; the division says what it brings."""
        return MIRROR_FIRST

    async def fetch_all(self) -> Saved:
        """Download it: path and what was verified. Raises ThunderdlError."""
        torrent = self._torrent
        target = named_target(os.path.basename(torrent.files[0].path), self._options)
        ledger = await self._open_ledger(target)
        version = self._download.version = Version(size=torrent.size_bytes)
        await self._begin(ledger, version)
        if not ledger.all_checked:
            await self._exchange(ledger, version)
        return await self._check_and_commit(ledger)

    async def _begin(self, ledger: Ledger, version: Version) -> None:
        """Go on from an earlier run's pieces where it was of the same ones, else begin anew."""
        resumed = ledger.resumed
        if resumed is not None and resumed.header.size == version.size and resumed.written.total:
            ledger.go_on(version, trust_verified=not self._options.verify_resumed)
            ledger.on_bad_piece = ledger.drop
            await ledger.pieces_checked()
            return
        urls = [candidate.url for candidate in self._candidates.all]
        identity = Identity(
            url=self._download.url, mirrors=tuple(urls), name=os.path.basename(ledger.part.target), version=version
        )
        await self._session.on_disk(ledger.begin, identity)

    async def _exchange(self, ledger: Ledger, version: Version) -> None:
        size, length, count = version.size or 0, self._torrent.piece_length, self._torrent.piece_count
        here = [ledger.verified.covers(at * length, min(at * length + length, size)) for at in range(count)]
        begin_at = self._session.jitter.randrange(count) if self._candidates.all else 0
        division = self._division = Division(
            size=size, piece_bytes=length, done=(at for at in range(count) if here[at]), first_piece=begin_at
        )
        driver = self.driver = self._new_driver(ledger, version)
        driver.scheduler.begin_at = begin_at * length
        self._blame = Blame(ledger, self._candidates, self._notes, driver.tell)
        ledger.on_bad_piece, ledger.on_piece = self._bad_piece, self._proven
        self._host = await self._session.swarm()
        member = self.member = Member(self._host, self._torrent)
        member.on_piece, member.on_fault, member.on_note = self._brought, self._fault, self._notes.append
        member.on_bad = division.assigned.discard
        folder, name = os.path.split(ledger.part.path)
        self._alive_at = time.monotonic()
        first = division.begin(driver.scheduler.missing, mirrors=bool(self._candidates.all))
        for start, end in _spans(first.taken, division):
            driver.tell(Reserved(start, end))
        await member.start(
            folder, {0: name}, have=here, assigned=first.taken,
            peers=(*self._options.peers, *self._torrent.peers),
            trackers=(*self._torrent.trackers, *self._options.trackers),
        )  # fmt: skip
        driver.start_open(self.first_range)
        try:
            await driver.run_until(self._settled, self._each_tick)
        finally:
            await self._leave_swarm(ledger)

    def _new_driver(self, ledger: Ledger, version: Version) -> Driver:
        driver = Driver(
            self._session, self._options, self._candidates, self._notes, ledger, version=version,
            filled=ledger.verified.copy(), align=self._torrent.piece_length,
        )  # fmt: skip
        driver.on_complete, driver.on_fault = self._look, self._fault
        driver.begin_again = lambda: True
        return driver

    async def leave(self) -> None:
        """Stop; what is worth keeping stays on the disk."""
        if self.driver is not None:
            await self.driver.stop()
        if self.ledger is not None:
            await self._leave_swarm(self.ledger)
        await super().leave()

    async def _leave_swarm(self, ledger: Ledger) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
            self._looking = None
        member, self.member = self.member, None
        if member is not None:
            await member.stop()
            self._record(ledger)

    # -- while it runs

    def _each_tick(self) -> None:
        now = time.monotonic()
        if self.ledger is not None:
            self.ledger.keep_durable()
        if now - self._looked_at >= LOOK_EVERY_S and (self._looking is None or self._looking.done()):
            self._looked_at = now
            self._looking = asyncio.create_task(self._look_around())

    async def _look_around(self) -> None:
        try:
            assert self.member is not None and self.ledger is not None
            self._last = await self.member.look()
            self._divide()
            await self._feed(self.ledger)
            if time.monotonic() - self._recorded_at >= RECORD_EVERY_S and self._to_record:
                self._recorded_at = time.monotonic()
                await self._flush_and_record(self.ledger)
            self._check_alive()
        except ThunderdlError as error:
            self._fault(error)

    def _divide(self) -> None:
        """Let the division look, and do what it says."""
        driver, division, member = self.driver, self._division, self.member
        assert driver is not None and division is not None and member is not None
        roster, view = driver.scheduler.roster, member.last.view
        held = [
            Held(position=lease.position, end=lease.end, rate_bytes_per_s=lease.lane.likely_rate() if lease.lane.rate.known else 0.0)
            for lease in roster.leases.values() if lease.left_bytes and not lease.shrinking and not lease.cancelled
        ]
        mirrors = any(source.usable and not source.is_down for source in roster.sources.values())
        rate = roster.likely_rate(time.monotonic()) if held else 0.0
        moves = division.look(
            view, driver.scheduler.missing, held, rate, mirrors=mirrors or self._candidates.still_opening
        )
        self._perform(moves, driver, division, member)
        driver.tell(Beside(view.rate_bytes_per_s))

    def _perform(self, moves: Moves, driver: Driver, division: Division, member: Member) -> None:
        for start, end in _spans(moves.taken, division):
            driver.tell(Reserved(start, end))
        member.assign(moves.taken)
        member.leave_alone(moves.given_back)
        for start, end in _spans(moves.given_back, division):
            driver.tell(Released(start, end))

    def _check_alive(self) -> None:
        """A swarm without peers and no mirror either: not for ever."""
        assert self.member is not None and self.driver is not None
        moved = self.member.last.down_bytes + self.fetched_bytes
        now = time.monotonic()
        if not self._last.peers and now - self._alive_at > REACH_FURTHER_S:
            self._host.reach_further()
        if moved > self._progress_bytes or self._candidates.still_opening:
            self._progress_bytes, self._alive_at = moved, now
        if now - self._alive_at > self._options.timeout and not self._is_hopeful():
            raise SwarmFault(
                f"{self._download.name}: no peer has it, and no mirror works (waited {self._options.timeout:g} "
                "seconds); add mirrors with -m, trackers with --tracker, or wait longer with --timeout."
            )

    def _is_hopeful(self) -> bool:
        assert self.member is not None and self.driver is not None
        sources = self.driver.scheduler.roster.sources.values()
        return any(self.member.last.view.available) or any(s.usable and not s.exhausted for s in sources)

    def others(self) -> tuple[SourceProgress, ...]:
        """The swarm, as one source."""
        seen = self._last
        told = f"{len(seen.peers)} peers, {seen.seeds} of them seeds" if seen.peers else "no peer yet"
        return (
            SourceProgress(
                url="peers", kind=SourceKind.PEERS, state=SourceState.ACTIVE if seen.peers else SourceState.OPENING,
                bytes=self.swarm_bytes, wasted_bytes=seen.redundant_bytes + seen.failed_bytes,
                rate_bytes_per_s=seen.view.rate_bytes_per_s if self.member else 0.0,
                lanes=sum(1 for peer in seen.peers if peer.down_bytes_per_s), note=told,
            ),
        )  # fmt: skip

    # -- pieces

    def _brought(self, piece: int) -> None:
        """The swarm has brought a piece, and it is right."""
        division, driver = self._division, self.driver
        if division is None or driver is None or piece in division.done:
            return
        start, end = division.bounds(piece)
        division.brought(piece)
        self.swarm_bytes += end - start
        self._to_record.append(piece)
        driver.tell(Brought(start, end))
        if self.member is not None and division.is_short(self.member.last.view):
            self._divide()
        if len(division.done) == division.count:
            # The last one is recorded as soon as it is on the disk; then all of it is here.
            self._recorded_at = 0.0

    def _proven(self, piece: int) -> None:
        """The movers have brought a piece, and it is right."""
        if self._division is not None and piece not in self._division.done:
            self._division.brought(piece)
            self._to_feed.append(piece)

    def _bad_piece(self, start: int, end: int) -> None:
        assert self._blame is not None
        self._blame.bad_piece(start, end)

    async def _feed(self, ledger: Ledger) -> None:
        """Hand pieces of the movers to the swarm, where somebody wants them."""
        member = self.member
        while member is not None and member.last.leechers and self._to_feed and member.may_feed:
            piece = self._to_feed.popleft()
            assert self._division is not None
            start, end = self._division.bounds(piece)
            member.feed(piece, await self._session.on_disk(os.pread, ledger.part.fd, end - start, start))

    async def _flush_and_record(self, ledger: Ledger) -> None:
        member, pieces = self.member, len(self._to_record)
        if member is not None:
            await member.flush()
            self._record(ledger, pieces)

    def _record(self, ledger: Ledger, count: int | None = None) -> None:
        """The first ``count`` pieces of the swarm that wait (all: None) are in the file."""
        division = self._division
        if division is not None and (pieces := self._to_record[:count]):
            del self._to_record[:count]
            try:
                ledger.take_proven([division.bounds(piece) for piece in pieces], SWARM)
            except StorageError as error:
                self._fault(error)


def _spans(pieces: tuple[int, ...], division: Division) -> Iterator[tuple[int, int]]:
    """The byte ranges of pieces, neighbours together."""
    ordered = sorted(pieces)
    breaks = [0, *(at for at, (one, two) in enumerate(pairwise(ordered), 1) if two != one + 1), len(ordered)]
    for first, after in pairwise(breaks):
        if first < after:
            yield division.bounds(ordered[first])[0], division.bounds(ordered[after - 1])[1]
