"""Books without a scheduler: lanes that have shown exactly this rate and latency, and what they hold."""

from __future__ import annotations

from thunderdl.core.climbing import Climb
from thunderdl.core.leasing import MIN_GAIN_S, Steal, best_steal
from thunderdl.core.roster import Lane, Lease, Roster, Source

KIB, MIB = 1024, 1024 * 1024
GIB = 1024 * MIB
LATENCY_S = 0.05
FAR_S = 1000.0


class Field:
    """Leases are granted at 0 o'clock; thieves look at them LATENCY_S later, when first bytes may be here.

    More lanes bring more everywhere, unless told otherwise."""

    def __init__(self) -> None:
        self.roster = Roster()

    def source(self, latency_s: float = LATENCY_S, *, lane_bound: bool | None = True, min_bytes: int = 0) -> Source:
        number = len(self.roster.sources) + 1
        source = Source(id=number, host=f"host{number}", climb=Climb(4), min_bytes=min_bytes)
        self.roster.add_source(source)
        source.latency.add(latency_s)
        source.climb.lane_bound = lane_bound
        return source

    def lane(self, rate: int | None, *, source: Source | None = None, latency_s: float = LATENCY_S) -> Lane:
        lane = self.roster.add_lane(source or self.source(latency_s))
        lane.connected = True
        if rate is not None:
            lane.rate.begin(-1.0)
            lane.rate.add(rate, 0.0)
        return lane

    def lease(self, lane: Lane, start: int, end: int) -> Lease:
        return self.roster.add_lease(lane, start, end, 0.0)

    def steal(
        self, thief: Lane, now: float = LATENCY_S, *, least_s: float = MIN_GAIN_S, end_s: float = FAR_S
    ) -> Steal | None:
        return best_steal(thief, self.roster.lanes.values(), now, least_s=least_s, end_s=end_s)
