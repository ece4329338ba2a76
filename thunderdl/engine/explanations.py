"""The facts that explain each source of a download, gathered when somebody asks. It looks, and changes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from thunderdl.core.explaining import Facts, explain
from thunderdl.engine.facts import Facts as Told
from thunderdl.engine.snapshot import source_progress
from thunderdl.errors import ServerBusy, ThunderdlError, clause, printable
from thunderdl.model import Explanation, SourceKind, SourceProgress, Status

if TYPE_CHECKING:
    from thunderdl.core.roster import Source
    from thunderdl.engine.download import Download


def explanations(download: Download) -> tuple[Explanation, ...]:
    """One for each URL, in the order given, and one for the peers of a torrent."""
    shown = source_progress(download)
    driver = download.ranged.driver if download.ranged else None
    known = driver.scheduler.roster.sources if driver else {}
    told = []
    # Behind the URLs stand sources that are none: peers.
    for candidate, source in zip(sorted(download.candidates.all, key=lambda each: each.id), shown, strict=False):
        faults = download.candidates.faults_of(candidate)
        facts = _facts(source, shown, download.candidates.fault_of(candidate))
        if candidate.id in known:
            facts = _with_books(facts, known[candidate.id], download, faults)
        reason = explain(facts)
        told.append(Explanation(url=source.url, why=reason.why, told=reason.told))
    return (*told, *_of_the_swarm(download, shown))


def _of_the_swarm(download: Download, shown: Sequence[SourceProgress]) -> tuple[Explanation, ...]:
    """One for the peers of a torrent, where it has any to be asked for."""
    crowd, ranged = download.crowd, download.ranged
    if crowd is None or ranged is None or ranged.torrent is None:
        return ()
    from thunderdl.core.explaining_swarms import SwarmState, explain_swarm

    table = Told(download).pieces()
    there = int.from_bytes(table.bitfield, "big").bit_count() if table else 0
    state = SwarmState(
        peers=crowd.peers(), trackers=crowd.trackers, up_bytes_per_s=crowd.up_bytes_per_s,
        rate_bytes_per_s=sum(source.rate_bytes_per_s for source in shown if source.kind is SourceKind.PEERS),
        here=there / max(table.count if table else 1, 1), is_checking=download.status is Status.VERIFYING,
        is_seeding=download.is_whole, is_private=ranged.torrent.private,
        is_limited=download.candidates.pace.holds_torrent_back,
    )  # fmt: skip
    reason = explain_swarm(state)
    return (Explanation(url="peers", why=reason.why, told=reason.told),)


def _facts(source: SourceProgress, shown: Sequence[SourceProgress], fault: ThunderdlError | None) -> Facts:
    """What is known of any source, one that was never opened included."""
    # The sentence of an error names the URL, which stands before it here anyway.
    is_fault = fault is not None and source.note == printable(str(fault))
    return Facts(
        state=source.state, note="" if is_fault else printable(source.note).rstrip("."),
        share=source.bytes / (sum(each.bytes for each in shown) or 1), rate_bytes_per_s=source.rate_bytes_per_s,
        quickest_bytes_per_s=max(each.rate_bytes_per_s for each in shown), lanes=source.lanes,
        fault=clause(fault) if fault else "",
    )  # fmt: skip


def _with_books(facts: Facts, known: Source, download: Download, faults: Sequence[ThunderdlError]) -> Facts:
    """The same with what the scheduler's books say."""
    assert download.ranged is not None
    assert download.ranged.driver is not None
    now, options, scheduler = time.monotonic(), download.session.options, download.ranged.driver.scheduler
    others = sum(len(source.lanes) for source in scheduler.roster.sources.values()) - len(known.lanes)
    busy = next((error for error in reversed(faults) if isinstance(error, ServerBusy)), None)
    running = [lane.running.moved_at for lane in known.lanes.values() if lane.running]
    return replace(
        facts, most_lanes=min(options.per_host, max(1, options.connections - others)),
        random_access=known.random_access, lane_bound=known.climb.lane_bound, trying=known.climb.trying,
        failures=known.failures, down_s=None if known.down_since is None else now - known.down_since,
        retry_s=known.retry_at - now if known.retry_at > now else None,
        refused=f"the server answered {busy.status}" if busy else "",
        silent_s=now - max(running, default=known.down_since or now) if known.silent else None,
        has_work=bool(scheduler.missing),
    )  # fmt: skip
