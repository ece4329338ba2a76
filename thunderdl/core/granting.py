"""Who gets which bytes next: the granting half of the scheduler. Pure.

Three ways to give a lane work, in this order: what is missing, sized in time (leasing.py) and never more than
the lane can bring until all are done; a part of what another holds, where nothing is missing; nothing, where
others would be sooner. A lane is given more a little before it runs out, by grant or by steal alike, so that no
connection idles for a round trip.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from thunderdl.core.leasing import CUT_BYTES, best_steal, cut_bytes, lease_bytes, lease_end, least_gain_s, on_its_way
from thunderdl.core.onward import onward
from thunderdl.core.protocol import Command, Fetch, Shrink
from thunderdl.core.ranges import RangeSet
from thunderdl.core.roster import Lane, Lease, Roster, Source

# Grants made ahead cover the time between two reports of a lane's position (0.1 s), twice.
AHEAD_S = 0.2
MAX_AHEAD = 4
# What silent lanes hold is taken back when the others have this much left to do.
RECLAIM_S = 2.0
MIN_WORK_FOR_LANE_S = 3.0


class Granting:
    """The books, and what is given out of them; see :class:`thunderdl.core.scheduler.Scheduler`."""

    def __init__(self, *, size: int, filled: RangeSet, align: int, begin_at: int = 0) -> None:
        self.size, self.align, self.filled = size, align, filled
        self.missing, self.contested, self.reserved = RangeSet(), RangeSet(), RangeSet()
        self._beside_rate = 0.0
        # Where grants begin, around the end of the file: downloaders that share what they bring begin apart.
        self.begin_at = begin_at
        self.scarce: tuple[int, ...] = ()
        for start, end in filled.gaps(0, size):
            self.missing.add(start, end)
        self.roster = Roster()
        self.horizon = size
        self._now = self._begun_at = 0.0
        self._lost_bytes, self._limited = 0.0, False
        self._pace_at, self._total_rate = -1.0, 0.0
        self._end_at, self._end_in_s = -1.0, 0.0

    # -- work for a lane

    def _feed(self, lane: Lane) -> list[Command]:
        """Keep the lane at work: with what is missing, else with a part of what another holds."""
        commands: list[Command] = []
        if not self._may_feed(lane):
            return commands
        while len(lane.leases) <= MAX_AHEAD and self._runs_low(lane):
            grant = self._grant(lane)
            if grant is None:
                return commands or self._steal_for(lane)
            commands.append(grant)
        return commands

    def _may_feed(self, lane: Lane) -> bool:
        source = lane.source
        if not source.usable or source.is_surplus(lane):
            return False
        if not lane.leases:
            return not source.is_down or self._may_probe(lane)
        last = lane.leases[-1]
        blocked = source.on_probation or source.silent or lane.probe or last.cancelled or last.shrinking
        return not blocked and not lane.is_silent(self._now)

    def _may_probe(self, lane: Lane) -> bool:
        """One lane at a time asks a source that is down whether it is back, when the time has come."""
        source = lane.source
        if source.retry_at > self._now or any(each.probe and each.leases for each in source.lanes.values()):
            return False
        lane.probe = True
        return True

    def _runs_low(self, lane: Lane) -> bool:
        if not lane.leases:
            return True
        if not lane.rate.known:
            return len(lane.leases) < 2 and not lane.source.on_probation
        return lane.left_s(self._now) <= max(1.5 * lane.source.latency.value, AHEAD_S)

    def _grant(self, lane: Lane) -> Fetch | None:
        lone = bool(self.contested) and self._may_go_alone(lane)
        gap = self._gap_for(lane.source, None if lone else self.contested)
        if gap is None and self.contested and not lane.leases:
            # Nothing else is left: mixed again is better than idle.
            gap = self._gap_for(lane.source)
        if gap is None:
            return None
        if lane.source.runs_on and not lone:
            gap = self._onward(lane) or gap
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
        return self._lease(lane, start, end, alone=alone)

    def _lease(self, lane: Lane, start: int, end: int, *, alone: bool) -> Fetch:
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

    # -- what others hold

    def _steal_for(self, lane: Lane) -> list[Command]:
        source = lane.source
        if not source.random_access or source.on_probation or (source.silent and not lane.probe) or self._limited:
            # Under a limit nobody brings anything sooner than the limit lets it.
            return []
        if lane.leases and self._gap_for(source) is not None:
            # It is not out of work yet, and something else may come its way.
            return []
        if any(lease.thief == lane.id for lease in self.roster.leases.values()):
            return []
        least_s = least_gain_s(self._now - self._begun_at, self._lost_bytes / max(self.size, 1))
        steal = best_steal(lane, self.roster.lanes.values(), self._now, least_s=least_s, end_s=self._end_s())
        if steal is None:
            return []
        steal.victim.thief = lane.id
        return [self._shrink(steal.victim, steal.cut)]

    def _shrink(self, lease: Lease, cut: int) -> Shrink:
        if lease.end == lease.asked_end and not lease.lane.is_silent(self._now):
            self._lost_bytes += on_its_way(lease.lane.likely_rate(), lease.lane.source.latency.value)
        lease.shrinking, lease.cut = True, cut
        return Shrink(lease.id, cut)

    def _hand_over(self, lease: Lease, start: int, end: int) -> list[Command]:
        """What a cut has freed goes to the lane that it was made for."""
        thief, lease.thief = self.roster.lanes.get(lease.thief or 0), None
        if thief is None or not thief.source.usable or start >= end or (thief.leases and thief.leases[-1].cancelled):
            return []
        return [self._lease(thief, start, end, alone=False)]

    def _reclaim(self) -> list[Command]:
        """Take back what silent lanes hold, once the others would soon have nothing else to do."""
        rate = self._rate()
        if not rate or self.missing.total > rate * RECLAIM_S:
            return []
        return [
            self._shrink(lease, lease.position)
            for lane in self.roster.lanes.values() if lane.leases and lane.is_silent(self._now)
            for lease in lane.leases if lease.left_bytes and not lease.shrinking and not lease.cancelled
        ]  # fmt: skip

    # -- the end in sight

    def _rate(self) -> float:
        """What all lanes together bring; worked out anew when time has passed."""
        if self._pace_at != self._now:
            self._pace_at, self._total_rate = self._now, self.roster.likely_rate(self._now)
        return self._total_rate

    def _end_s(self) -> float:
        """How long it takes all of them together to bring what is left."""
        if self._end_at != self._now:
            left = self.size - self.filled.total
            self._end_at, self._end_in_s = self._now, self.roster.end_s(left, self._now, self._beside_rate)
        return self._end_in_s

    def _miss(self, start: int, end: int) -> None:
        """``[start, end)`` is to be fetched, as far as the swarm neither has it reserved nor has brought it."""
        for first, last in list(self.filled.gaps(start, end)):
            for gap in list(self.reserved.gaps(first, last)):
                self.missing.add(*gap)

    def _before_the_end(self, lane: Lane, want: int, at: int) -> int:
        """``want``, or as much of it as the lane can bring until all are done; 0 where others are better."""
        if not lane.source.known or not self._rate():
            return want
        rate = lane.likely_rate()
        room_s = self._end_s() - lane.ready_s(self._now)
        if rate * room_s >= want:
            return want
        if lane.source.on_probation or lane.probe:
            return want if self._is_first_to_bring(lane, want, at) else 0
        border = max(cut_bytes(rate), lane.source.min_bytes)
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
            theirs = other.ready_s(self._now) + count_bytes / other.likely_rate()
            if mine > 1.5 * theirs + 0.1:
                return False
        return True

    # -- where

    def _in_order(self) -> Iterable[tuple[int, int]]:
        """What is missing, as it is to be fetched: scarce bytes first, from ``begin_at`` on around the end."""
        if not self.begin_at and not self.scarce:
            return self.missing
        return chain(self._scarce_missing(), self._from_begin(self.missing))

    def _scarce_missing(self) -> Iterable[tuple[int, int]]:
        return [
            (max(start, low), min(end, high))
            for low, high in ((start, start + self.align) for start in self.scarce)
            for start, end in self.missing if start < high and low < end
        ]  # fmt: skip

    def _from_begin(self, ranges: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
        spans = list(ranges)
        ahead = [(max(start, self.begin_at), end) for start, end in spans if end > self.begin_at]
        return [*ahead, *((start, min(end, self.begin_at)) for start, end in spans if start < self.begin_at)]

    def _onward(self, lane: Lane) -> tuple[int, int] | None:
        """Where a lane that had best keep going does so; None where something else decides on the order."""
        source = lane.source
        if not source.random_access or self.horizon < self.size or self.begin_at or self.scarce:
            return None
        if source.avoid or self.contested:
            return None
        others = (other for other in self.roster.lanes.values() if other is not lane and other.source.runs_on)
        heading = {other.next_at for other in others if other.next_at is not None}
        want = lease_bytes(lane, self.missing.total, self._rate(), self.align)
        return onward(self.missing, at=lane.next_at, heading=heading, want_bytes=want, align=self.align)

    def _gap_for(self, source: Source, held: RangeSet | None = None) -> tuple[int, int] | None:
        """The first missing range that this source may bring: low first, so that readers in order follow closely."""
        others = [s for s in self.roster.sources.values() if s.usable and s is not source] if source.avoid else []
        # Who sends no ranges begins at the start of the file, wherever the others do.
        for start, end in self._in_order() if source.random_access else self.missing:
            if start >= self.horizon or (not source.random_access and start != 0):
                return None
            end = min(end, self.horizon)
            if not others and not held:
                return start, end
            for first, last in list((held or RangeSet()).gaps(start, end)):
                if free := _unshunned(source, others, first, last):
                    return free
        return None


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
