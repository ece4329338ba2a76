"""What must hold of a scheduler at any time, seen from outside."""

from __future__ import annotations

from thunderdl.core.scheduler import Scheduler

FAR_S = 3.0


def check_books(scheduler: Scheduler) -> None:
    """Every byte is in exactly one place, and lanes and leases know each other."""
    leases = list(scheduler.roster.leases.values())
    extents = [(lease.position, lease.end) for lease in leases if lease.position < lease.end]
    extents += [*scheduler.missing, *scheduler.filled]
    extents.sort()
    at = 0
    for start, end in extents:
        assert start == at, f"bytes {at}-{start} are nowhere, or in two places"
        at = end
    assert at == scheduler.size, f"the books end at {at} of {scheduler.size}"
    queued = [lease.id for lane in scheduler.roster.lanes.values() for lease in lane.leases]
    assert sorted(queued) == sorted(scheduler.roster.leases), "a lease is in exactly one lane's queue"
    for source in scheduler.roster.sources.values():
        assert all(scheduler.roster.lanes.get(number) is lane for number, lane in source.lanes.items())


def check_duties(scheduler: Scheduler, now: float) -> None:
    """Nobody idles while there is something to do, and nothing waits that nobody will wake."""
    lowest = next(iter(scheduler.missing), None)
    within = lowest is not None and lowest[0] < scheduler.horizon
    # In sight of the end, a lane that others are quicker than waits.
    within = within and scheduler.size - scheduler.filled.total > FAR_S * scheduler.roster.likely_rate(now)
    for lane in scheduler.roster.lanes.values():
        if lane.leases or not within or not lane.source.usable or lane.source.retry_at > now:
            continue
        if (
            lane.source.random_access
            and not lane.source.avoid
            and not lane.source.is_down
            and not lane.source.on_probation
        ):
            raise AssertionError(f"lane {lane.id} idles at {now:.3f} while {scheduler.missing} is missing")
    if scheduler.missing.total and within and not scheduler.roster.leases:
        waits = [s.retry_at for s in scheduler.roster.sources.values() if s.usable and s.retry_at > now]
        wakeup = scheduler.next_wakeup()
        assert not waits or (wakeup is not None and wakeup <= min(waits)), "a wake-up was forgotten"
