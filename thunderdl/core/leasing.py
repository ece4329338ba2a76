"""How large a lease is, and from whom to steal: the arithmetic of the scheduler. Pure functions.

Leases are sized in *time*, not in bytes: then the slowest source holds the tail for at most that time, whatever
the mix of rates is. Near the end no lane is given more than it can bring until all are done: then all of them
end together, and stealing is left for what nobody could foresee.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from thunderdl.core.roster import Lane, Lease, Source

MIN_LEASE_S = 0.5
MAX_LEASE_S = 8.0
# While it is open how many lanes share a source's rate, what a lane will bring is a guess.
UNSETTLED_LEASE_S = 2.0
# Cuts fall on this border: a leaf of the BEP 52 tree, so that no leaf is fetched from two lanes. Where a leaf
# takes a noticeable time, evenness counts for more.
CUT_BYTES = 16 * 1024
FINE_CUT_BYTES = 1024
CUT_S = 0.1
# The first lease of a source of which nothing is known: what the fastest path would bring in a round trip, since a
# slow one has to give most of it back (a mirror of 0.5 Mbit/s that got 2.6 MB lost 27 cuts in the first second).
MIN_FIRST_BYTES, MAX_FIRST_BYTES = 256 * 1024, 32 * 1024 * 1024
FASTEST_BYTES_PER_S = 500e6
# Of one that was down and is asked whether it is back: a second's worth, and no more than this.
PROBE_BYTES = 64 * 1024
# So much, doubled from refusal to refusal, one that counts requests is asked for at once.
MOST_ASKED_BYTES = 64 * 1024 * 1024
# What a steal must be worth: it costs a connection and what is on its way. A share of the time that the download
# has taken so far, for a tenth of a second is much of two and nothing of a hundred.
GAIN_SHARE, MIN_GAIN_S, MAX_GAIN_S = 0.02, 0.1, 0.5
# When this little is left, nobody steals from a quicker one.
SLOW_THIEF_S = 1.0
# What cuts have lost so far makes further ones dearer, steeply beyond this share of the file. Reckoned with 64 KB for
# each (measured on shaped links: 30-60) it made the end of a download wait whose mirrors changed every 2 s.
LOSS_SHARE = 0.0075
# So large a share of the time taken so far is worth any cut: idle lanes watched one of 5 KB/s finish for 12 s, for the
# cuts of a small file had cost 4 % of it.
ENOUGH_SHARE = 0.1
# A cut loses what is on its way then; whoever takes little more than that has taken nothing.
WORTH_OF_WAY, QUEUE_S, QUEUE_BYTES = 1.5, 0.25, 32 * 1024
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
    source = lane.source
    least = max(source.min_bytes, source.ask_bytes)
    if source.on_probation:
        return align
    if lane.probe:
        return max(int(clamp(lane.likely_rate(), FINE_CUT_BYTES, PROBE_BYTES)), least)
    if not source.known:
        return max(least, first_bytes(source.latency.value, missing_bytes))
    shortest = max(MIN_LEASE_S, min(4 * source.latency.value, MAX_LEASE_S))
    unsettled = source.climb.trying or source.climb.lane_bound is None
    longest = max(shortest, UNSETTLED_LEASE_S if unsettled else MAX_LEASE_S)
    tau = clamp(missing_bytes / (2 * total_rate), shortest, longest) if total_rate else shortest
    rate = lane.safe_rate()
    want = max(rate * tau, least)
    unit = align if want >= align else cut_bytes(rate)
    return max(unit, round(want / unit) * unit)


def first_bytes(latency_s: float, missing_bytes: int) -> int:
    """Bytes for the first lease of a source of which only the latency is known."""
    in_flight = clamp(latency_s * FASTEST_BYTES_PER_S, MIN_FIRST_BYTES, MAX_FIRST_BYTES)
    return int(clamp(missing_bytes // 64, CUT_BYTES, in_flight))


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


def least_gain_s(elapsed_s: float, lost_share: float) -> float:
    """What a steal must be worth after ``elapsed_s``, when ``lost_share`` of the file was fetched for nothing."""
    least_s = clamp(GAIN_SHARE * elapsed_s, MIN_GAIN_S, MAX_GAIN_S)
    return min(least_s * (1 + (lost_share / LOSS_SHARE) ** 2), max(least_s, ENOUGH_SHARE * elapsed_s))


def best_steal(thief: Lane, lanes: Iterable[Lane], now: float, *, least_s: float, end_s: float) -> Steal | None:
    """The cut that brings the end of the download forward most, None where none is worth its cost.

    Both then end at the same moment: with x bytes for the thief, ``ready + x/s = (rem - x)/v``; but the thief takes
    no more than it can bring within ``end_s``, when all could be done together: it would be stolen from in turn.
    """
    best: Steal | None = None
    least_s = max(least_s, thief.source.latency.value / 2)
    ready_s, source = thief.ready_s(now), thief.source
    for lane in lanes:
        lease = lane.largest
        if lease is None or lane is thief or lease.shrinking or lease.cancelled or lease.left_bytes <= 0:
            continue
        silent = lane.is_silent(now)
        before_s = lease.left_bytes if silent else lane.left_s(now) * lane.likely_rate() / victim_rate(lease, now)
        if before_s - ready_s > MIN_GAIN_S and not silent:
            before_s = _end_s(lane, before_s)
        if before_s - ready_s <= MIN_GAIN_S or (not silent and _spared(lease, thief, end_s, now)):
            continue
        if source.avoid and _shuns(source, lease):
            continue
        steal = _cut(lease, thief, before_s, ready_s, end_s, now)
        if steal is None or (best and steal.gain_s <= best.gain_s):
            continue
        if steal.gain_s > _least_gain_s(lease, thief, least_s, now):
            best = steal
    return best


def _shuns(source: Source, lease: Lease) -> bool:
    """Whether the lease holds bytes that this source is to keep away from."""
    return source.avoid.first_gap(lease.position, lease.end) != (lease.position, lease.end)


def _spared(lease: Lease, thief: Lane, end_s: float, now: float) -> bool:
    """Whether this thief has no business with a lease that is not silent."""
    if lease.lane.source is thief.source and thief.source.climb.lane_bound is False:
        # They share one rate: what the one wins the other loses.
        return True
    if end_s > SLOW_THIEF_S:
        return False
    # In sight of the end one that is far slower would be the last: quicker ones are free in a moment. And what was
    # given out a moment ago is not handed on: idle lanes passed the last bytes from one to the other.
    mine, theirs = thief.likely_rate(), victim_rate(lease, now)
    return 4 * mine < theirs or (lease.due_at > now and lease.lane.running is lease and mine < 2 * theirs)


def _cut(lease: Lease, thief: Lane, before_s: float, ready_s: float, end_s: float, now: float) -> Steal | None:
    victim, position, speed = victim_rate(lease, now), position_now(lease, now), max(thief.likely_rate(), 1.0)
    take = (before_s - ready_s) * victim * speed / (speed + victim)
    border = max(cut_bytes(speed + victim), thief.source.min_bytes)
    # In sight of the end there are no others to come: what two lanes can halve, they halve.
    if end_s > MIN_LEASE_S and (within := speed * (end_s - ready_s)) > border:
        take = min(take, within)
    if thief.probe:
        # It may find nobody there.
        take = min(take, max(PROBE_BYTES, border))
    cut = max(position, (lease.end - int(take)) // border * border)
    if cut - position < border:
        # What is hardly more than the border is not worth two.
        cut = lease.position if lease.end - position <= border else cut
    taken = lease.end - cut
    if taken <= 0 or taken < WORTH_OF_WAY * on_its_way(victim, lease.lane.source.latency.value):
        return None
    # What this thief wins; what others may take of the rest is theirs.
    return Steal(lease, cut, before_s - max(before_s - taken / victim, ready_s + taken / speed))


def on_its_way(rate: float, latency_s: float) -> float:
    """What has been sent and is not here, roughly: half a round trip, and what queues and socket buffers hold."""
    return rate * latency_s / 2 + min(QUEUE_BYTES, rate * QUEUE_S)


def _end_s(lane: Lane, left_s: float) -> float:
    """When the lane will be through; ``left_s``: at the rate it has.

    Where lanes share one rate, those that end leave theirs to the others.
    """
    if lane.source.climb.lane_bound is False and len(lane.source.lanes) > 1:
        busy = [other for other in lane.source.lanes.values() if other.leases]
        together_s = sum([other.left_bytes for other in busy]) / sum([other.likely_rate() for other in busy])
        left_s = min(left_s, together_s)
    return left_s


def _least_gain_s(lease: Lease, thief: Lane, least_s: float, now: float) -> float:
    """What taking from this lease must be worth; ``least_s``: what any steal must be."""
    if lease.lane.is_silent(now):
        return MIN_GAIN_S
    if lease.lane.source is thief.source and thief.source.climb.lane_bound is None:
        return max(least_s, MIN_UNSURE_GAIN_S)
    if lease.alone or (lease.due_at > now and lease.lane.running is lease):
        # Nothing has come of it yet: or idle lanes would hand the last bytes from one to the other.
        return max(least_s, MIN_LONE_GAIN_S)
    return least_s


def position_now(lease: Lease, now: float) -> int:
    """Between two reports a lease goes on: what it will have fetched meanwhile is not there to take."""
    if lease.lane.running is not lease or lease.lane.is_silent(now):
        return lease.position
    since_s = max(0.0, now - max(lease.moved_at, lease.due_at))
    return lease.position + min(int(victim_rate(lease, now) * since_s), lease.left_bytes)


def victim_rate(lease: Lease, now: float) -> float:
    """What the victim will likely do: no more than lately, and next to nothing once it has been silent for too long."""
    lane = lease.lane
    if lane.is_silent(now):
        return 1.0
    rate = lane.likely_rate()
    return max(min(rate, lane.rate.lately) if lane.rate.known else rate, 1.0)
