"""What a download looks like at one moment: made when asked, from counters that are there anyway."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from thunderdl.core.ranges import RangeSet
from thunderdl.engine.opening import is_passing
from thunderdl.errors import printable
from thunderdl.formats.links import scheme_of
from thunderdl.model import Progress, SourceKind, SourceProgress, SourceState, Status

if TYPE_CHECKING:
    from thunderdl.core.roster import Source
    from thunderdl.engine.candidates import Candidate
    from thunderdl.engine.download import Download

MAP_CELLS = 256


def progress_of(download: Download) -> Progress:
    """A snapshot of ``download``."""
    size = download.version.size
    done = done_bytes_of(download)
    sources = source_progress(download)
    rate = sum(source.rate_bytes_per_s for source in sources)
    eta = (size - done) / rate if size is not None and rate > 0 else None
    name = os.path.basename(download.target.path) if download.target else download.url
    return Progress(
        name=printable(name), status=download.status, size_bytes=size, done_bytes=done,
        resumed_bytes=download.ranged.resumed_bytes if download.ranged else 0,
        wasted_bytes=sum(source.wasted_bytes for source in sources), rate_bytes_per_s=rate, eta_s=eta,
        uploaded_bytes=download.uploaded_bytes,
        sources=sources, piece_map=_piece_map(download, size), notes=tuple(download.notes), path=download.path,
        upload_rate_bytes_per_s=crowd.up_bytes_per_s if (crowd := download.crowd) else 0.0,
        connections=_connections(download, sources),
    )  # fmt: skip


def _connections(download: Download, sources: tuple[SourceProgress, ...]) -> int:
    """Lanes at work, and peers and web seeds that are there."""
    crowd = download.crowd
    peers = len(crowd.raw) + len(crowd.web) if crowd is not None else 0
    return peers + sum(source.lanes for source in sources[: len(download.candidates.all)])


def done_bytes_of(download: Download) -> int:
    """What is there, proven or not."""
    ranged = download.ranged
    if ranged is None or ranged.ledger is None:
        return download.single_bytes
    if ranged.driver is not None:
        written = ranged.ledger.written.total + ranged.driver.lanes.live_bytes()
        # What the swarm has brought is written down a little later.
        return max(written, ranged.driver.scheduler.filled.total)
    resumed = ranged.ledger.resumed
    return resumed.written.total if resumed else download.single_bytes


def _piece_map(download: Download, size: int | None) -> bytes:
    ranged = download.ranged
    if not size or ranged is None:
        return b""
    if ranged.ledger is None:
        return ranged.piece_map(MAP_CELLS)
    filled = ranged.driver.scheduler.filled if ranged.driver else ranged.ledger.written
    made_of, cells = download.map_made or (None, b"")
    if made_of != filled:
        # 0.2 ms for a few ranges; who asks a thousand times a second asks a hundred times for the same.
        cells = cells_of(filled, size, MAP_CELLS)
        download.map_made = filled.copy(), cells
    return cells


def piece_sources_of(download: Download) -> bytes:
    """For each cell of the piece map who brought most of it: 1 + its place in the progress's sources; 0 where nobody
    has yet, or an earlier run. Empty where that is not known."""
    size, ranged = download.version.size, download.ranged
    if not size or ranged is None:
        return b""
    if ranged.ledger is None:
        # libtorrent tells of no piece whose it was: it is known where there is one source alone, from the start.
        is_alone = not ranged.resumed_bytes and len(source_progress(download)) == 1
        return bytes(map(bool, ranged.piece_map(MAP_CELLS))) if is_alone else b""
    ids = sorted(candidate.id for candidate in download.candidates.all)
    # The swarm's id is 0, and it comes last.
    places = {source: place for place, source in enumerate([*ids, 0], 1) if place < 256}
    count = min(MAP_CELLS, size)
    most = (ranged.ledger.origin.most_of(at * size // count, (at + 1) * size // count) for at in range(count))
    cells = [places.get(source, 0) if source is not None else 0 for source in most]
    for start, end, source in ranged.unrecorded():
        for cell in range(start * count // size, (end - 1) * count // size + 1):
            cells[cell] = cells[cell] or places.get(source, 0)
    return bytes(cells)


def cells_of(filled: RangeSet, size: int, count: int) -> bytes:
    """``count`` cells over the file, each 0 (missing) to 255 (all there)."""
    count = min(count, size)
    cells = [0.0] * count
    for start, end in filled:
        first, last = start * count // size, (end - 1) * count // size
        for cell in range(first, last + 1):
            low, high = cell * size / count, (cell + 1) * size / count
            cells[cell] += max(0.0, min(end, high) - max(start, low)) / (high - low)
    return bytes(min(255, int(255 * cell + 1e-6)) for cell in cells)


def source_progress(download: Download) -> tuple[SourceProgress, ...]:
    """Each URL of the download, in the order given."""
    ranged = download.ranged
    urls = tuple(_one(download, candidate) for candidate in sorted(download.candidates.all, key=lambda c: c.id))
    return (*urls, *(ranged.others() if ranged else ()))


def _one(download: Download, candidate: Candidate) -> SourceProgress:
    driver = download.ranged.driver if download.ranged else None
    known = driver.scheduler.roster.sources.get(candidate.id) if driver else None
    state, note = _state(download, candidate, known)
    rates = [lane.rate.mean for lane in known.lanes.values() if lane.leases] if known else []
    if candidate.source is not None and (streaming := _stream_rate(download)) is not None:
        rates = [streaming]
    return SourceProgress(
        url=candidate.url, kind=SourceKind.of_scheme(scheme_of(candidate.url)), state=state,
        bytes=candidate.source.bytes if candidate.source else 0,
        wasted_bytes=candidate.source.wasted_bytes if candidate.source else 0,
        rate_bytes_per_s=sum(rates), lanes=len(rates), note=printable(note),
    )  # fmt: skip


def _stream_rate(download: Download) -> float | None:
    """Of a body of unknown length while it comes: it has a connection that the scheduler knows nothing of."""
    ranged = download.ranged
    is_active = download.status is Status.ACTIVE and ranged is not None and ranged.driver is None
    return ranged.stream_rate.mean if is_active and ranged is not None and ranged.stream_rate is not None else None


def _state(download: Download, candidate: Candidate, known: Source | None) -> tuple[SourceState, str]:
    note = candidate.notes[-1] if candidate.notes else ""
    if candidate.source is None:
        if candidate.error is None:
            return SourceState.OPENING, note
        candidates = download.candidates
        is_asked_again = is_passing(candidate.error) and (candidates.still_opening or len(candidates.all) == 1)
        state = SourceState.BACKING_OFF if is_asked_again and download.status is Status.ACTIVE else SourceState.GONE
        return state, note or str(candidate.error)
    if known is None:
        return SourceState.ACTIVE, note
    note = known.note or note
    if known.banned:
        return SourceState.BANNED, note
    if known.gone:
        return SourceState.GONE, note or _last_error(download, candidate)
    if known.on_probation:
        return SourceState.PROBATION, note
    if not known.lanes and known.failures:
        return SourceState.BACKING_OFF, note or _last_error(download, candidate)
    return SourceState.ACTIVE, note


def _last_error(download: Download, candidate: Candidate) -> str:
    found = download.candidates.fault_of(candidate)
    return str(found) if found else ""
