"""Proof by comparing: bytes that are there already are fetched once more, where validators prove nothing."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from thunderdl.core.ranges import RangeSet
from thunderdl.engine.ledger import Ledger
from thunderdl.engine.opening import First, Opening, release
from thunderdl.engine.session import Session
from thunderdl.errors import ThunderdlError
from thunderdl.sources.http.transfer import COLLECT_BYTES

# The end of what is there (where an appended or rebuilt file differs first), its start, and its middle.
SAMPLE_BYTES = 64 * 1024


# Asks one URL for a range.
Ask = Callable[[First], Awaitable[Opening]]


async def same_bytes(session: Session, ask: Ask, ledger: Ledger) -> bool:
    """Whether the server's bytes equal ours at up to three places of what an earlier run left."""
    assert ledger.resumed is not None
    return await is_seen_the_same(session, ask, ledger.part.fd, ledger.resumed.written)


async def is_seen_the_same(session: Session, ask: Ask, fd: int, written: RangeSet) -> bool:
    """The same as :func:`same_as_written`; False where they cannot be had."""
    try:
        return await same_as_written(session, ask, fd, written)
    except ThunderdlError:
        return False


async def same_as_written(session: Session, ask: Ask, fd: int, written: RangeSet) -> bool:
    """Whether the bytes of a URL equal those in ``fd`` at up to three places of ``written``. Raises ThunderdlError
    where they cannot be had: nothing is known then."""
    ranges = list(written)
    if not ranges:
        return True
    places = {max(ranges[-1][0], ranges[-1][1] - SAMPLE_BYTES), ranges[0][0], ranges[len(ranges) // 2][0]}
    for place in sorted(places):
        end = next(b for a, b in ranges if a <= place < b)
        sample = await ask(First(place, min(end - place, SAMPLE_BYTES)))
        try:
            if not await _agrees(session, sample, fd):
                return False
        finally:
            release(session, sample)
    return True


async def _agrees(session: Session, sample: Opening, fd: int) -> bool:
    transfer = sample.transfer
    if transfer.body is None or sample.head.status != 206:
        return False
    body = bytes(transfer.body)
    return body == await session.on_disk(os.pread, fd, len(body), transfer.start)


assert SAMPLE_BYTES <= COLLECT_BYTES
