"""What of one file is written, who brought it, and what was proven of it: part file, journal, hashes.

The one writer of the part file is the movers' store made here; this class is told of extents after they were
written, records them, and follows with the hashes. Lives on the event loop; blocking parts run on the disk
threads of the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from thunderdl.core.piecing import MIN_GRANULE_BYTES, granule_bytes
from thunderdl.core.ranges import RangeSet
from thunderdl.core.trust import Provenance, Version
from thunderdl.engine.reopening import Resumed, reopen
from thunderdl.engine.session import Session
from thunderdl.engine.single import check_count
from thunderdl.errors import BadContent, StorageError, ThunderdlError, foreseen
from thunderdl.formats.content_key import LEAF_BYTES
from thunderdl.model import ContentKey
from thunderdl.options import Options
from thunderdl.sources.http.transfer import Extent, Store
from thunderdl.storage.files import PartFile, journal_path, sync_folder
from thunderdl.storage.journal import Journal, current_boot_id
from thunderdl.storage.marks import Mark
from thunderdl.storage.records import Filled, Header, Kept, PieceFacts, Record, Renewed, Sources, Verified
from thunderdl.verify import PieceVerifier, PrefixHasher, TreeHasher

BARRIER_S = 1.0
BARRIER_BYTES = 256 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Identity:
    """What the download is, as its journal keeps it."""

    url: str
    mirrors: tuple[str, ...]
    name: str
    version: Version


class Ledger:
    """Open with :meth:`open`, then :meth:`begin` or :meth:`go_on`; end with :meth:`commit` or :meth:`close`."""

    def __init__(self, session: Session, options: Options, part: PartFile, journal: Journal | None) -> None:
        self._session, self._options = session, options
        self.part, self._journal = part, journal
        self.resumed: Resumed | None = None
        self.written = RangeSet()
        self.verified = RangeSet()
        self.origin = Provenance()
        # Whatever movers ever wrote to, even where it is void by now.
        self.moved = RangeSet()
        self.size: int | None = None
        self.resumed_bytes = 0
        self.store = Store(fd=part.fd, path=part.path, granule_bytes=MIN_GRANULE_BYTES)
        self._prefix: PrefixHasher | None = None
        self._pieces: PieceVerifier | None = None
        self._tree: TreeHasher | None = None
        self._checking: dict[int, asyncio.Task[None]] = {}
        self._barrier: asyncio.Task[None] | None = None
        self._flushing: asyncio.Future[None] | None = None
        self._barrier_at, self._since_barrier = time.monotonic(), 0
        self.on_bad_piece: Callable[[int, int], None] = lambda start, end: None
        self.on_fault: Callable[[ThunderdlError], None] = lambda error: None
        self.on_verified: Callable[[], None] = lambda: None
        self.on_piece: Callable[[int], None] = lambda piece: None

    # -- beginning

    @classmethod
    def open(cls, session: Session, options: Options, target: str) -> Ledger:
        """Open and lock the part file of ``target``, with what its journal holds. Blocking. Raises StorageError."""
        found = reopen(target, trust_none=options.verify_resumed)
        ledger = cls(session, options, found.part, found.journal)
        ledger.resumed = found.resumed
        return ledger

    def begin(self, identity: Identity) -> None:
        """Start from nothing: whatever the part file held is void. Blocking. Raises StorageError."""
        if self.part.published:
            self._leave_published()
        header = self._header(identity)
        if self._journal is not None:
            # The old one must be gone on the disk, too, before other bytes than those it speaks of are written.
            self._journal.compact([header])
        else:
            self._journal = Journal.create(journal_path(self.part.path), header)
        self.part.resize(0)
        self.part.resize(identity.version.size or 0)
        self.written, self.resumed, self.resumed_bytes = RangeSet(), None, 0
        self.origin = Provenance()
        self.verified = RangeSet()
        self._set_up(identity.version.size)

    def _leave_published(self) -> None:
        """The finished file is not what is wanted: a part file of its own, the finished one is left as it is."""
        finished, self.part = self.part, PartFile.open(self.part.target)
        finished.close()

    def go_on(self, version: Version, *, trust_verified: bool = False) -> None:
        """Continue from what the journal brought back. ``trust_verified``: what was compared with the same piece
        hashes by an earlier run is not compared again."""
        assert self.resumed is not None
        self.written = self.resumed.written.copy()
        self.resumed_bytes = self.written.total
        if trust_verified and self.resumed.header.piece_hash == self._piece_facts():
            self.verified = self.resumed.verified.copy()
        self._set_up(version.size)

    def _set_up(self, size: int | None) -> None:
        self.size = size
        granule = granule_bytes(size or 0)
        if self._options.key:
            self._tree = TreeHasher(granule // LEAF_BYTES)
        self.store = Store(fd=self.part.fd, path=self.part.path, granule_bytes=granule, tree=self._options.key)
        if self._options.checksum:
            self._prefix = PrefixHasher(self.part.fd, self._options.checksum.algorithm, self.part.path)
        if self._options.piece_hashes and size is not None:
            check_count(self._options.piece_hashes, self.part.target, size)
            self._pieces = PieceVerifier(self.part.fd, size, self._options.piece_hashes, self.part.path)
            self._check_pieces(0, size)
        self._advance()

    def expect(self, options: Options) -> None:
        """Hashes became known that were not when it began: what is there is compared, too."""
        self._options = options
        if self.size is None:
            return
        if options.checksum and self._prefix is None:
            self._prefix = PrefixHasher(self.part.fd, options.checksum.algorithm, self.part.path)
        if options.piece_hashes and self._pieces is None:
            self._pieces = PieceVerifier(self.part.fd, self.size, options.piece_hashes, self.part.path)
            self._check_pieces(0, self.size)
        self._advance()

    def grew_to(self, size: int) -> None:
        """A body of unknown length has ended at ``size``: now hashes can follow."""
        self.written.add(0, size)
        self.size = size
        if self._options.piece_hashes:
            check_count(self._options.piece_hashes, self.part.target, size)
            self._pieces = PieceVerifier(self.part.fd, size, self._options.piece_hashes, self.part.path)
            self._check_pieces(0, size)
        self._advance()

    def _header(self, identity: Identity) -> Header:
        options, known = self._options, identity.version.validators
        return Header(
            url=identity.url, mirrors=identity.mirrors, name=identity.name, size=identity.version.size,
            etag=known.etag, last_modified=known.last_modified,
            checksum=str(options.checksum) if options.checksum else None, piece_hash=self._piece_facts(),
            boot_id=current_boot_id(), created=int(time.time()),
            granule_bytes=granule_bytes(identity.version.size or 0),
        )  # fmt: skip

    def is_of_same_hashes(self, header: Header) -> bool:
        """Whether an earlier run, that left this header, had the same hashes of the content."""
        ours, pieces = self._options.checksum, self._piece_facts()
        return header.checksum == (str(ours) if ours else None) and header.piece_hash == pieces

    def _piece_facts(self) -> PieceFacts | None:
        pieces = self._options.piece_hashes
        if pieces is None:
            return None
        digest = hashlib.sha256(b"".join(pieces.digests)).hexdigest()
        return PieceFacts(algorithm=pieces.algorithm, piece_length=pieces.piece_length, digest=digest)

    # -- growing

    def take_proven(self, pieces: Sequence[tuple[int, int]], source: int) -> None:
        """These are written and compared with their hashes, by ``source``, whose bytes come not through the movers."""
        for start, end in pieces:
            self.written.add(start, end)
            self.verified.add(start, end)
            self.origin.add(start, end, source)
            self._since_barrier += end - start
            self._forget_roots(start, end)
        self._record([r for start, end in pieces for r in (Kept(start, end), Verified(start, end))])
        self._advance()
        self.on_verified()

    def take_written(self, start: int, end: int) -> None:
        """A piece is written that is to be read back and compared: others than its source wrote there, too."""
        self.written.add(start, end)
        self._since_barrier += end - start
        self._forget_roots(start, end)
        self._record([Kept(start, end)])
        self._check_pieces(start, end)

    def take(self, extents: Iterable[Extent], source: int) -> None:
        """These extents are written, by ``source``."""
        records: list[Filled] = []
        low, high = None, 0
        for extent in extents:
            records.append(Filled(extent.start, extent.end, extent.digest))
            self.written.add(extent.start, extent.end)
            self.origin.add(extent.start, extent.end, source)
            self.moved.add(extent.start, extent.end)
            if self._tree is not None:
                self._offer(extent)
            low, high = extent.start if low is None else min(low, extent.start), max(high, extent.end)
            self._since_barrier += extent.end - extent.start
        if low is None:
            return
        self._record(records)
        self._doubt(low, high)
        self._check_pieces(low, high)
        self._advance()

    def _record(self, records: Sequence[Record]) -> None:
        """In a thread of the disk's: on a slow one the loop would stand still for 150 ms at a time. What is not written
        yet at a kill -9 is fetched again."""
        if self._journal is None:
            return
        self._journal.post(records)
        if self._flushing is None:
            self._flush(self._journal)

    def _flush(self, journal: Journal) -> None:
        self._flushing = self._session.begin_on_disk(journal.flush)
        self._flushing.add_done_callback(partial(self._flushed, journal))

    def _flushed(self, journal: Journal, flushing: asyncio.Future[None]) -> None:
        self._flushing = None
        if flushing.cancelled():
            return
        if isinstance(error := flushing.exception(), Exception):
            self.on_fault(foreseen(error))
        elif journal.has_posted:
            self._flush(journal)

    async def _written_down(self) -> None:
        """Wait for what is under way of barrier and records."""
        while under_way := {each for each in (self._barrier, self._flushing) if each is not None}:
            await asyncio.wait(under_way)

    def _doubt(self, start: int, end: int) -> None:
        """What was proven, and was written over since, is to be proven again."""
        if self._options.piece_hashes is None or self.size is None:
            return
        length = self._options.piece_hashes.piece_length
        for index in range(start // length, -(-end // length)):
            first, last = index * length, min((index + 1) * length, self.size)
            if self.verified.covers(first, last):
                self.verified.remove(first, last)
                if self._journal is not None:
                    self._journal.drop(first, last)
                    self._journal.append([Kept(first, last)])

    def _forget_roots(self, start: int, end: int) -> None:
        """What was hashed of it on the way holds no more."""
        if self._tree is not None:
            for index in range(start // self.store.granule_bytes, -(-end // self.store.granule_bytes)):
                self._tree.drop(index)

    def _offer(self, extent: Extent) -> None:
        assert self._tree is not None
        index = extent.start // self.store.granule_bytes
        if extent.root is not None:
            self._tree.offer(index, extent.root)
        else:
            self._tree.drop(index)

    def _advance(self) -> None:
        if self._prefix is not None:
            good = self.verified if self._pieces is not None else self.written
            self._prefix.advance(good.prefix_end())

    def keep_durable(self) -> None:
        """Start a barrier when one is due; called a few times a second."""
        due = time.monotonic() - self._barrier_at > BARRIER_S or self._since_barrier > BARRIER_BYTES
        if due and self._since_barrier and self._barrier is None:
            self._barrier = asyncio.create_task(self._make_durable())

    async def _make_durable(self) -> None:
        self._since_barrier = 0
        try:
            await self._session.on_disk(self._sync)
        except Exception as error:
            self.on_fault(foreseen(error))
        finally:
            self._barrier_at, self._barrier = time.monotonic(), None

    def _sync(self) -> None:
        if self._journal is None:
            return
        mark = self._journal.mark()
        try:
            self.part.sync()
        except StorageError:
            self._lose_unsynced()
            raise
        self._journal.barrier(mark)

    def _lose_unsynced(self) -> None:
        """After a failed sync of the part file: the next run must not count what may be lost."""
        if self._journal is not None:
            with contextlib.suppress(StorageError):
                self._journal.lose_unsynced()

    # -- checking

    @property
    def proven(self) -> RangeSet:
        """What is there, and right where pieces have hashes; before it goes on, what an earlier run left. Only to be
        looked at."""
        known: Ledger | Resumed = self.resumed if self.size is None and self.resumed is not None else self
        return known.written if self._options.piece_hashes is None else known.verified

    @property
    def all_checked(self) -> bool:
        """Whether every byte is there, and every piece is proven where pieces have hashes."""
        if self.size is None or self.written.total < self.size:
            return False
        return self._pieces is None or self.verified.total >= self.size

    def _check_pieces(self, start: int, end: int) -> None:
        if self._pieces is None or self.size is None or start >= end or self._options.piece_hashes is None:
            return
        length = self._options.piece_hashes.piece_length
        for index in range(start // length, -(-end // length)):
            first, last = index * length, min((index + 1) * length, self.size)
            if (
                index not in self._checking
                and self.written.covers(first, last)
                and not self.verified.covers(first, last)
            ):
                self._checking[index] = asyncio.create_task(self._check(index, first, last))

    async def _check(self, index: int, start: int, end: int) -> None:
        assert self._pieces is not None
        try:
            right = await self._pieces.check(index)
        except StorageError as error:
            self.on_fault(error)
            return
        finally:
            self._checking.pop(index, None)
        if right:
            self.verified.add(start, end)
            self._record([Verified(start, end)])
            self._advance()
            self.on_piece(index)
            self.on_verified()
            return
        try:
            self.on_bad_piece(start, end)
        except StorageError as error:
            self.on_fault(error)

    def unproven_of(self, source: int) -> list[tuple[int, int]]:
        """What ``source`` brought of pieces that are not whole yet; nothing where pieces have no hashes."""
        if self._options.piece_hashes is None or self.size is None:
            return []
        length, settled = self._options.piece_hashes.piece_length, self.verified.copy()
        for index in self._checking:
            settled.add(index * length, min((index + 1) * length, self.size))
        return [gap for start, end in self.origin.extents_of(source) for gap in settled.gaps(start, end)]

    async def pieces_checked(self) -> None:
        """Wait until every piece that is there has been compared with its hash."""
        while self._checking:
            await asyncio.wait(set(self._checking.values()))

    def drop(self, start: int, end: int) -> None:
        """``[start, end)`` is void and will be written again."""
        self.written.remove(start, end)
        self.verified.remove(start, end)
        if self._prefix is not None:
            self._prefix.reset(start)
        self._forget_roots(start, end)
        if self._journal is not None:
            self._journal.drop(start, end)

    async def check_whole(self) -> tuple[str, ...]:
        """Compare the whole with the given checksum: what was verified. Raises BadContent."""
        verified: tuple[str, ...] = ()
        if self._pieces is not None and self._options.piece_hashes is not None:
            verified = (f"pieces:{self._options.piece_hashes.algorithm}",)
        expected = self._options.checksum
        if expected is None or self._prefix is None:
            return verified
        found = await self._prefix.finish(self.size or 0)
        if not expected.covers(found):
            raise BadContent(self.part.target, str(expected), str(found))
        return (str(expected), *verified)

    async def content_key(self) -> ContentKey | None:
        """The content key, where it was asked for."""
        if self._tree is None:
            return None
        return await self._tree.finish(self.part.fd, self.size or 0, self.part.path)

    # -- ending

    async def commit(self, mark: Mark | None = None, named: Callable[[str], None] = lambda path: None) -> str:
        """Put it under its final name, on the disk; the path that it got. ``mark`` as for PartFile.commit; ``named``:
        told of the path in the disk's thread: who is stopped meanwhile waits for it. Raises StorageError."""
        await self._written_down()
        self.stop_hashing()
        return await self._session.to_its_end(self._commit, mark, named)

    def _commit(self, mark: Mark | None, named: Callable[[str], None]) -> str:
        try:
            path = self.part.commit(self._options.exists, mark, self._drop_journal)
            named(path)
            return path
        except StorageError:
            if self.part.sync_failed:
                self._lose_unsynced()
            raise

    def _drop_journal(self) -> None:
        if self._journal is None:
            return
        # The file is there and right; a journal that stays is seen through by the next run.
        with contextlib.suppress(StorageError):
            # First the final name: after a power loss one of the two is there.
            sync_folder(os.path.dirname(self.part.path))
            self._journal.delete()

    def renewed(self, url: str, fresh: str) -> None:
        """Have an earlier link's place taken by ``fresh``."""
        if self._journal is not None:
            self._journal.append([Renewed(url, fresh)])

    def let_go(self) -> None:
        """Close what was opened and not begun with. Blocking."""
        self._close(())

    async def close(self, served: Iterable[tuple[str, int]] = ()) -> None:
        """Leave the part file and its journal for another time."""
        for task in list(self._checking.values()):
            task.cancel()
        await self._written_down()
        self.stop_hashing()
        await self._session.on_disk(self._close, tuple(served))

    def _close(self, served: tuple[tuple[str, int], ...]) -> None:
        try:
            if self._journal is not None and self.part.published:
                self._journal.delete()
            elif self._journal is not None and self.written.total and self.part.fd >= 0 and not self.part.sync_failed:
                self._journal.append([Sources(served)])
                self._sync()
        except StorageError:
            return  # Nobody can be helped by it any more: the journal says what is certain without the last barrier.
        finally:
            if self._journal is not None:
                self._journal.close()
            self.part.close()

    async def discard(self) -> None:
        """Remove the part file and its journal."""
        await self._written_down()
        self.stop_hashing()
        if self._journal is not None:
            self._journal.delete()
        await self._session.on_disk(self.part.discard)

    def stop_hashing(self) -> None:
        """End the threads that follow with the hashes."""
        if self._prefix is not None:
            self._prefix.close()
        if self._pieces is not None:
            self._pieces.close()
