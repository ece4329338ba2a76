"""The scheduler's books: sources, lanes and leases, and what each has shown of itself. Pure.

Invariants:
1. A lease is in exactly one lane's queue from its grant to its release.
2. The ranges of leases are disjoint, and disjoint from what is filled and from what is missing.
3. A lane belongs to one source for life; its first lease in the queue is the running one.
"""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field

from thunderdl.core.ranges import RangeSet
from thunderdl.core.ranking import LatencyEstimate, RateEstimate

# A source of which nothing is known is taken to be this fast, until its first bytes say better.
UNKNOWN_RATE_BYTES_PER_S = 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Lease:
    id: int
    lane: Lane
    start: int
    end: int
    position: int
    moved_at: float
    shrinking: bool = False
    cancelled: bool = False

    @property
    def left_bytes(self) -> int:
        return self.end - self.position


@dataclass(slots=True, kw_only=True)
class Lane:
    id: int
    source: Source
    leases: deque[Lease] = field(default_factory=deque)
    rate: RateEstimate = field(default_factory=RateEstimate)

    @property
    def running(self) -> Lease | None:
        return self.leases[0] if self.leases else None

    def safe_rate(self) -> float:
        """Bytes a second that this lane will likely bring; from its own past, else from its source's."""
        return self.rate.safe if self.rate.known else self.source.lane_rate()


@dataclass(slots=True, kw_only=True)
class Source:
    id: int
    host: str
    lane_cap: int
    random_access: bool = True
    lanes: dict[int, Lane] = field(default_factory=dict)
    latency: LatencyEstimate = field(default_factory=LatencyEstimate)
    past_lane_rate: float = 0.0
    failures: int = 0
    strikes: int = 0
    retry_at: float = 0.0
    banned: bool = False
    gone: bool = False
    exhausted: bool = False
    silent: bool = False
    note: str = ""
    avoid: RangeSet = field(default_factory=RangeSet)
    peers: Roster | None = None

    @property
    def usable(self) -> bool:
        return not (self.banned or self.gone)

    @property
    def on_probation(self) -> bool:
        return self.strikes > 0

    def lane_rate(self) -> float:
        """What one more lane of this source would likely bring."""
        known = [lane.rate.safe for lane in self.lanes.values() if lane.rate.known]
        if known:
            return max(statistics.fmean(known), 1.0)
        if self.past_lane_rate:
            return self.past_lane_rate
        return self.peers.typical_lane_rate() if self.peers else UNKNOWN_RATE_BYTES_PER_S

    def total_rate(self) -> float:
        return sum(lane.safe_rate() for lane in self.lanes.values())


class Roster:
    """All sources, lanes and leases of one download."""

    def __init__(self) -> None:
        self.sources: dict[int, Source] = {}
        self.lanes: dict[int, Lane] = {}
        self.leases: dict[int, Lease] = {}
        self._next_lane = self._next_lease = 0

    def new_lane_id(self) -> int:
        self._next_lane += 1
        return self._next_lane

    def add_source(self, source: Source) -> Source:
        source.peers = self
        self.sources[source.id] = source
        return source

    def add_lane(self, source: Source, lane_id: int | None = None) -> Lane:
        lane = Lane(id=self.new_lane_id() if lane_id is None else lane_id, source=source)
        self.lanes[lane.id] = source.lanes[lane.id] = lane
        return lane

    def drop_lane(self, lane: Lane) -> None:
        if lane.rate.known:
            lane.source.past_lane_rate = max(lane.rate.safe, 1.0)
        self.lanes.pop(lane.id, None)
        lane.source.lanes.pop(lane.id, None)

    def add_lease(self, lane: Lane, start: int, end: int, now: float) -> Lease:
        self._next_lease += 1
        lease = Lease(id=self._next_lease, lane=lane, start=start, end=end, position=start, moved_at=now)
        if not lane.leases:
            lane.rate.begin(now)
        lane.leases.append(lease)
        self.leases[lease.id] = lease
        return lease

    def drop_lease(self, lease: Lease, now: float) -> None:
        lease.lane.leases.remove(lease)
        del self.leases[lease.id]
        if lease.lane.leases:
            lease.lane.leases[0].moved_at = now

    def typical_lane_rate(self) -> float:
        known = [lane.rate.safe for lane in self.lanes.values() if lane.rate.known]
        return max(statistics.median(known), 1.0) if known else UNKNOWN_RATE_BYTES_PER_S

    def total_rate(self) -> float:
        return sum(lane.safe_rate() for lane in self.lanes.values() if lane.leases) or UNKNOWN_RATE_BYTES_PER_S
