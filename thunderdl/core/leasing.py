"""How large a lease is, and from whom to steal: the arithmetic of the scheduler. Pure functions.

Leases are sized in *time*, not in bytes: then the slowest source holds the tail for at most that time,
whatever the mix of rates is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from thunderdl.core.ranges import RangeSet
from thunderdl.core.roster import Lane, Lease

MIN_LEASE_S = 0.5
MAX_LEASE_S = 8.0
MAX_LEASE_BYTES = 64 * 1024 * 1024
# Cuts fall on this border: a leaf of the BEP 52 tree, so that no leaf is fetched from two lanes.
CUT_BYTES = 16 * 1024
MIN_STEAL_BYTES = 256 * 1024
MIN_GAIN_S = 0.3
# Worth it for few bytes too when the tail would drag on for longer than this.
LONG_GAIN_S = 1.0
STALL_S = 2.0


def clamp(value: float, low: float, high: float) -> float:
    return max(low, min(value, high))


def lease_bytes(lane: Lane, unleased_bytes: int, total_rate: float, align: int) -> int:
    """Bytes for the next lease of ``lane``, a multiple of CUT_BYTES; of ``align`` where the lane is fast enough."""
    if lane.source.on_probation:
        return align
    tau = clamp(
        unleased_bytes / (2 * total_rate),
        max(MIN_LEASE_S, min(4 * lane.source.latency.value, MAX_LEASE_S)),
        MAX_LEASE_S,
    )
    want = min(lane.safe_rate() * tau, MAX_LEASE_BYTES)
    unit = align if want >= align else CUT_BYTES * 4
    return max(unit, round(want / unit) * unit)


def lease_end(start: int, want: int, gap_end: int, align: int) -> int:
    """End of a lease that begins at ``start``: on a border of ``align`` where that is near, never leaving a crumb."""
    end = start + want
    if want >= align:
        end -= end % align
    if end <= start:
        end = start + want
    return gap_end if gap_end - end < CUT_BYTES * 4 else end


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
    speed, latency = max(thief.safe_rate(), 1.0), thief.source.latency.value
    for lease in leases:
        if lease.shrinking or lease.cancelled or lease.lane is thief:
            continue
        if _shuns(thief.source.avoid, lease):
            continue
        steal = _cut(lease, speed, latency, now)
        if steal and (best is None or steal.gain_s > best.gain_s):
            best = steal
    return best


def _shuns(avoid: RangeSet, lease: Lease) -> bool:
    """Whether the lease holds bytes that this source is to keep away from."""
    return bool(avoid) and avoid.first_gap(lease.position, lease.end) != (lease.position, lease.end)


def _cut(lease: Lease, speed: float, latency: float, now: float) -> Steal | None:
    victim = _speed_of(lease, now)
    queued = sum(other.left_bytes for other in lease.lane.leases if other.id < lease.id)
    since_s = max(0.0, now - lease.moved_at)
    running = lease.lane.running is lease
    # Between two reports the victim goes on: what it will have fetched meanwhile is not there to take.
    position = lease.position + (min(int(victim * since_s), lease.left_bytes) if running else 0)
    left = lease.end - position
    take = (left + queued - latency * victim) * speed / (speed + victim)
    cut = max(position, lease.end - int(take)) if take > 0 else lease.end
    cut = min(-(-cut // CUT_BYTES) * CUT_BYTES, lease.end)
    if lease.end - cut < CUT_BYTES and cut - position < CUT_BYTES:
        cut = position
    taken = lease.end - cut
    if taken <= 0:
        return None
    gain = taken / victim - (latency + taken / speed if cut <= position else 0.0)
    worth = gain > max(MIN_GAIN_S, latency) and (taken >= MIN_STEAL_BYTES or gain > LONG_GAIN_S)
    return Steal(lease, cut, gain) if worth else None


def _speed_of(lease: Lease, now: float) -> float:
    """What the victim will likely do: next to nothing once it has been silent for too long."""
    silent_s = now - lease.moved_at
    if lease.lane.running is lease and silent_s > max(3 * lease.lane.source.latency.value, STALL_S):
        return 1.0
    return max(lease.lane.safe_rate(), 1.0)
