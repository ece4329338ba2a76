"""Proof by comparing: bytes that are there already are fetched once more, where validators prove nothing."""

from __future__ import annotations

import os

from thunderdl.engine.ledger import Ledger
from thunderdl.engine.opening import First, Opening, open_source, release
from thunderdl.engine.session import Session
from thunderdl.errors import ThunderdlError
from thunderdl.options import Options
from thunderdl.sources.http.transfer import COLLECT_BYTES

# The end of what is there (where an appended or rebuilt file differs first), its start, and its middle.
SAMPLE_BYTES = 64 * 1024


async def same_bytes(session: Session, opening: Opening, options: Options, ledger: Ledger) -> bool:
    """Whether the server's bytes equal ours at up to three places of what an earlier run left."""
    assert ledger.resumed is not None
    written = list(ledger.resumed.written)
    if not written:
        return True
    places = {max(written[-1][0], written[-1][1] - SAMPLE_BYTES), written[0][0], written[len(written) // 2][0]}
    for place in sorted(places):
        end = next(b for a, b in written if a <= place < b)
        if not await _same_at(session, opening, options, ledger, place, min(end, place + SAMPLE_BYTES)):
            return False
    return True


async def _same_at(
    session: Session, opening: Opening, options: Options, ledger: Ledger, start: int, end: int
) -> bool:  # fmt: skip
    try:
        meter = opening.transfer.meter
        sample = await open_source(session, opening.url, options, First(start, end - start), meter)
    except ThunderdlError:
        return False
    transfer = sample.transfer
    try:
        if transfer.body is None or sample.head.status != 206 or transfer.start != start:
            return False
        ours = await session.on_disk(os.pread, ledger.part.fd, end - start, start)
        return bytes(transfer.body[: end - start]) == ours
    finally:
        release(session, sample)


assert SAMPLE_BYTES <= COLLECT_BYTES
