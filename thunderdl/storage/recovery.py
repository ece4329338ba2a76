"""After a restart: what of a part file counts, by its journal and, where that is not enough, by reading it back.

It decides nothing about versions or hashes that were given; it finds out which bytes are those that were recorded.

Invariants:
1. An extent counts by its record alone only where the page cache has survived, or a barrier covers every byte
   of the blocks that it lies in. Any other is compared with its digest, or counts for nothing.
2. Whatever the journal says: nothing behind the end of the part file counts, and nothing else is opened.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace

from thunderdl.core.ranges import RangeSet
from thunderdl.errors import JournalUnusable
from thunderdl.formats.fast_digest import fast_hasher
from thunderdl.storage.files import close_quietly
from thunderdl.storage.journal import Journal, Recovered, read_whole
from thunderdl.storage.records import Extent, compacted, decode

READ_BACK_BYTES = 1 << 20

# What a power loss may garble goes by the block of the page cache and the drive, not by the byte.
BLOCK_BYTES = 4096


def trusted_extents(
    recovered: Recovered, boot_id: str, *, part_bytes: int | None = None
) -> tuple[list[Extent], list[Extent]]:
    """Which extents count as they are, and which must be read back first: (trusted, doubtful).

    ``boot_id``: of now; ``part_bytes``: the part file's length, what lies behind it is in neither list.
    Same start of the machine: all are trusted. Another: those before the last barrier, but not where one shares
    a block with bytes that no barrier covers (a torn write garbles whole blocks).
    """
    extents = [e for e in recovered.extents if part_bytes is None or e.end <= part_bytes]
    if boot_id and boot_id == recovered.header.boot_id:
        return extents, []
    durable = RangeSet((e.start, e.end) for e in extents if e.durable)
    unsafe = RangeSet(_shared_blocks(durable, recovered.header.size))
    trusted: list[Extent] = []
    doubtful: list[Extent] = []
    for extent in extents:
        safe = list(unsafe.gaps(extent.start, extent.end)) if extent.durable else []
        if safe == [(extent.start, extent.end)]:
            trusted.append(extent)
        elif extent.digest is not None:
            doubtful.append(extent)
        else:
            # Nothing to compare it with: what lies in whole blocks stays, the edge is fetched again.
            trusted.extend(Extent(start, end, None, extent.durable) for start, end in safe)
    return trusted, doubtful


def resume(
    path: str, part_fd: int, boot_id: str, *, trust_none: bool = False
) -> tuple[Journal, Recovered, list[Extent]]:
    """Open a journal and settle what counts: (journal, what it held, the extents that are really in the part file).

    Doubtful extents are read back; unless all is as recorded and of this start of the machine, a journal of
    what counts is put in place of the old one. Reads up to what lies behind the last barrier: seconds at most.
    ``trust_none``: all is read back. Raises as :meth:`Journal.open` does.
    """
    journal, found = Journal.open(path)
    try:
        trusted, doubtful = trusted_extents(found, boot_id, part_bytes=os.fstat(part_fd).st_size)
        if trust_none:
            trusted, doubtful = [], sorted(trusted + doubtful)
        good, _ = read_back(part_fd, doubtful)
        extents = sorted(trusted + good)
        if extents != list(found.extents) or found.header.boot_id != boot_id:
            kept = RangeSet((e.start, e.end) for e in extents)
            verified = [(start, end) for start, end in found.verified if kept.covers(start, end)]
            journal.compact(compacted(replace(found.header, boot_id=boot_id), extents, verified, found.served))
    except BaseException:
        journal.close()
        raise
    return journal, found, extents


def read_back(fd: int, extents: Iterable[Extent]) -> tuple[list[Extent], list[Extent]]:
    """Read the extents from the part file and compare their xxh3_64: (good, bad).

    Bad are also those without a digest, behind the end of the file, or where the disk cannot read.
    """
    good: list[Extent] = []
    bad: list[Extent] = []
    buffer = memoryview(bytearray(READ_BACK_BYTES))
    for extent in extents:
        same = extent.digest is not None and _digest_at(fd, extent.start, extent.end, buffer) == extent.digest
        (good if same else bad).append(extent)
    return good, bad


def is_whole(path: str, fd: int) -> bool:
    """Whether the open file is, byte for byte, the finished download of the journal at ``path``; nothing is changed.

    Reads all of it. False also where the journal has no digest for a part of it or cannot be read. Raises nothing.
    """
    try:
        journal_fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            found = decode(read_whole(path, journal_fd), path)
        finally:
            close_quietly(journal_fd)
        size = os.fstat(fd).st_size
        there = RangeSet((extent.start, extent.end) for extent in found.extents)
        if found.header.size != size or not there.covers(0, size):
            return False
        return not read_back(fd, found.extents)[1]
    except (OSError, JournalUnusable):
        return False


def _shared_blocks(durable: RangeSet, size: int | None) -> Iterator[tuple[int, int]]:
    """The parts of durable ranges that lie in a block together with other bytes of the file."""
    for start, end in durable:
        block_end = -(-start // BLOCK_BYTES) * BLOCK_BYTES
        if start < block_end:
            yield start, min(block_end, end)
        block_start = end // BLOCK_BYTES * BLOCK_BYTES
        if block_start < end and end != size:
            yield max(block_start, start), end


def _digest_at(fd: int, start: int, end: int, buffer: memoryview) -> bytes | None:
    hasher = fast_hasher()
    while start < end:
        try:
            got = os.preadv(fd, [buffer[: end - start]], start)
        except OSError as error:
            if error.errno in (errno.EBADF, errno.EINVAL):
                raise
            return None
        if got == 0:
            return None
        hasher.update(buffer[:got])
        start += got
    return hasher.digest()
