"""One file from mirrors and peers at once: how it begins and ends; what happens meanwhile is in exchange.py.

The torrent says what the file is, so nobody is asked first; the ledger records pieces of either kind, so that a resume
takes them all.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from thunderdl.core.division import Division
from thunderdl.core.ranges import RangeSet
from thunderdl.core.trust import Version
from thunderdl.engine.blame import Blame
from thunderdl.engine.candidates import Candidate
from thunderdl.engine.collection import chosen_files
from thunderdl.engine.driver import Driver
from thunderdl.engine.exchange import Exchange, Parts
from thunderdl.engine.ledger import Identity, Ledger
from thunderdl.engine.naming import named_target
from thunderdl.engine.opening import MIRROR_FIRST, First
from thunderdl.engine.pacing import Uploads
from thunderdl.engine.ranged import Ranged, Saved
from thunderdl.engine.session import seen_through
from thunderdl.engine.sharing_back import Shareable
from thunderdl.model import SourceKind, SourceProgress, SourceState
from thunderdl.quantities import peers as peers_told
from thunderdl.sources.swarm.member import Look, Member

if TYPE_CHECKING:
    from thunderdl.engine.download import Download
    from thunderdl.sources.swarm.crowd import Crowd
    from thunderdl.sources.swarm.torrent import Torrent


class Joint(Ranged):
    """The part of ``download`` that has a torrent of one file, whose pieces have hashes."""

    def __init__(self, download: Download, torrent: Torrent) -> None:
        super().__init__(download)
        if download.offer is None:
            # It has one, and who means another has mistaken the torrent; of a metalink its own files are meant.
            chosen_files(torrent, download.options.files)
        self._options = download.options = replace(download.options, piece_hashes=torrent.piece_hashes)
        download.settle_proof()
        self._torrent = torrent
        self._exchange: Exchange | None = None
        self._member: Member | None = None
        self._brought_bytes = 0

    def first_range(self, candidate: Candidate) -> First:
        """What a candidate is asked for first: a byte, to see what it has; the division says what it brings."""
        return MIRROR_FIRST

    async def fetch_all(self) -> Saved:
        """Download it: path and what was verified. Raises ThunderdlError."""
        torrent = self._torrent
        target = named_target(os.path.basename(torrent.files[0].path), self._options)
        ledger = await self._open_ledger(target)
        version = self._download.version = Version(size=torrent.size_bytes)
        ledger = await self._begun(ledger, version)
        if not ledger.all_checked:
            await self._from_all(ledger, version)
        if self._late_fault is not None and not ledger.all_checked:
            raise self._late_fault
        return await self._check_and_commit(ledger)

    async def leave(self) -> None:
        """Stop; what is worth keeping stays on the disk."""
        if self.driver is not None:
            await self.driver.stop()
        await self._leave_swarm()
        await super().leave()

    def others(self) -> tuple[SourceProgress, ...]:
        """The swarm, as one source."""
        seen = self._member.last if self._member else Look()
        brought = self._exchange.swarm_bytes if self._exchange else self._brought_bytes
        told = peers_told(len(seen.peers), seen.seeds) if seen.peers else "no peer yet"
        return (
            SourceProgress(
                url="peers", kind=SourceKind.PEERS, state=SourceState.ACTIVE if seen.peers else SourceState.OPENING,
                bytes=brought, wasted_bytes=seen.redundant_bytes + seen.failed_bytes,
                rate_bytes_per_s=seen.view.rate_bytes_per_s if self._exchange else 0.0,
                lanes=sum(1 for peer in seen.peers if peer.down_bytes_per_s), note=told,
            ),
        )  # fmt: skip

    def unrecorded(self) -> Iterator[tuple[int, int, int]]:
        """Those of the swarm, too."""
        yield from super().unrecorded()
        if self._exchange is not None:
            yield from self._exchange.unrecorded()

    @property
    def uploaded_bytes(self) -> int:
        """What peers had from us while it was downloaded."""
        return self._member.last.up_bytes if self._member else 0

    @property
    def torrent(self) -> Torrent:
        return self._torrent

    @property
    def crowd(self) -> Crowd | None:
        return self._member.last.crowd if self._member else None

    @property
    def here(self) -> RangeSet | Sequence[int] | None:
        return self._exchange.pieces_here if self._exchange else super().here

    def shareable(self, path: str) -> Shareable:
        """The finished file, to be shared as whole."""
        folder, name = os.path.split(os.path.abspath(path))
        return Shareable(
            torrent=self._torrent, folder=folder, names={0: name}, sent_bytes=self.uploaded_bytes,
            peers=(*self._torrent.peers, *(self._member.met if self._member else ())),
        )  # fmt: skip

    async def _begun(self, ledger: Ledger, version: Version) -> Ledger:
        """Go on from an earlier run's pieces where it was of the same ones, else begin anew."""
        resumed = ledger.resumed
        if resumed is not None and resumed.header.size == version.size and resumed.written.total:
            ledger.on_bad_piece = ledger.drop
            ledger.go_on(version, trust_verified=not self._options.verify_resumed)
            await ledger.pieces_checked()
            return ledger
        if resumed is not None and resumed.written.total:
            ledger = await self._not_over_others(ledger, "they are of another size")
        urls = tuple(candidate.url for candidate in self._candidates.all)
        name = os.path.basename(ledger.part.target)
        identity = Identity(url=self._download.url, mirrors=urls, name=name, version=version)
        await self._session.to_its_end(ledger.begin, identity)
        return ledger

    async def _from_all(self, ledger: Ledger, version: Version) -> None:
        """Until every piece is here."""
        size, length, count = version.size or 0, self._torrent.piece_length, self._torrent.piece_count
        here = [ledger.verified.covers(at * length, min(at * length + length, size)) for at in range(count)]
        # Downloaders that share what they bring begin apart; one without mirrors has nobody to begin apart from.
        first = self._session.jitter.randrange(count) if self._candidates.all else 0
        done = (piece for piece in range(count) if here[piece])
        division = Division(size=size, piece_bytes=length, done=done, first_piece=first)
        driver = self.driver = self._pieces_driver(ledger, version, first * length)
        self._blame = Blame(self._session, ledger, self._candidates, self._notes, driver.tell)
        ledger.on_bad_piece = self._bad_piece
        # Mirrors connect while libtorrent is loaded and started (50 ms).
        driver.start_open(self.first_range)
        exchange = await self._new_exchange(ledger, driver, division)
        await self._join_swarm(exchange, here)
        await driver.run_until(self._settled, exchange.tick)
        await self._leave_swarm()

    def _bad_piece(self, start: int, end: int) -> None:
        assert self._blame is not None
        if self._exchange is None or self._exchange.bad_piece(start, end):
            self._blame.bad_piece(start, end)
        else:
            self._blame.void(start, end)

    def _pieces_driver(self, ledger: Ledger, version: Version, begin_at: int) -> Driver:
        driver = Driver(
            self._session, self._options, self._candidates, self._notes, ledger, version=version,
            filled=ledger.verified.copy(), align=self._torrent.piece_length, begin_at=begin_at,
        )  # fmt: skip
        driver.on_complete, driver.on_fault = self._look, self._fault
        # Without a mirror the swarm has it all; whether that is hopeless the exchange says.
        driver.begin_again = lambda: True
        return driver

    async def _new_exchange(self, ledger: Ledger, driver: Driver, division: Division) -> Exchange:
        host = await self._session.swarm()
        member = self._member = Member(host, self._torrent, self._download)
        member.on_note = self._notes.append
        self._candidates.pace.include(member)
        self.uploads = Uploads(member, self._download.options.task_upload_limit)
        parts = Parts(
            session=self._session, ledger=ledger, driver=driver, division=division, candidates=self._candidates,
            host=host, member=member,
        )  # fmt: skip
        self._exchange = Exchange(
            parts, name=self._download.name, patience_s=self._options.timeout, on_fault=self._fault
        )
        self._exchange.begin_again = self._begin_again
        return self._exchange

    async def _join_swarm(self, exchange: Exchange, here: list[bool]) -> None:
        assert self._member is not None
        assert self.ledger is not None
        folder, name = os.path.split(self.ledger.part.path)
        await self._member.start(
            folder, {0: name}, have=here, assigned=exchange.first_pieces(),
            peers=(*self._options.peers, *self._torrent.peers),
            trackers=self._options.trackers,
        )  # fmt: skip

    async def _leave_swarm(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            # To its end where it is stopped meanwhile: nobody else has it any more, and the torrent would stay in the
            # swarm, where the next run cannot add it.
            await seen_through(asyncio.ensure_future(self._left(exchange)))

    async def _left(self, exchange: Exchange) -> None:
        await exchange.end()
        self._candidates.pace.exclude()
        self._end_uploads()
        self._brought_bytes = exchange.swarm_bytes
