"""How large a lease is, and from whom to steal: the arithmetic of the scheduler. Pure functions.

Leases are sized in *time*, not in bytes: then the slowest source holds the tail for at most that time, whatever
the mix of rates is. Near the end no lane is given more than it can bring until all are done: then all of them
end together, and stealing is left for what nobody could foresee.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from thunderdl.core.ranges import RangeSet
from thunderdl.core.roster import Lane, Lease

MIN_LEASE_S = 0.5
MAX_LEASE_S = 8.0
MAX_LEASE_BYTES = 16 * 1024 * 1024
# Cuts fall on this border: a leaf of the BEP 52 tree, so that no leaf is fetched from two lanes. Where a leaf
# takes a noticeable time, evenness counts for more.
CUT_BYTES = 16 * 1024
FINE_CUT_BYTES = 1024
CUT_S = 0.1
# The first lease of a source of which nothing is known.
MAX_FIRST_BYTES = 4 * 1024 * 1024
MIN_GAIN_S = 0.1
# From a lease that is to show who brought a piece; from a lane of the same source, which may share its rate.
MIN_LONE_GAIN_S = 1.0
MIN_UNSURE_GAIN_S = 2.0


def clamp(value: float, low: float, high: float) -> float:
    return max(low, min(value, high))


def cut_bytes(rate: float) -> int:
    """The border that cuts fall on for a lane of this rate."""
    return CUT_BYTES if rate * CUT_S >= CUT_BYTES else FINE_CUT_BYTES


def lease_bytes(lane: Lane, missing_bytes: int, total_rate: float, align: int) -> int:
    """Bytes for the next lease of ``lane`` while the end is far; a multiple of ``align`` where it is fast enough."""
    if lane.source.on_probation:
        return align
    if not lane.source.known:
        return int(clamp(missing_bytes // 64, CUT_BYTES, MAX_FIRST_BYTES))
    latency = lane.source.latency.value
    shortest = max(MIN_LEASE_S, min(4 * latency, MAX_LEASE_S))
    tau = clamp(missing_bytes / (2 * total_rate), shortest, MAX_LEASE_S) if total_rate else shortest
    rate = lane.safe_rate()
    want = min(rate * tau, max(MAX_LEASE_BYTES, 2 * latency * rate))
    unit = align if want >= align else cut_bytes(rate)
    return max(unit, round(want / unit) * unit)


def lease_end(start: int, want: int, gap_end: int, align: int) -> int:
    """End of a lease that begins at ``start``: on a border of ``align`` where that is near, never leaving a crumb."""
    end = start + want
    if want >= align:
        end -= end % align
    if end <= start:
        end = start + want
    return gap_end if gap_end - end < FINE_CUT_BYTES else end


@dataclass(frozen=True, slots=True)
class Steal:
    victim: Lease
    cut: int
    gain_s: float


def best_steal(thief: Lane, leases: Iterable[Lease], now: float) -> Steal | None:
    """The cut that brings the end of the download forward most, None where none is worth its cost.

    Both then end at the same moment: with x bytes for the thief, ``L + x/s = (rem - x)/v``.
    """
    best: Steal | None = None
    avoid = thief.source.avoid
    for lease in leases:
        if lease.shrinking or lease.cancelled or lease.lane is thief or lease.left_bytes <= 0:
            continue
        if avoid and _shuns(avoid, lease):
            continue
        steal = _cut(lease, thief, now)
        if steal and (best is None or steal.gain_s > best.gain_s):
            best = steal
    return best


def _shuns(avoid: RangeSet, lease: Lease) -> bool:
    """Whether the lease holds bytes that this source is to keep away from."""
    return avoid.first_gap(lease.position, lease.end) != (lease.position, lease.end)


def _cut(lease: Lease, thief: Lane, now: float) -> Steal | None:
    if lease is not lease.lane.last and not lease.lane.is_silent(now):
        return None
    speed, asking = max(thief.likely_rate(), 1.0), thief.asking_s
    victim, position = victim_rate(lease, now), position_now(lease, now)
    ahead = sum(other.left_bytes for other in lease.lane.leases if other.id < lease.id)
    left = lease.end - position
    least = max(MIN_GAIN_S, thief.source.latency.value / 2)
    if lease.alone:
        least = MIN_LONE_GAIN_S
    if lease.lane.source is thief.source and not lease.lane.is_silent(now):
        if thief.source.climb.lane_bound is False:
            # They share one rate: what the one wins the other loses.
            return None
        if thief.source.climb.lane_bound is None:
            least = MIN_UNSURE_GAIN_S
    take = (left + ahead - asking * victim) * speed / (speed + victim)
    if take <= 0:
        return None
    border = cut_bytes(speed + victim)
    cut = max(position, (lease.end - int(take)) // border * border)
    if cut - position < border and lease.end - position <= border:
        cut = lease.position
    taken = lease.end - cut
    if taken <= 0:
        return None
    before = (left + ahead) / victim
    after = max((left + ahead - taken) / victim, asking + taken / speed)
    gain = before - after
    return Steal(lease, cut, gain) if gain > least else None


def position_now(lease: Lease, now: float) -> int:
    """Between two reports a lease goes on: what it will have fetched meanwhile is not there to take."""
    if lease.lane.running is not lease or lease.lane.is_silent(now):
        return lease.position
    since_s = max(0.0, now - lease.moved_at)
    return lease.position + min(int(victim_rate(lease, now) * since_s), lease.left_bytes)


def victim_rate(lease: Lease, now: float) -> float:
    """What the victim will likely do: next to nothing once it has been silent for too long."""
    return 1.0 if lease.lane.is_silent(now) else max(lease.lane.likely_rate(), 1.0)
