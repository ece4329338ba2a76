"""A file in many ranges: ledger and driver together until every byte is there and proven, then checks and commit."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from thunderdl.core.piecing import granule_bytes
from thunderdl.core.protocol import PieceBad
from thunderdl.core.ranges import RangeSet
from thunderdl.core.ranking import RateEstimate
from thunderdl.core.trust import Version
from thunderdl.engine.blame import Blame
from thunderdl.engine.candidates import Candidate, from_the_start, source_of
from thunderdl.engine.driver import Driver
from thunderdl.engine.ledger import Identity, Ledger
from thunderdl.engine.lengths import check_length
from thunderdl.engine.losses import losses
from thunderdl.engine.naming import Target, choose_target, guess_target, settled_target
from thunderdl.engine.offers import Offer, telling_size
from thunderdl.engine.opening import First, Opening
from thunderdl.engine.resumption import Resumption, first_range
from thunderdl.engine.sharing_names import is_part_of, opened_at_a_name
from thunderdl.engine.single import save_stream
from thunderdl.errors import BadContent, StorageError, ThunderdlError, shown_url
from thunderdl.model import SourceProgress, Status
from thunderdl.options import Exists, Options
from thunderdl.verify import hash_file

if TYPE_CHECKING:
    from thunderdl.engine.download import Download
    from thunderdl.engine.finding import Finding
    from thunderdl.engine.pacing import Uploads
    from thunderdl.engine.sharing_back import Shareable
    from thunderdl.sources.swarm.crowd import Crowd
    from thunderdl.sources.swarm.torrent import Torrent

Saved = tuple[str, tuple[str, ...]]


class Ranged:
    """The part of ``download`` that begins where its first answer does not hold the whole file."""

    def __init__(self, download: Download) -> None:
        self._download = download
        self._session, self._options = download.session, download.options
        self._candidates, self._notes = download.candidates, download.notes
        self.ledger: Ledger | None = None
        self._meant_path = ""
        self.driver: Driver | None = None
        # Of a body of unknown length, which no driver brings.
        self.stream_rate: RateEstimate | None = None
        self._blame: Blame | None = None
        self._restarts = 0
        # What failed when everything seemed to be there: libtorrent calls pieces finished before they are written.
        self._late_fault: ThunderdlError | None = None
        self._finding: Finding | None = None
        # While peers may have something of it.
        self.uploads: Uploads | None = None
        self._settled: asyncio.Future[None] = self._session.loop.create_future()

    @property
    def resumed_bytes(self) -> int:
        return self.ledger.resumed_bytes if self.ledger else 0

    @property
    def fetched_bytes(self) -> int:
        """What this run has brought so far."""
        return self.ledger.written.total - self.ledger.resumed_bytes if self.ledger else 0

    @property
    def uploaded_bytes(self) -> int:
        """What peers had from it."""
        return 0

    @property
    def torrent(self) -> Torrent | None:
        """What peers have it as, None where none are asked."""
        return None

    @property
    def crowd(self) -> Crowd | None:
        """Who was last seen of them."""
        return None

    @property
    def here(self) -> RangeSet | Sequence[int] | None:
        """What is there and proven, as ranges of bytes or a number for each piece; None where nothing is known. Only to
        be looked at."""
        return self.ledger.proven if self.ledger else None

    @property
    def chosen(self) -> frozenset[int] | None:
        """The numbers of the torrent's files that are wanted, None for all."""
        return None

    @property
    def web_seeds(self) -> tuple[str, ...]:
        """URLs that libtorrent fetches from, as it knows them."""
        return ()

    def choose(self, choice: str | None) -> None:
        """Have those files of the torrent, as ``Options.files``, from now on. Raises UsageError."""

    def change_web_seeds(self, gone: Iterable[str], new: Iterable[str]) -> bool:
        """Whether it is libtorrent that fetches from the URLs of the user; then it uses others from now on."""
        return False

    def _end_uploads(self) -> None:
        uploads, self.uploads = self.uploads, None
        if uploads is not None:
            uploads.close()

    def shareable(self, path: str) -> Shareable | None:
        """What there is to share with peers, now that it is whole and called ``path``."""
        return None

    @property
    def version(self) -> Version:
        return self._download.version

    # -- beginning

    async def resume(self, guess: Target) -> Saved | None:
        """Open what an earlier run left; where nothing is missing, finish it without asking anybody."""
        ledger = await self._open_ledger(guess)
        resumed = ledger.resumed
        if resumed is None or resumed.header.size != resumed.written.total or not self._is_ours(ledger.part.target):
            return None
        try:
            return await self._finish_resumed(ledger)
        except BadContent as error:
            self._notes.append(f"{str(error).rstrip('.')}; all of it is fetched again")
            self._download.status, self._download.version = Status.ACTIVE, Version()
            ledger.stop_hashing()
            resumed.written = RangeSet()
            return None

    def first_range(self, candidate: Candidate) -> First:
        """What a candidate is asked for first."""
        return first_range(self.ledger, candidate)

    async def fetch(self, first: Candidate) -> Saved:
        """Download from ``first`` and those that join: path and what was verified. Raises ThunderdlError."""
        opening = first.opening
        assert opening is not None
        target = choose_target(self._candidates.origin.url, opening.head, self._options)
        ledger = self.ledger
        if ledger is None or self._meant_path != target.path:
            if ledger is not None:
                await ledger.close()
            ledger = await self._open_ledger(target)
        resumption = Resumption(
            self._session, self._options, ledger, self._notes, self._not_over_others, self._is_ours
        )  # fmt: skip
        opening, self._download.version = await resumption.settle(self._candidates, first, opening)
        ledger = resumption.ledger
        if self.version.size is None:
            return await self._stream(first, opening, ledger)
        driver = self._new_driver(ledger)
        driver.start(first, opening)
        self._look_beside(driver)
        return await self._until_right(driver, ledger)

    def _look_beside(self, driver: Driver) -> None:
        """Others may tell what the file is, and where else: while it runs."""
        from thunderdl.engine.finding import Finding

        stated, origin = self._download.stated, self._candidates.origin
        self._download.own_list.tend()
        self._candidates.tend(from_the_start)
        # A metalink's first mirror is the origin where the user names none.
        self._finding = Finding(self._session, origin.options, origin.url, self.hear, self._notes, origin.told_by)
        is_proven = bool(self._options.checksum or self._options.piece_hashes)
        documents, is_authentic = (stated.documents, stated.is_authentic) if stated else ((), False)
        self._finding.begin(documents, is_proven=is_proven, is_authentic=is_authentic)

    def hear(self, offer: Offer) -> None:
        """Take what was found beside the running download."""
        size, pieces = self.version.size, offer.piece_hashes
        if offer.size not in (None, size) or (pieces is not None and not pieces.fits(size or 0)):
            self._notes.append(f"{shown_url(offer.told_by)} is of another file: {offer.size} bytes, not {size}")
            return
        was_proven = self._candidates.is_proven
        self.expect(self._download.enriched_by(offer))
        if self._candidates.is_proven and not was_proven:
            self._forget_refusals()
            self._candidates.reconsider(from_the_start)
        self._candidates.add_foreign(offer.urls, offer.told_by, is_stranger=True)
        self._candidates.tend(from_the_start)
        self._download.offer_torrents(offer)

    def _forget_refusals(self) -> None:
        """Those that wanted proof are asked again: what was said of them holds no more."""
        names = {shown_url(each.url) for each in self._candidates.all if each.wants_proof}
        self._notes[:] = [note for note in self._notes if note.partition(" is not used: ")[0] not in names]

    def expect(self, options: Options) -> None:
        """Hashes became known."""
        self._options = self._download.options = options
        if self.ledger is not None:
            self.ledger.expect(options)
        if self.driver is not None:
            self.driver.expect(options)

    async def fetch_known(self, version: Version) -> Saved:
        """Fetch what somebody has told enough of: whoever answers first begins. Raises ThunderdlError."""
        self._download.version = version
        guess = guess_target(self._candidates.origin.url, self._options)
        ledger = await self._open_ledger(guess if guess.has_journal else settled_target(guess, self._options))
        if (resumed := ledger.resumed) is not None and (kept := resumed.written.total):
            if ledger.is_of_same_hashes(resumed.header) and resumed.header.size == version.size:
                if kept == version.size:
                    return await self._finish_resumed(ledger)
                ledger.go_on(version)
            else:
                ledger = await self._not_over_others(ledger, "the file has other hashes now")
        if not ledger.written.total:
            offer, given = self._download.offer, [c.url for c in self._candidates.all if not c.is_foreign]
            name = offer.name if offer else os.path.basename(ledger.part.target)
            identity = Identity(url=self._download.lasting_name, mirrors=tuple(given), name=name, version=version)
            await self._session.to_its_end(ledger.begin, identity)
        driver = self._new_driver(ledger)
        driver.start_open(self.first_range)
        return await self._until_right(driver, ledger)

    async def _until_right(self, driver: Driver, ledger: Ledger) -> Saved:
        """Until every byte is there and the whole is proven, whoever has to be asked again for that."""
        while True:
            self._look()
            await driver.run_until(self._settled, ledger.keep_durable)
            self._settled = self._session.loop.create_future()
            if self._finding is not None:
                await self._finding.settled()
            if not ledger.all_checked:
                # Hashes of pieces were found when all was there.
                continue
            try:
                return await self._check_and_commit(ledger)
            except BadContent as error:
                if not await self._hunt(error):
                    raise

    async def _hunt(self, error: BadContent) -> bool:
        """Have those looked for who served wrong bytes; whether anything is fetched again for that."""
        if self.driver is None or self._blame is None or await self._is_disputed():
            return False
        # Connections that lanes idle on are the ones to ask over.
        self.driver.lanes.close_all()
        return await self._blame.hunt(error)

    async def _is_disputed(self) -> bool:
        """Whether somebody else states the digest that the bytes have: then it is nobody who served them."""
        told, ledger = self._download.told_by, self.ledger
        if told is None or ledger is None:
            return False
        for url, digest in told.others:
            if digest.covers(await self._session.on_disk(hash_file, ledger.part.path, digest.algorithm)):
                where = shown_url(told.told_by)
                self._notes.append(f"{where} contradicts {shown_url(url)}, whose {digest.algorithm} the bytes have")
                return True
        return False

    async def leave(self) -> None:
        """Stop; what is worth keeping stays on the disk."""
        if self._finding is not None:
            self._finding.close()
        if self.driver is not None:
            await self.driver.stop()
        if self.ledger is None:
            return
        if self.ledger.written.total or self.ledger.resumed is not None:
            await self.ledger.close([(c.url, c.source.bytes) for c in self._candidates.all if c.source])
        else:
            await self.ledger.discard()

    def others(self) -> tuple[SourceProgress, ...]:
        """Sources that are no URLs."""
        return ()

    def piece_map(self, cells: int) -> bytes:
        """What is there, where no ledger tells it."""
        return b""

    def unrecorded(self) -> Iterator[tuple[int, int, int]]:
        """Ranges that are written and not yet in the ledger's records, each with its source."""
        return self.driver.lanes.live() if self.driver else iter(())

    def losses(self) -> Iterator[str]:
        """Notes on sources that were of no use, or not to the end."""
        books = self.driver.scheduler.roster.sources if self.driver else {}
        return losses(self._candidates, books, self._notes)

    async def _open_ledger(self, target: Target, *, anew: bool = False) -> Ledger:
        await self._session.on_disk(target.make_folder)
        session, self._meant_path = self._session, target.path
        named = partial(
            opened_at_a_name, partial(Ledger.open, session, self._options), target.path, self._options.exists,
            self._is_ours, goes_on=not anew, takes_up=not anew,
        )  # fmt: skip
        ledger = self.ledger = await session.opened(self._let_go, named)
        self._download.target = Target(ledger.part.target)
        self._download.on_settled()
        ledger.on_fault, ledger.on_verified = self._fault, self._look
        return ledger

    def _let_go(self, ledger: Ledger) -> None:
        """It was stopped meanwhile: what is there has a name all the same, for who clears it away."""
        self._download.target = Target(ledger.part.target)
        ledger.let_go()

    def _is_ours(self, path: str) -> bool:
        return is_part_of(self._download.begun_as, path)

    async def _not_over_others(self, ledger: Ledger, reason: str) -> Ledger:
        """The ledger to begin anew with, where what this one found is of no use: another one under RENAME, where that
        is another download's, who can go on from it."""
        if self._options.exists is Exists.RENAME and not self._is_ours(ledger.part.target):
            await ledger.close()
            return await self._open_ledger(Target(self._meant_path), anew=True)
        kept = ledger.resumed.written.total if ledger.resumed else 0
        self._notes.append(f"{kept} bytes of an earlier run were thrown away: {reason}")
        return ledger

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
            raise bad[0]
        return await self._check_and_commit(ledger)

    async def _stream(self, first: Candidate, opening: Opening, ledger: Ledger) -> Saved:
        """A body of unknown length, or coded: one connection, in order, nothing to resume."""
        self._notes.append(f"{shown_url(first.url)} tells no size: one connection, and no resume")
        source = first.source = source_of(first, opening, self.version, self._options.timeout)
        rate = self.stream_rate = RateEstimate()
        rate.begin(self._session.loop.time())

        def count(done_bytes: int) -> None:
            rate.add(done_bytes - source.bytes, self._session.loop.time())
            self._download.single_bytes = source.bytes = done_bytes

        length = await save_stream(self._session, self._options, ledger, opening, count, self._candidates.pace)
        count(length)
        check_length(first.url, telling_size(self._download.said_bytes, self._download.offer), length)
        return await self._check_and_commit(ledger)

    def _new_driver(self, ledger: Ledger) -> Driver:
        pieces = self._options.piece_hashes
        driver = self.driver = Driver(
            self._session, self._options, self._candidates, self._notes, ledger, version=self.version,
            filled=ledger.written.copy(),
            align=pieces.piece_length if pieces else granule_bytes(self.version.size or 0),
        )  # fmt: skip
        driver.on_complete, driver.on_fault, driver.begin_again = self._look, self._fault, self._begin_again
        driver.on_renewed = self._keep_link
        offer = self._download.offer
        driver.size_by = offer if offer is not None and offer.size == self.version.size else None
        self._blame = Blame(self._session, ledger, self._candidates, self._notes, driver.tell)
        ledger.on_bad_piece, driver.on_distrust = self._blame.bad_piece, self._blame.distrust
        return driver

    def _keep_link(self, candidate: Candidate) -> None:
        """Have another run begin with the link that took the place of the user's."""
        if candidate is self._candidates.origin and candidate.fresh_url is not None and self.ledger is not None:
            # Where it cannot be kept, that run asks for another once more.
            with contextlib.suppress(StorageError):
                self.ledger.renewed(candidate.url, candidate.fresh_url)

    def _begin_again(self) -> bool:
        """Where a source that sends no ranges is the only one left, all has to come from it, from the start."""
        ledger, size = self.ledger, self.version.size or 0
        known = self.driver.scheduler.roster.sources.values() if self.driver else ()
        only = next((source.id for source in known if source.usable and not source.random_access), None)
        if only is None or ledger is None or self._blame is None or self.driver is None or not ledger.written.total:
            return False
        if ledger.origin.sources_of(0, size):
            self._restarts += 1
            if self._restarts > self._options.retries:
                return False
        name = shown_url(self._candidates.by_id(only).url)
        self._notes.append(f"{ledger.written.total} bytes were thrown away: {name} sends no ranges")
        ledger.resumed_bytes = 0
        self._blame.void(0, size)
        self.driver.tell(PieceBad(0, size, frozenset(), frozenset()))
        return True

    def _look(self) -> None:
        if self.ledger is not None and self.ledger.all_checked and not self._settled.done():
            self._settled.set_result(None)

    def _fault(self, error: ThunderdlError) -> None:
        if self._settled.done():
            self._late_fault = self._late_fault or error
        else:
            self._settled.set_exception(error)
            # Heard also where nobody waits for it: a barrier may fail after the last byte.
            self._settled.exception()

    # -- ending

    async def _check_and_commit(self, ledger: Ledger) -> Saved:
        self._download.status = Status.VERIFYING
        if self.driver is not None:
            self.driver.lanes.poll()
        try:
            verified = await ledger.check_whole()
        except BadContent as error:
            self._download.status = Status.ACTIVE
            served = tuple(c.url for c in self._candidates.all if c.source and c.source.bytes)
            expected = error.expected + (self._download.told_by.said if self._download.told_by else "")
            raise BadContent(error.where, expected, error.found, served) from None
        verified += await self._download.signed(ledger.part.path)
        if self._blame is not None:
            self._blame.settle()
        self._download.content_key = await ledger.content_key()
        if self.driver is not None:
            self.driver.close()
        named = partial(self._download.got_name, verified=verified)
        return await ledger.commit(self._download.marker(), named), verified
