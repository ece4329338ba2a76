"""Who gets which bytes next, and on how many lanes: the granting half of the scheduler. Pure.

Three ways to give a lane work, in this order: what is missing, sized in time (leasing.py) and never more than
the lane can bring until all are done; a part of what another holds, where nothing is missing; nothing, where
others would be sooner. What a lane holds beyond the end of all others is taken back in time (trimming).
"""

from __future__ import annotations

from thunderdl.core.leasing import CUT_BYTES, best_steal, cut_bytes, lease_bytes, lease_end, position_now
from thunderdl.core.protocol import Cancel, Close, Command, FaultKind, Fetch, Shrink
from thunderdl.core.ranges import RangeSet
from thunderdl.core.ranking import RateEstimate
from thunderdl.core.roster import SILENT_S, Lane, Lease, Roster, Source

MIN_HUSH_S = 0.25
# Grants made ahead cover the time between two reports of a lane's position (0.1 s), twice.
AHEAD_S = 0.2
MAX_AHEAD = 4
# A second connection pays when there is this much left for it to do, in bytes or in time.
MIN_WORK_FOR_LANE_BYTES = 512 * 1024
MIN_WORK_FOR_LANE_S = 3.0
# Trimming a lease means a new connection for its lane: only in sight of the end, and for a clear excess.
TRIM_SIGHT_S, TRIM_SILENT_SIGHT_S = 20.0, 4.0
TRIM_EXCESS_S, TRIM_EXCESS_SHARE = 0.5, 0.25
SURPLUS_SIGHT_S = 15.0


class Granting:
    """The books and what is given out of them; see :class:`thunderdl.core.scheduler.Scheduler`."""

    def __init__(self, *, size: int, filled: RangeSet, align: int, host_lanes: int, all_lanes: int) -> None:
        self.size, self.align, self.filled = size, align, filled
        self.missing, self.contested = RangeSet(), RangeSet()
        for start, end in filled.gaps(0, size):
            self.missing.add(start, end)
        self.roster = Roster()
        self.horizon = size
        self._host_caps: dict[str, int] = {}
        self._host_lanes, self._all_lanes = host_lanes, all_lanes
        self._now = 0.0
        self._pace_at, self._total_rate = -1.0, 0.0

    # -- granting

    def _serve(self) -> list[Command]:
        """Give every idle lane something to do, then open lanes where more would help."""
        commands: list[Command] = []
        for lane in [lane for lane in self.roster.lanes.values() if not lane.leases and lane.source.usable]:
            commands += self._busy(lane)
        return commands + self._open_lanes()

    def _busy(self, lane: Lane) -> list[Command]:
        """A grant for a lane that has nothing left, else a steal; and more ahead where leases are short."""
        source = lane.source
        if lane.leases or not source.usable:
            return self._ahead(lane)
        if source.is_surplus(lane):
            self.roster.drop_lane(lane)
            return [Close(lane.id)]
        if source.silent and (source.retry_at > self._now or any(each.leases for each in source.lanes.values())):
            return []
        if grant := self._grant(lane):
            return [grant, *self._ahead(lane)]
        if self.missing.total or not source.random_access or source.silent:
            return []
        return self._steal_for(lane)

    def _steal_for(self, lane: Lane) -> list[Command]:
        steal = best_steal(lane, self.roster.leases.values(), self._now)
        if steal is None:
            return []
        self._hush(steal.victim.lane)
        return [self._shrink(steal.victim, steal.cut)]

    @staticmethod
    def _shrink(lease: Lease, cut: int) -> Shrink:
        lease.shrinking, lease.cut = True, cut
        return Shrink(lease.id, cut)

    def _ahead(self, lane: Lane) -> list[Command]:
        """Ask for the next ranges before the lane's last one ends, so that it never idles for a round trip."""
        source, commands = lane.source, list[Command]()
        cover_s = max(1.5 * source.latency.value, AHEAD_S)
        while 0 < len(lane.leases) <= MAX_AHEAD and self.missing.total:
            last = lane.leases[-1]
            if not source.usable or source.on_probation or source.silent or last.cancelled or last.shrinking:
                break
            if lane.left_s(self._now) > cover_s if lane.rate.known else len(lane.leases) > 1:
                break
            if source.is_surplus(lane) or lane.is_silent(self._now) or (grant := self._grant(lane)) is None:
                break
            commands.append(grant)
        return commands

    def _grant(self, lane: Lane) -> Fetch | None:
        lone = bool(self.contested) and self._may_go_alone(lane)
        gap = self._gap_for(lane.source, None if lone else self.contested)
        if gap is None and self.contested and not lane.leases:
            # Nothing else is left: mixed again is better than idle.
            gap = self._gap_for(lane.source)
        if gap is None:
            return None
        start, gap_end = gap
        end, alone = gap_end, False
        if lane.source.random_access:
            want = lease_bytes(lane, self.missing.total, self._rate(), self.align)
            want = self._before_the_end(lane, want, start)
            if not want:
                return None
            end = lease_end(start, min(want, gap_end - start), gap_end, self.align)
            if not lone:
                held = next((first for first, _ in self.contested if start < first < end), end)
                end = min(end, held)
            elif alone := start in self.contested:
                end = min(gap_end, (start // self.align + 1) * self.align)
                self.contested.remove(start, end)
        self.missing.remove(start, end)
        lease = self.roster.add_lease(lane, start, end, self._now)
        lease.alone = alone
        return Fetch(lease.id, lane.source.id, lane.id, start, end)

    def _may_go_alone(self, lane: Lane) -> bool:
        """Whether the lane is quick enough to bring a whole piece by itself."""
        if not lane.rate.known or lane.leases:
            return False
        if self.align <= lane.likely_rate() * self._end_s():
            return True
        at = next((start for start, end in self.contested if not self.filled.covers(start, end)), 0)
        return self._is_first_to_bring(lane, self.align, at)

    # -- the end in sight

    def _rate(self) -> float:
        """What all lanes together bring; worked out anew when time has passed."""
        if self._pace_at != self._now:
            self._pace_at, self._total_rate = self._now, self.roster.likely_rate(self._now)
        return self._total_rate

    def _end_s(self) -> float:
        """How long it takes all of them together to bring what is left."""
        rate = self._rate()
        return (self.size - self.filled.total) / rate if rate else float("inf")

    def _before_the_end(self, lane: Lane, want: int, at: int) -> int:
        """``want``, or as much of it as the lane can bring until all are done; 0 where others are better."""
        if not lane.source.known or not self._rate():
            return want
        rate = lane.likely_rate()
        room_s = self._end_s() - lane.left_s(self._now) - lane.asking_s
        if rate * room_s >= want:
            return want
        if lane.source.on_probation:
            return want if self._is_first_to_bring(lane, want, at) else 0
        border = cut_bytes(rate)
        fits = -(-int(rate * max(0.0, room_s)) // border) * border
        if lane.leases:
            return fits if fits > border else 0
        if self._end_s() > MIN_WORK_FOR_LANE_S:
            # Too slow by what is known of it: that may be old, and asking costs nothing yet.
            return max(fits, CUT_BYTES)
        return fits if fits > border else (border if self._is_first_to_bring(lane, border, at) else 0)

    def _is_first_to_bring(self, lane: Lane, count_bytes: int, at: int) -> bool:
        """Whether no other lane that may bring the bytes at ``at`` would have so many clearly sooner."""
        mine = lane.asking_s + count_bytes / lane.likely_rate()
        for other in self.roster.lanes.values():
            source = other.source
            if other is lane or not other.rate.known or not source.usable or at in source.avoid:
                continue
            if source.silent or source.on_probation or other.is_silent(self._now):
                continue
            theirs = other.left_s(self._now) + other.asking_s + count_bytes / other.likely_rate()
            if mine > 1.5 * theirs + 0.1:
                return False
        return True

    def _trim(self, lane: Lane) -> list[Command]:
        """Take back what a lane would still be at when all others are done."""
        end_s = self._end_s()
        lease = lane.last
        if lease is None or lease.shrinking or lease.cancelled or not lane.source.random_access:
            return []
        if lane.source.is_surplus(lane) and lane.rate.known and lane.left_s(self._now) > SURPLUS_SIGHT_S:
            return [self._shrink(lease, position_now(lease, self._now))]
        if end_s > TRIM_SIGHT_S or not lane.rate.known:
            return []
        if lane.is_silent(self._now):
            if end_s > TRIM_SILENT_SIGHT_S:
                return []
            self._hush(lane)
            return [self._shrink(lease, lease.position)]
        return self._trim_excess(lane, lease, end_s)

    def _trim_excess(self, lane: Lane, lease: Lease, end_s: float) -> list[Command]:
        excess_s = lane.left_s(self._now) - end_s
        if lease.alone or excess_s < TRIM_EXCESS_S + TRIM_EXCESS_SHARE * end_s:
            return []
        rate = lane.likely_rate()
        border = cut_bytes(rate)
        keep = max(0, int(rate * end_s) - (lane.left_bytes - lease.left_bytes))
        cut = -(-(position_now(lease, self._now) + keep) // border) * border
        if lease.end - cut < border:
            return []
        return [self._shrink(lease, cut)]

    def _hush(self, lane: Lane) -> None:
        """Its lane is silent and is stolen from: the source gets nothing until it has shown a sign of life."""
        source = lane.source
        busy = [each for each in source.lanes.values() if each.leases]
        if lane.is_silent(self._now):
            lane.rate = RateEstimate()
        if not source.silent and busy and all(self._now - each.leases[0].moved_at > SILENT_S / 2 for each in busy):
            source.silent = True
            source.down_since = self._now if source.down_since is None else source.down_since
            source.retry_at = self._now + MIN_HUSH_S

    # -- where, and on how many lanes

    def _gap_for(self, source: Source, held: RangeSet | None = None) -> tuple[int, int] | None:
        """The lowest missing range that this source may bring: low first, so that readers in order follow closely."""
        others = [s for s in self.roster.sources.values() if s.usable and s is not source] if source.avoid else []
        for start, end in self.missing:
            if start >= self.horizon or (not source.random_access and start != 0):
                return None
            end = min(end, self.horizon)
            if not others and not held:
                return start, end
            for first, last in list((held or RangeSet()).gaps(start, end)):
                if free := _unshunned(source, others, first, last):
                    return free
        return None

    def _open_lanes(self) -> list[Command]:
        commands: list[Command] = []
        while (source := self._wants_lane()) is not None:
            lane = self.roster.add_lane(source)
            if grant := self._grant(lane):
                commands.append(grant)
                continue
            # Where a steal is worth it, the lane is opened by the Fetch that follows the victim's answer.
            stolen = self._steal_for(lane) if not self.missing.total and not source.silent else []
            if not stolen or len(source.lanes) > 1:
                self.roster.drop_lane(lane)
            return commands + stolen
        return commands

    def _wants_lane(self) -> Source | None:
        """The source to open a lane to next: one that has none, else the one that makes most of it."""
        if len(self.roster.lanes) >= self._all_lanes:
            return None
        left = self.size - self.filled.total
        enough = len(self.roster.lanes) * MIN_WORK_FOR_LANE_BYTES < left or self._end_s() > MIN_WORK_FOR_LANE_S
        ready = [
            source
            for source in self.roster.sources.values()
            if source.usable and source.retry_at <= self._now and self._room(source) and (enough or not source.lanes)
            and (self._gap_for(source) or (not self.missing.total and self._may_steal(source)))
        ]  # fmt: skip
        return max(ready, key=lambda s: (not s.lanes, s.lane_rate() if s.lanes else 0.0), default=None)

    def _may_steal(self, source: Source) -> bool:
        """Whether a new lane might be worth it although all is granted: none is there, or few hold much."""
        if not source.lanes:
            return bool(self.roster.leases)
        idle = any(not lane.leases for lane in source.lanes.values())
        return not idle and self._end_s() > MIN_WORK_FOR_LANE_S and not self._shrinking()

    def _shrinking(self) -> bool:
        return any(lease.shrinking for lease in self.roster.leases.values())

    def _make_room(self) -> bool:
        """Where the budget is used up, a slow source gives a lane up for one that would make more of it."""
        sources = [s for s in self.roster.sources.values() if s.usable and s.retry_at <= self._now]
        wanting = [s for s in sources if self._room(s) and s.climb.lane_bound is not False]
        wanting += [s for s in sources if not s.lanes and s not in wanting]
        donors = [s for s in sources if len(s.lanes) > 1]
        if not wanting or not donors:
            return bool(donors)
        taker = max(wanting, key=lambda s: (not s.lanes, s.lane_rate()))
        donor = min(donors, key=lambda s: s.lane_rate())
        if taker is donor or (taker.lanes and donor.lane_rate() > taker.lane_rate() / 2):
            return False
        donor.climb.step_down(len(donor.lanes) - 1)
        return True

    def _room(self, source: Source) -> bool:
        if not source.random_access or source.on_probation or source.is_down:
            return not source.lanes and self._host_room(source) > 0
        if source.lanes and not source.known:
            return False
        return len(source.lanes) < min(source.climb.lanes, self._host_room(source))

    def _apportion(self) -> list[Command]:
        """Give up lanes beyond what hosts and budget allow now."""
        alive = [lane for lane in self.roster.lanes.values() if not (lane.leases and lane.leases[0].cancelled)]
        excess: list[Lane] = []
        for host, cap in self._host_caps.items():
            excess += _least_missed([lane for lane in alive if lane.source.host == host], cap)
        kept = [lane for lane in alive if lane not in excess]
        excess += _least_missed(kept, self._all_lanes)
        return self._give_up(excess)

    def _give_up(self, lanes: list[Lane]) -> list[Command]:
        """End these lanes where they are."""
        commands: list[Command] = []
        for lane in lanes:
            if lane.leases:
                for lease in lane.leases:
                    lease.cancelled = True
                commands.append(Cancel(lane.leases[0].id, FaultKind.CANCELLED))
            else:
                self.roster.drop_lane(lane)
                commands.append(Close(lane.id))
        return commands

    def _host_room(self, source: Source) -> int:
        """The most lanes that this source may have, as things stand with its host."""
        cap = min(self._host_lanes, self._host_caps.get(source.host, self._host_lanes))
        return cap - sum(
            len(s.lanes) for s in self.roster.sources.values() if s.host == source.host and s is not source
        )


def _least_missed(lanes: list[Lane], keep: int) -> list[Lane]:
    """Those beyond ``keep`` whose end costs least: slow ones first, a source's only one last."""
    excess = len(lanes) - keep
    if excess <= 0:
        return []
    only = {next(iter(lane.source.lanes)) for lane in lanes}
    return sorted(lanes, key=lambda lane: (lane.id in only, lane.likely_rate()))[:excess]


def _unshunned(source: Source, others: list[Source], start: int, end: int) -> tuple[int, int] | None:
    """The first part of ``[start, end)`` that ``source`` does not avoid, or that everybody does."""
    at = start
    while at < end:
        free = source.avoid.first_gap(at, end) if others else (at, end)
        shunned_until = free[0] if free else end
        if shunned_until > at and all(at in other.avoid for other in others):
            # Better from a suspect than never.
            return at, shunned_until
        if free:
            return free
        at = shunned_until
    return None
