"""The bytes of a file in order, fetched in parallel ahead of the reader, with bounded memory.

The window is an anonymous file of fixed size used as a ring: lanes write at ``position % window``, the reader
follows, and the scheduler's horizon keeps lanes from writing where the reader has not been yet. Nothing is left
on the disk. Pieces with hashes are handed out only once they were checked; a whole-file checksum is known at the
end, so a wrong one raises after the last byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence

from thunderdl.core.protocol import Horizon, PieceBad
from thunderdl.core.ranges import RangeSet
from thunderdl.core.trust import Provenance, Version
from thunderdl.engine.candidates import Candidate, Candidates, from_the_start
from thunderdl.engine.decoding import decoded_body
from thunderdl.engine.driver import Driver
from thunderdl.engine.opening import Opening
from thunderdl.engine.pacing import Pace
from thunderdl.engine.resumption import version_of
from thunderdl.engine.session import Session, seen_through
from thunderdl.engine.single import check_count, check_small, whole_body
from thunderdl.errors import BadContent, ThunderdlError
from thunderdl.formats.hashes import Hasher, new_hasher
from thunderdl.model import Digest
from thunderdl.options import Options
from thunderdl.sources.http.transfer import Extent, Store

MIN_WINDOW_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
_RECORD_BYTES = 256 * 1024


class Window:
    """The sink of a stream: what is written and not yet read, over a ring of ``size_bytes``."""

    def __init__(self, size_bytes: int) -> None:
        # Not a bytearray: lanes write with pwrite, as to any file; memfd is memory where the system has it.
        self._fd = os.memfd_create("thunderdl") if sys.platform == "linux" else _unnamed_file()
        os.ftruncate(self._fd, size_bytes)
        self._size_bytes = size_bytes
        self._store = Store(
            fd=self._fd, path="memory", granule_bytes=min(_RECORD_BYTES, size_bytes // 16), ring_bytes=size_bytes
        )
        self.written = RangeSet()
        self.origin = Provenance()
        self.grew = asyncio.Event()

    @property
    def store(self) -> Store:
        return self._store

    def take(self, extents: Iterable[Extent], source: int) -> None:
        for extent in extents:
            self.written.add(extent.start, extent.end)
            self.origin.add(extent.start, extent.end, source)
        self.grew.set()

    def read(self, start: int, end: int) -> bytes:
        """The bytes ``[start, end)``, which must be written and in the window."""
        parts = []
        while start < end:
            at = start % self._size_bytes
            part = os.pread(self._fd, min(end - start, self._size_bytes - at), at)
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def close(self) -> None:
        os.close(self._fd)


def _unnamed_file() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


async def stream(
    session: Session, urls: Sequence[str], options: Options, window_bytes: int, told_by: str = "",
    on_open: Callable[[Opening], None] = lambda opening: None,
) -> AsyncGenerator[bytes, None]:  # fmt: skip
    """The bytes of the file in order. ``told_by``: who named the URLs, where the user did not; ``on_open``: told of
    the first answer, and may raise. Raises ThunderdlError; BadContent after the last byte for a wrong checksum."""
    candidates = Candidates(session, () if told_by else urls, options, urls if told_by else (), told_by)
    try:
        first = await candidates.first(from_the_start)
        opening = first.opening
        assert opening is not None
        on_open(opening)
        if (body := whole_body(opening)) is not None:
            check_small(options, first.url, body)
            yield body
            return
        version = version_of(opening)
        if version.size is None or opening.head.status != 206:
            first.opening = None
            async for part in _in_one_go(session, options, opening, candidates.pace):
                yield part
            return
        if options.piece_hashes is not None:
            check_count(options.piece_hashes, first.url, version.size)
        reader = _Reader(session, options, candidates, version, _window_for(options, window_bytes))
        try:
            async for part in reader.parts(first, opening):
                yield part
        finally:
            # To its end, or lanes would go on and hold their places at the host.
            await seen_through(asyncio.ensure_future(reader.close()))
    finally:
        candidates.close()


async def _in_one_go(
    session: Session, options: Options, opening: Opening, pace: Pace
) -> AsyncIterator[bytes]:  # fmt: skip
    """A body without ranges or size: one connection, nothing ahead but what the sockets hold."""
    hasher = new_hasher(options.checksum.algorithm) if options.checksum else None
    async with contextlib.aclosing(decoded_body(session, options, opening, pace)) as parts:
        async for part in parts:
            if hasher is not None:
                hasher.update(part)
            yield part
    _check_whole(options, hasher, opening.url, (opening.url,))


def _check_whole(options: Options, hasher: Hasher | None, where: str, served: tuple[str, ...]) -> None:
    if hasher is None or options.checksum is None:
        return
    found = Digest(options.checksum.algorithm, hasher.digest())
    if not options.checksum.covers(found):
        raise BadContent(where, str(options.checksum), str(found), served)


def _window_for(options: Options, window_bytes: int) -> int:
    """At least two pieces, and a whole number of what records and pieces are cut at."""
    pieces = options.piece_hashes
    unit = pieces.piece_length if pieces else _RECORD_BYTES
    wanted = max(window_bytes, MIN_WINDOW_BYTES, 2 * unit)
    return -(-wanted // unit) * unit


class _Reader:
    """Follows the prefix of what is written, moves the horizon, checks."""

    def __init__(
        self, session: Session, options: Options, candidates: Candidates, version: Version, window_bytes: int
    ) -> None:  # fmt: skip
        self._options, self._candidates, self._size = options, candidates, version.size or 0
        self._window_bytes = window_bytes
        self._window = Window(window_bytes)
        pieces = options.piece_hashes
        self._driver = Driver(
            session, options, candidates, [], self._window, version=version, filled=RangeSet(),
            align=pieces.piece_length if pieces else min(_RECORD_BYTES, window_bytes // 16),
        )  # fmt: skip
        self._settled: asyncio.Future[None] = session.loop.create_future()
        self._driver.on_fault = self._fault
        self._ticking: asyncio.Task[None] | None = None

    async def parts(self, first: Candidate, opening: Opening) -> AsyncIterator[bytes]:
        hasher = new_hasher(self._options.checksum.algorithm) if self._options.checksum else None
        self._driver.tell(Horizon(self._window_bytes))
        self._driver.start(first, opening)
        self._ticking = asyncio.create_task(self._driver.run_until(self._settled, lambda: None))
        position = 0
        while position < self._size:
            end = await self._next_end(position)
            part = self._window.read(position, end)
            position = end
            # The reader is past it: its place in the ring may be written again.
            self._driver.tell(Horizon(position + self._window_bytes))
            if hasher is not None:
                hasher.update(part)
            yield part
        served = tuple(c.url for c in self._candidates.all if c.source and c.source.bytes)
        _check_whole(self._options, hasher, self._candidates.origin.url, served)

    async def _next_end(self, position: int) -> int:
        """Wait until there is something to hand out from ``position`` on: up to where."""
        while True:
            if self._settled.done():
                self._settled.result()
            there = self._window.written.first_gap(position, self._size)
            end = min(there[0] if there else self._size, position + CHUNK_BYTES)
            if (end := self._checked_end(position, end)) > position:
                return end
            self._window.grew.clear()
            growing = asyncio.create_task(self._window.grew.wait())
            try:
                await asyncio.wait((growing, self._settled), return_when=asyncio.FIRST_COMPLETED)
            finally:
                growing.cancel()

    def _checked_end(self, position: int, end: int) -> int:
        """Where pieces have hashes: the end of the piece at ``position``, once it is there and right."""
        pieces = self._options.piece_hashes
        if pieces is None:
            return end
        index = position // pieces.piece_length
        last = min((index + 1) * pieces.piece_length, self._size)
        if not self._window.written.covers(position, last):
            return position
        hasher = new_hasher(pieces.algorithm)
        hasher.update(self._window.read(position, last))
        if hasher.digest() == pieces.digests[index]:
            return last
        suspects = self._window.origin.sources_of(position, last)
        served = tuple(c.url for c in self._candidates.all if c.id in suspects)
        self._candidates.attempts.append(
            BadContent(f"bytes {position}-{last - 1}", "the given hash", "another", served)
        )
        self._window.written.remove(position, last)
        self._window.origin.remove(position, last)
        culprits = suspects if len(suspects) == 1 else frozenset[int]()
        self._driver.tell(PieceBad(position, last, suspects, culprits))
        return position

    def _fault(self, error: ThunderdlError) -> None:
        if not self._settled.done():
            self._settled.set_exception(error)
            self._settled.exception()

    async def close(self) -> None:
        if not self._settled.done():
            self._settled.set_result(None)
        if self._ticking is not None:
            await asyncio.wait({self._ticking})
            self._ticking.exception()
        await self._driver.stop()
        self._window.close()
