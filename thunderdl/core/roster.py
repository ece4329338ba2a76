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

from thunderdl.core.climbing import Climb
from thunderdl.core.ranges import RangeSet
from thunderdl.core.ranking import LatencyEstimate, RateEstimate

# A source of which nothing is known is taken to be this fast, until its first bytes say better.
UNKNOWN_RATE_BYTES_PER_S = 1024 * 1024
# A lane that brings nothing for this long, or three round trips, is not counted on.
SILENT_S = 2.0
CRUMB_BYTES = 1024


@dataclass(slots=True, kw_only=True)
class Lease:
    id: int
    lane: Lane
    start: int
    end: int
    position: int
    moved_at: float
    asked_end: int
    shrinking: bool = False
    cut: int = 0
    cancelled: bool = False
    # The only one to bring its piece, so that it is known who did.
    alone: bool = False

    @property
    def left_bytes(self) -> int:
        return self.end - self.position


@dataclass(slots=True, kw_only=True)
class Lane:
    id: int
    source: Source
    leases: deque[Lease] = field(default_factory=deque)
    rate: RateEstimate = field(default_factory=RateEstimate)
    connected: bool = False
    # It has brought bytes: what breaks it is not that the server wants fewer.
    worked: bool = False

    @property
    def running(self) -> Lease | None:
        return self.leases[0] if self.leases else None

    @property
    def last(self) -> Lease | None:
        """The last of its leases that lacks more than a crumb: the one to take from."""
        found = None
        for lease in reversed(self.leases):
            if lease.left_bytes > CRUMB_BYTES:
                return lease
            found = found or (lease if lease.left_bytes else None)
        return found

    @property
    def left_bytes(self) -> int:
        """What all of its leases still lack."""
        return sum(lease.left_bytes for lease in self.leases)

    @property
    def asking_s(self) -> float:
        """From a grant to its first byte: a round trip, and another where there is no connection yet."""
        if self.leases:
            return 0.0
        return self.source.latency.value * (1 if self.connected else 2)

    def safe_rate(self) -> float:
        """Bytes a second that this lane will likely bring; from its own past, else from its source's."""
        return self.rate.safe if self.rate.known else self.source.lane_rate()

    def likely_rate(self) -> float:
        """The same without caution: what it brings in the mean. An idle lane is as quick as its busy siblings."""
        if not self.leases:
            busy = [lane.rate.mean for lane in self.source.lanes.values() if lane.leases and lane.rate.known]
            if busy:
                return max(statistics.fmean(busy), 1.0)
        return max(self.rate.mean, 1.0) if self.rate.known else self.source.lane_rate()

    def is_silent(self, now: float) -> bool:
        lease = self.running
        return lease is not None and now - lease.moved_at > max(3 * self.source.latency.value, SILENT_S)

    def left_s(self, now: float) -> float:
        """How long until all of its leases are done."""
        if not self.leases:
            return 0.0
        rate = self.likely_rate()
        since_s = max(0.0, now - self.leases[0].moved_at)
        return max(0.0, self.left_bytes / rate - since_s) if self.rate.known else self.left_bytes / rate


@dataclass(slots=True, kw_only=True)
class Source:
    id: int
    host: str
    climb: Climb
    random_access: bool = True
    lanes: dict[int, Lane] = field(default_factory=dict)
    latency: LatencyEstimate = field(default_factory=LatencyEstimate)
    past_lane_rate: float = 0.0
    total_bytes: int = 0
    # Passing faults in a row, and since when it has brought nothing but those.
    failures: int = 0
    down_since: float | None = None
    suspected: int = 0
    doubted: bool = False
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
    def is_alone(self) -> bool:
        """Whether nobody else could bring what it does not."""
        others = self.peers.sources.values() if self.peers else ()
        return not any(other.usable for other in others if other is not self)

    @property
    def on_probation(self) -> bool:
        return self.doubted or (self.strikes > 0 and not self.is_alone)

    @property
    def is_down(self) -> bool:
        return self.failures > 0 or self.silent

    def recover(self) -> None:
        """It has brought bytes: what was wrong is over."""
        self.failures, self.down_since = 0, None
        self.silent = self.exhausted = False

    @property
    def known(self) -> bool:
        """Whether anything is known of its rate."""
        return self.past_lane_rate > 0 or any(lane.rate.known for lane in self.lanes.values())

    def is_surplus(self, lane: Lane) -> bool:
        """Whether the lane is one more than the source should have."""
        surplus = len(self.lanes) - self.climb.lanes
        return surplus > 0 and lane.id in list(self.lanes)[-surplus:]

    def lane_rate(self) -> float:
        """What one more lane of this source would likely bring."""
        known = [lane.rate.safe for lane in self.lanes.values() if lane.rate.known]
        if known:
            return max(statistics.fmean(known), 1.0)
        if self.past_lane_rate:
            return self.past_lane_rate
        return self.peers.typical_lane_rate() if self.peers else UNKNOWN_RATE_BYTES_PER_S


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
        lease = Lease(
            id=self._next_lease, lane=lane, start=start, end=end, position=start, moved_at=now, asked_end=end
        )  # fmt: skip
        if not lane.leases:
            # The wait for the first byte says nothing of the rate.
            lane.rate.begin(now + lane.asking_s)
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

    def likely_rate(self, now: float) -> float:
        """What all lanes that are of use bring together; 0 where nothing is known yet."""
        lanes = (lane for lane in self.lanes.values() if lane.rate.known and lane.source.usable)
        return sum(lane.rate.mean for lane in lanes if not lane.is_silent(now) and not lane.source.silent)

    def leased_bytes(self) -> int:
        """What is granted and not here yet."""
        return sum(lease.left_bytes for lease in self.leases.values())
