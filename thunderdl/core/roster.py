"""The scheduler's books: sources, lanes and leases, and what each has shown of itself. Pure.

Invariants:
1. A lease is in exactly one lane's queue from its grant to its release.
2. The ranges of leases are disjoint, and disjoint from what is filled and from what is missing.
3. A lane belongs to one source for life; its first lease in the queue is the running one.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import islice

from thunderdl.core.climbing import Climb
from thunderdl.core.ranges import RangeSet
from thunderdl.core.ranking import LatencyEstimate, RateEstimate

# A source of which nothing is known is taken to be this fast, until its first bytes say better.
UNKNOWN_RATE_BYTES_PER_S = 1024 * 1024
# A lane that brings nothing for this long, or three round trips, is not counted on. Retransmissions after a loss
# take 0.2-0.4 s (RFC 6298 with Linux's minimum of 200 ms), so a second of silence is more than that.
SILENT_S, SILENT_TRIPS = 1.0, 3


@dataclass(slots=True, kw_only=True)
class Lease:
    """``due_at``: when its first byte may be expected; ``moved_at``: when it was granted or last brought a byte."""

    id: int
    lane: Lane
    start: int
    end: int
    position: int
    moved_at: float
    due_at: float
    asked_end: int
    shrinking: bool = False
    cut: int = 0
    # Who is to have what a cut frees.
    thief: int | None = None
    cancelled: bool = False
    # The only one to bring its piece, so that it is known who did.
    alone: bool = False

    @property
    def left_bytes(self) -> int:
        return self.end - self.position


@dataclass(slots=True, kw_only=True, eq=False)
class Lane:
    """``connected``: its connection is open and in step; ``worked``: it has brought bytes, so what breaks it is not
    that the server wants fewer; ``probe``: opened to see whether a source that was down is back; ``renewing``: it waits
    for another link; ``next_at``: the end of its last lease."""

    id: int
    source: Source
    leases: deque[Lease] = field(default_factory=deque)
    rate: RateEstimate = field(default_factory=RateEstimate)
    connected: bool = False
    worked: bool = False
    probe: bool = False
    renewing: bool = False
    next_at: int | None = None

    @property
    def running(self) -> Lease | None:
        return self.leases[0] if self.leases else None

    @property
    def largest(self) -> Lease | None:
        """The one of its leases that lacks most, the later of two: the one to take from."""
        if len(self.leases) == 1:
            return self.leases[0]
        return max(reversed(self.leases), key=lambda lease: lease.end - lease.position, default=None)

    @property
    def left_bytes(self) -> int:
        """What all of its leases still lack."""
        if len(self.leases) == 1:
            return self.leases[0].end - self.leases[0].position
        return sum([lease.end - lease.position for lease in self.leases])

    @property
    def is_cut(self) -> bool:
        """Whether the connection will be closed in the middle of an answer, for its end was lowered."""
        return bool(self.leases) and self.leases[-1].end < self.leases[-1].asked_end

    @property
    def asking_s(self) -> float:
        """From a grant to its first byte: a round trip, and another where there is no connection then."""
        return self.source.latency.value * (1 if self.connected and not self.is_cut else 2)

    def safe_rate(self) -> float:
        """Bytes a second that this lane will likely bring; from its own past, else from its source's."""
        return self.rate.safe if self.rate.known else self.source.lane_rate()

    def likely_rate(self) -> float:
        """The same without caution: what it brings in the mean. An idle lane is as quick as its busy siblings."""
        if not self.leases:
            busy = [lane.rate.mean for lane in self.source.lanes.values() if lane.leases and lane.rate.known]
            if busy:
                return sum(busy) / len(busy) or 1.0
        return (self.rate.mean or 1.0) if self.rate.known else self.source.lane_rate()

    def silent_s(self, now: float) -> float:
        """How long it has brought nothing although it should have."""
        if not self.leases:
            return 0.0
        lease = self.leases[0]
        return max(0.0, now - max(lease.moved_at, lease.due_at))

    def is_silent(self, now: float) -> bool:
        if not self.leases:
            return False
        lease = self.leases[0]
        silent_s = now - (lease.moved_at if lease.moved_at > lease.due_at else lease.due_at)
        return silent_s > SILENT_S and silent_s > SILENT_TRIPS * self.source.latency.value

    def flows_in_s(self, now: float) -> float:
        """When bytes can come from it at the earliest."""
        return max(0.0, self.leases[0].due_at - now) if self.leases else self.asking_s

    def left_s(self, now: float) -> float:
        """How long until all of its leases are done."""
        if not self.leases:
            return 0.0
        first, work_s = self.leases[0], self.left_bytes / self.likely_rate()
        if not self.rate.known or not self.worked:
            return work_s + max(0.0, first.due_at - now)
        # It goes on between two reports, and does not before its first byte can be here.
        return max(0.0, work_s - (now - max(first.moved_at, first.due_at)))

    def ready_s(self, now: float) -> float:
        """When the first byte of one more lease would be here."""
        left_s = self.left_s(now)
        return left_s + self.asking_s if self.is_cut else max(left_s, self.asking_s)


@dataclass(slots=True, kw_only=True, eq=False)
class Source:
    """``random_access`` False: it can only send the file from its start; ``min_bytes``: a range smaller than this is
    not worth asking it for; ``max_lanes``: it wants no more, 0 for no wish; ``runs_on``: its lanes had best keep going
    (:mod:`thunderdl.core.onward`)."""

    id: int
    host: str
    climb: Climb
    random_access: bool = True
    min_bytes: int = 0
    max_lanes: int = 0
    runs_on: bool = False
    lanes: dict[int, Lane] = field(default_factory=dict)
    latency: LatencyEstimate = field(default_factory=LatencyEstimate)
    past_lane_rate: float = 0.0
    total_bytes: int = 0
    # Passing faults in a row, and since when it has brought nothing but those.
    failures: int = 0
    down_since: float | None = None
    # What one request is for at least, since it refuses requests; 0 where it does not.
    ask_bytes: int = 0
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
        """Whether the lane is one more than the source should have; one that sees whether it is back never is."""
        surplus = len(self.lanes) - self.climb.lanes
        return surplus > 0 and not lane.probe and lane.id in islice(reversed(self.lanes), surplus)

    def keep_first(self, lane: Lane) -> None:
        """If lanes are too many, it is others that go."""
        self.lanes = {lane.id: lane} | self.lanes

    def lane_rate(self) -> float:
        """What one more lane of this source would likely bring, its share where nobody knows that it is more."""
        known = [lane.rate.safe for lane in self.lanes.values() if lane.rate.known]
        if known:
            share = 1.0 if self.climb.lane_bound else len(known) / max(len(self.lanes), len(known))
            return max(sum(known) / len(known) * share, 1.0)
        if self.past_lane_rate:
            return self.past_lane_rate
        return self.peers.typical_lane_rate() if self.peers else UNKNOWN_RATE_BYTES_PER_S


class Roster:
    """All sources, lanes and leases of one download."""

    def __init__(self) -> None:
        self.sources: dict[int, Source] = {}
        self.lanes: dict[int, Lane] = {}
        self.leases: dict[int, Lease] = {}
        # How many lanes there are to each host: asked of every source at each tick.
        self.lanes_at: Counter[str] = Counter()
        self._next_lane = self._next_lease = 0

    def new_lane_id(self) -> int:
        self._next_lane += 1
        return self._next_lane

    def add_source(self, source: Source) -> Source:
        source.peers = self
        self.sources[source.id] = source
        return source

    def add_lane(self, source: Source, lane_id: int | None = None) -> Lane:
        lane = Lane(id=self.new_lane_id() if lane_id is None else lane_id, source=source, probe=source.is_down)
        self.lanes[lane.id] = source.lanes[lane.id] = lane
        self.lanes_at[source.host] += 1
        return lane

    def drop_lane(self, lane: Lane) -> None:
        if lane.rate.known:
            lane.source.past_lane_rate = max(lane.rate.safe, 1.0)
        if self.lanes.pop(lane.id, None) is not None:
            del lane.source.lanes[lane.id]
            self.lanes_at[lane.source.host] -= 1

    def add_lease(self, lane: Lane, start: int, end: int, now: float) -> Lease:
        self._next_lease += 1
        lease = Lease(
            id=self._next_lease, lane=lane, start=start, end=end, position=start, moved_at=now,
            due_at=now + lane.asking_s, asked_end=end,
        )  # fmt: skip
        if not lane.leases:
            # The wait for the first byte says nothing of the rate.
            lane.rate.begin(lease.due_at)
        lane.leases.append(lease)
        lane.next_at = end
        self.leases[lease.id] = lease
        return lease

    def drop_lease(self, lease: Lease, now: float) -> None:
        lane = lease.lane
        lane.leases.remove(lease)
        del self.leases[lease.id]
        if lane.leases:
            following = lane.leases[0]
            following.moved_at = now
            if lease.end < lease.asked_end:
                # What was asked behind it is asked anew, on another connection.
                following.due_at = now + 2 * lane.source.latency.value
            if following.due_at > now:
                lane.rate.begin(following.due_at)

    def typical_lane_rate(self) -> float:
        known = [lane.rate.safe for lane in self.lanes.values() if lane.rate.known]
        return max(_median(known), 1.0) if known else UNKNOWN_RATE_BYTES_PER_S

    def likely_rate(self, now: float) -> float:
        """What all lanes that are of use bring together; 0 where nothing is known yet."""
        lanes = [lane for lane in self.lanes.values() if lane.rate.known and lane.source.usable]
        return sum([lane.rate.mean for lane in lanes if not lane.source.silent and not lane.is_silent(now)])

    def end_s(self, left_bytes: int, now: float, beside_rate: float = 0.0) -> float:
        """How long all of them together take for ``left_bytes``, those that have to ask first from then on;
        ``beside_rate``: what comes meanwhile from elsewhere, in bytes/s."""
        lanes = [lane for lane in self.lanes.values() if lane.rate.known and lane.source.usable]
        offers = sorted(
            (lane.flows_in_s(now), lane.rate.mean)
            for lane in lanes if not lane.source.silent and not lane.is_silent(now)
        )  # fmt: skip
        rate, missed_bytes = beside_rate, 0.0
        for wait_s, each in offers:
            if rate and left_bytes + missed_bytes <= wait_s * rate:
                break
            rate, missed_bytes = rate + each, missed_bytes + each * wait_s
        return (left_bytes + missed_bytes) / rate if offers and rate else float("inf")


def _median(rates: list[float]) -> float:
    # That of statistics comes with fractions and decimal: 4 ms of every start.
    ordered, half = sorted(rates), len(rates) // 2
    return (ordered[half] + ordered[~half]) / 2
