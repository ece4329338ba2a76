"""On how many lanes each source works: the staffing half of the scheduler. Pure.

Every source has its climb (climbing.py); what it asks for is given while host and budget allow. Where they do
not, a lane goes to the source that makes most of it: what one more lane brings a source is known from its climb.
"""

from __future__ import annotations

from thunderdl.core.granting import MIN_WORK_FOR_LANE_S, Granting
from thunderdl.core.leasing import clamp
from thunderdl.core.protocol import Cancel, Close, Command, FaultKind
from thunderdl.core.ranges import RangeSet
from thunderdl.core.roster import Lane, Source

# One connection fills most paths, and those that share one with it get next to nothing beside it (measured: a
# twentieth); where a server limits each, the climb shows it. A lone source may try more from the start.
START_LANES, START_LANES_OF_MANY = 4, 2
# A second connection pays when there is this much left for it to do, in bytes or in time.
MIN_WORK_FOR_LANE_BYTES = 512 * 1024
# A lane changes hands for a clear gain only; of a source whose climb is open yet, it may turn out to be worth so much.
CLEAR_GAIN, UNTRIED_WORTH, USELESS_WORTH = 1.25, 0.5, 0.02
# For one more lane that nobody has tried a whole source is given up where that is worth so much more: rates of the
# first second are off by four and more.
SOLE_GAIN = 8.0
# So many lanes change hands at a time: each shows something before the next does.
MOST_ENDING = 4
# Lanes that share a rate are cut into trickles by more of them: a segment a second says nothing of a lane's rate,
# and each of their leases ends in a cut.
MIN_LANE_RATE = 1.5 * 1024
# One lane too many that will be at its lease for longer than this is not waited for: its end costs a connection.
SURPLUS_S = 10.0
# While this much is left to do, it pays to find out whether more lanes help, even where each takes its work from
# another.
UNTRIED_END_S = 8.0


class Staffing(Granting):
    """``host_lanes``: the most to one host; ``all_lanes``: the most in all."""

    def __init__(
        self, *, size: int, filled: RangeSet, align: int, host_lanes: int, all_lanes: int, begin_at: int = 0
    ) -> None:  # fmt: skip
        super().__init__(size=size, filled=filled, align=align, begin_at=begin_at)
        self._host_caps: dict[str, int] = {}
        self._host_lanes, self._all_lanes = host_lanes, all_lanes

    def _serve(self) -> list[Command]:
        """Give every idle lane something to do, then open lanes where more would help."""
        commands: list[Command] = []
        for lane in [lane for lane in self.roster.lanes.values() if not lane.leases and lane.source.usable]:
            commands += self._busy(lane)
        return commands + self._open_lanes()

    def _busy(self, lane: Lane) -> list[Command]:
        """Something to do for this lane, or its end where it is one too many."""
        if not lane.leases and lane.source.is_surplus(lane):
            self.roster.drop_lane(lane)
            return [Close(lane.id)]
        return self._feed(lane)

    # -- opening

    def _start_lanes(self, to_come: int = 0) -> int:
        """Where the climb begins: few where many sources share the budget, those ``to_come`` among them. (Of a hundred
        mirrors the first two dozen had two lanes each, and gave them up again for those that came after them.)"""
        sources = len(self.roster.sources) + 1
        most = START_LANES if sources == 1 else START_LANES_OF_MANY
        return int(clamp(self._all_lanes // (sources + to_come), 1, min(most, self._host_lanes)))

    def _open_lanes(self) -> list[Command]:
        commands: list[Command] = []
        refused: set[int] = set()
        while (source := self._wants_lane(refused)) is not None:
            lane = self.roster.add_lane(source)
            commands += (given := self._feed(lane))
            if not given:
                # Others bring what is left sooner.
                self.roster.drop_lane(lane)
            if not lane.leases:
                # Where it steals, it is opened by the Fetch that follows the victim's answer.
                refused.add(source.id)
        return commands

    def _wants_lane(self, refused: set[int]) -> Source | None:
        """The source to open a lane to next: one that has none, else the one that makes most of it."""
        if len(self.roster.lanes) >= self._all_lanes:
            return None
        left = self.size - self.filled.total
        enough = len(self.roster.lanes) * MIN_WORK_FOR_LANE_BYTES < left or self._end_s() > MIN_WORK_FOR_LANE_S
        ready = [
            source
            for source in self.roster.sources.values()
            if (enough or not source.lanes) and source.id not in refused and self._wants(source)
            and (self._gap_for(source) or (not self.missing.total and self._may_steal(source)))
        ]  # fmt: skip
        return max(ready, key=lambda s: (not s.lanes, s.lane_rate() if s.lanes else 0.0), default=None)

    def _wants(self, source: Source) -> bool:
        return source.usable and source.retry_at <= self._now and self._room(source)

    def _may_steal(self, source: Source) -> bool:
        """Whether a new lane might be worth it although all is granted: none is there, or few hold much."""
        if not source.lanes or source.silent:
            return bool(self.roster.leases)
        idle = any(not lane.leases for lane in source.lanes.values())
        if source.climb.lane_bound is None and len(source.lanes) > 1 and self._end_s() < UNTRIED_END_S:
            # Whether it helps is not known, and each steal costs: one more lane shows it.
            return False
        return not idle and self._end_s() > MIN_WORK_FOR_LANE_S and not self._shrinking()

    def _shrinking(self) -> bool:
        return any(lease.shrinking for lease in self.roster.leases.values())

    def _room(self, source: Source) -> bool:
        room = self._host_room(source)
        if not source.random_access or source.on_probation:
            return not source.lanes and room > 0
        if source.is_down:
            # One that looks whether it is back; what hangs silently may hang on.
            probing = any(not lane.leases or lane.probe for lane in source.lanes.values())
            return not probing and len(source.lanes) < room and (source.silent or not source.lanes)
        if source.lanes and not source.known:
            return False
        return len(source.lanes) < min(source.climb.lanes, room)

    def _host_room(self, source: Source) -> int:
        """The most lanes that this source may have, as things stand with its host."""
        # What the engine says last holds: the user may have changed the option meanwhile.
        cap = self._host_caps.get(source.host, self._host_lanes)
        cap = min(cap, source.max_lanes or cap)
        return cap - (self.roster.lanes_at[source.host] - len(source.lanes))

    # -- sharing the budget

    def _climb(self) -> None:
        """Measure what the lanes of each source bring, and let it try more where the budget allows."""
        free = self._all_lanes - len(self.roster.lanes)
        # Lanes that a trial was promised come as soon as those end that are one too many; without any it is judged by
        # those that it got (with a budget of 6, a climb from 4 to 8 was never judged, and kept them all).
        ending = any(len(source.lanes) > source.climb.lanes for source in self.roster.sources.values())
        for source in self.roster.sources.values():
            if not source.lanes:
                continue
            if not self.missing.total and self._end_s() > UNTRIED_END_S:
                source.climb.begin_with(len(source.lanes))
            flowing = sum(1 for lane in source.lanes.values() if lane.leases and lane.rate.known)
            if len(source.lanes) > 1 and source.climb.lane_bound is False and _trickles(source):
                source.climb.step_down(len(source.lanes) - 1)
            elif flowing:
                room = self._host_room(source)
                cap = room if free > 0 or (ending and source.climb.trying) else min(room, len(source.lanes))
                source.climb.observe(flowing, cap, source.total_bytes, source.latency.value, self._now)

    def _make_room(self) -> list[Command]:
        """Where the budget is used up, the lane that is missed least goes to the source that makes most of it."""
        if len(self.roster.lanes) < self._all_lanes or not self.missing.total:
            return []
        donors = [s for s in self.roster.sources.values() if s.lanes]
        ending = sum([max(0, len(s.lanes) - s.climb.lanes) for s in donors])
        if not donors or ending >= MOST_ENDING:
            return []
        takers = self._takers()
        if not takers:
            return []
        taker, donor = max(takers, key=_gain), min(donors, key=_loss)
        is_a_try = taker.lanes and not taker.climb.lane_bound and _kept_lanes(donor) == 1
        if taker is donor or _gain(taker) < (SOLE_GAIN if is_a_try else CLEAR_GAIN) * _loss(donor):
            return []
        left = _kept_lanes(donor) - 1
        donor.climb.give_one()
        if taker.lanes:
            if ending >= len(self.roster.lanes) - self._all_lanes:
                # Else there are more than the budget allows, and the end of this one makes no room yet.
                taker.climb.allow(len(taker.lanes) + 1)
            if left:
                # It ends with its lease; a source that has none at all is not kept waiting.
                return []
        if not left:
            # What it had was of more use elsewhere: not at once again.
            donor.retry_at = self._now + MIN_WORK_FOR_LANE_S
        return self._give_up(list(donor.lanes.values())[left:][:1])

    def _takers(self) -> list[Source]:
        """Who would take a lane that another gives up; of those that nothing is known of, the first alone."""
        takers: list[Source] = []
        has_stranger = False
        for source in self.roster.sources.values():
            # Hundreds that wait are all taken to be as fast.
            is_stranger = not source.lanes and not source.past_lane_rate
            if (is_stranger and has_stranger) or not source.usable or source.retry_at > self._now:
                continue
            if self._would_climb(source):
                takers.append(source)
                has_stranger = has_stranger or is_stranger
        return takers

    def _would_climb(self, source: Source) -> bool:
        """Whether it would take one more lane, if the budget had one."""
        if not source.lanes:
            return self._room(source)
        if source.is_down or not source.known or not source.random_access or source.on_probation:
            return False
        climb = source.climb
        wants = climb.lane_bound is not False and not climb.trying and not climb.rests(self._now)
        return wants and len(source.lanes) < self._host_room(source)

    def _shed(self) -> list[Command]:
        """End lanes that are one too many and would be at it for long; not where another would have to take it over."""
        if not self.missing.total:
            return []
        surplus = [
            lane
            for source in self.roster.sources.values() if len(source.lanes) > source.climb.lanes
            for lane in source.lanes.values()
            if source.is_surplus(lane) and lane.leases and not lane.leases[0].cancelled
            and lane.left_s(self._now) > SURPLUS_S
        ]  # fmt: skip
        return self._give_up(surplus)

    def _apportion(self) -> list[Command]:
        """Give up lanes beyond what hosts and budget allow now."""
        alive = [lane for lane in self.roster.lanes.values() if not (lane.leases and lane.leases[0].cancelled)]
        excess: list[Lane] = []
        for host, cap in self._host_caps.items():
            excess += _least_missed([lane for lane in alive if lane.source.host == host], cap)
        kept = [lane for lane in alive if lane not in excess]
        excess += _least_missed(kept, self._all_lanes)
        return self._give_up(excess)

    def _give_up(self, lanes: list[Lane], kind: FaultKind = FaultKind.CANCELLED) -> list[Command]:
        """End these lanes where they are."""
        commands: list[Command] = []
        for lane in lanes:
            if not lane.leases:
                self.roster.drop_lane(lane)
                commands.append(Close(lane.id))
            elif not lane.leases[0].cancelled:
                for lease in lane.leases:
                    lease.cancelled = True
                commands.append(Cancel(lane.leases[0].id, kind))
        return commands


def _trickles(source: Source) -> bool:
    rates = [lane.rate.mean for lane in source.lanes.values() if lane.rate.known]
    return bool(rates) and max(rates) < MIN_LANE_RATE


def _gain(source: Source) -> float:
    """What one more lane would bring the source."""
    bound = source.climb.lane_bound
    return source.lane_rate() * (1.0 if bound or not source.lanes else UNTRIED_WORTH)


def _kept_lanes(source: Source) -> int:
    """How many lanes it has but for those that are ending: a source of two lost the second as one too many, and in the
    same moment the first as one of two."""
    return min(len(source.lanes), source.climb.lanes)


def _loss(source: Source) -> float:
    """What the end of one of its lanes costs."""
    if _kept_lanes(source) == 1:
        return source.lane_rate()
    bound = source.climb.lane_bound
    return source.lane_rate() * (1.0 if bound else UNTRIED_WORTH if bound is None else USELESS_WORTH)


def _least_missed(lanes: list[Lane], keep: int) -> list[Lane]:
    """Those beyond ``keep`` whose end costs least: slow ones first, a source's only one last."""
    excess = len(lanes) - keep
    if excess <= 0:
        return []
    only = {next(iter(lane.source.lanes)) for lane in lanes}
    return sorted(lanes, key=lambda lane: (lane.id in only, lane.likely_rate()))[:excess]
