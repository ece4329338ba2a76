"""Who fetches which bytes: the scheduler of one download.

Pure: it hears events and answers commands; no clock, no I/O, randomness handed in. ``handle`` may be called
with any event at any time, ``next_wakeup`` names the moment at which a Tick is due at the latest.

Invariants, checked by the simulation after each step:
1. Every byte of the file is in exactly one place: missing, in one lease, or filled.
2. No lane of a usable source idles while bytes that it may fetch are missing (within the horizon).
3. Leases are sized in time (leasing.py); when nothing is missing, idle lanes steal what slow ones hold.
4. A range that is stolen has no owner between :class:`Shrink` and its answer: two lanes never write one byte.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from thunderdl.core.leasing import best_steal, lease_bytes, lease_end
from thunderdl.core.protocol import (
    Blamed,
    Cancel,
    Close,
    Command,
    Complete,
    Ended,
    Event,
    Failed,
    FaultKind,
    Fetch,
    FirstByte,
    GiveUp,
    Horizon,
    HostCap,
    Moved,
    PieceBad,
    Shrink,
    Shrunk,
    SourceLost,
    SourceOpened,
    Tick,
)  # fmt: skip
from thunderdl.core.ranges import RangeSet
from thunderdl.core.roster import Lane, Lease, Roster, Source

# Grants made ahead cover the time between two reports of a lane's position (0.1 s), twice.
AHEAD_S = 0.2
MAX_BACK_OFF_S = 60.0
# A second connection pays when there is this much left for it to do.
MIN_WORK_FOR_LANE_BYTES = 512 * 1024

E = TypeVar("E", bound=Event)


class Scheduler:
    """``size``: bytes of the file; ``filled``: what is there already; ``align``: border that leases prefer
    (piece or journal granule); ``host_lanes``: lanes to one host; ``retries``: passing faults in a row until a
    source counts as exhausted; ``stall_s``: silence after which a lane is given up."""

    def __init__(
        self, *, size: int, filled: RangeSet, align: int, host_lanes: int, all_lanes: int, retries: int,
        stall_s: float, jitter: random.Random,
    ) -> None:  # fmt: skip
        self.size, self.align, self.filled = size, align, filled
        self.missing = RangeSet()
        for start, end in filled.gaps(0, size):
            self.missing.add(start, end)
        self.roster = Roster()
        self.horizon = size
        self._host_caps: dict[str, int] = {}
        self._host_lanes, self._all_lanes = host_lanes, all_lanes
        self._retries, self._stall_s, self._jitter = retries, stall_s, jitter
        self._now = 0.0
        self._handlers: dict[type[Event], Callable[..., list[Command]]] = {
            SourceOpened: self._opened, Moved: self._moved, FirstByte: self._first_byte, Ended: self._ended,
            Failed: self._failed, Shrunk: self._shrunk, PieceBad: self._piece_bad, Blamed: self._blamed,
            SourceLost: self._lost, HostCap: self._host_cap, Horizon: self._moved_horizon, Tick: self._tick,
        }  # fmt: skip

    # -- the two verbs

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take ``event`` in at ``now`` (monotonic seconds) and say what is to be done."""
        self._now = max(now, self._now)
        commands = self._handlers[type(event)](event)
        if outcome := self._outcome():
            commands.append(outcome)
        return commands

    def next_wakeup(self) -> float | None:
        """When a source may be tried again or a silent lane given up; None when nothing waits for time alone."""
        times = [s.retry_at for s in self.roster.sources.values() if s.usable and s.retry_at > self._now]
        times += [lane.leases[0].moved_at + self._stall_s for lane in self.roster.lanes.values() if lane.leases]
        return min(times, default=None)

    # -- what the engine asks

    def new_lane(self) -> int:
        """A lane id for the engine's own first request to a source."""
        return self.roster.new_lane_id()

    def held_by(self, lease: int) -> Lease | None:
        return self.roster.leases.get(lease)

    # -- events

    def _opened(self, event: SourceOpened) -> list[Command]:
        source = self.roster.sources.get(event.source) or self.roster.add_source(
            Source(id=event.source, host=event.host, lane_cap=self._host_lanes)
        )
        source.random_access = event.random_access
        source.latency.add(event.latency_s)
        lane = self.roster.add_lane(source, event.lane)
        commands: list[Command] = []
        # What two sources bring at once belongs to the one that was first.
        end = self._claimable_end(event.start, event.end)
        if end > event.start:
            self.missing.remove(event.start, end)
            lease = self.roster.add_lease(lane, event.start, end, self._now)
            commands.append(Fetch(lease.id, source.id, lane.id, event.start, end))
        return commands + self._serve()

    def _claimable_end(self, start: int, end: int) -> int:
        """Up to where the bytes from ``start`` on are missing."""
        end = min(end, self.size)
        if end <= start:
            return start
        taken = self.missing.first_gap(start, end)
        return taken[0] if taken else end

    def _moved(self, event: Moved) -> list[Command]:
        lease = self.roster.leases.get(event.lease)
        if lease is None:
            return []
        self._account(lease, event.position)
        if lease.lane.running is lease and self._now - lease.moved_at >= self._stall_s and not lease.cancelled:
            lease.cancelled = True
            return [Cancel(lease.id, FaultKind.STALLED)]
        return self._ahead(lease.lane)

    def _first_byte(self, event: FirstByte) -> list[Command]:
        if lease := self.roster.leases.get(event.lease):
            lease.lane.source.latency.add(event.latency_s)
            lease.moved_at = self._now
        return []

    def _ended(self, event: Ended) -> list[Command]:
        lease = self.roster.leases.get(event.lease)
        if lease is None:
            return []
        lane = lease.lane
        self._account(lease, event.position)
        lease.lane.source.failures = 0
        lease.lane.source.exhausted = False
        self._release(lease)
        return self._busy(lane) or ([] if lane.leases else self._serve())

    def _failed(self, event: Failed) -> list[Command]:
        lease = self.roster.leases.get(event.lease)
        if lease is None:
            return []
        lane, source = lease.lane, lease.lane.source
        self._account(lease, event.position)
        brought = lease.position > lease.start
        self._release(lease)
        if lane.id in self.roster.lanes:
            self._drop_lane(lane)
            if event.kind is not FaultKind.CANCELLED:
                self._back_off(source, event, brought_bytes=brought)
        return self._serve()

    def _shrunk(self, event: Shrunk) -> list[Command]:
        lease = self.roster.leases.get(event.lease)
        if lease is None:
            return []
        lease.shrinking = False
        if event.end < lease.end:
            self.missing.add(event.end, lease.end)
            lease.end = event.end
        return self._serve()

    def _piece_bad(self, event: PieceBad) -> list[Command]:
        self.filled.remove(event.start, event.end)
        self.missing.add(event.start, event.end)
        for lease in self.roster.leases.values():
            self.missing.remove(lease.position, lease.end)
        for source_id in event.suspects:
            if source := self.roster.sources.get(source_id):
                source.avoid.add(event.start, event.end)
        commands: list[Command] = []
        for source_id in event.culprits:
            commands += self._blamed(Blamed(source_id))
        return commands + self._serve()

    def _blamed(self, event: Blamed) -> list[Command]:
        source = self.roster.sources.get(event.source)
        if source is None or source.banned:
            return []
        source.strikes += 1
        if source.strikes < 2:
            source.note = "served bytes that were wrong; on probation"
            return []
        source.banned = True
        source.note = "served wrong bytes again; banned"
        return self._cancel_all(source)

    def _lost(self, event: SourceLost) -> list[Command]:
        if source := self.roster.sources.get(event.source):
            source.gone, source.note = True, event.reason
            return self._cancel_all(source) + self._serve()
        return []

    def _host_cap(self, event: HostCap) -> list[Command]:
        self._host_caps[event.host] = event.lanes
        return self._serve()

    def _moved_horizon(self, event: Horizon) -> list[Command]:
        self.horizon = min(event.end, self.size)
        return self._serve()

    def _tick(self, _: Tick) -> list[Command]:
        return self._serve()

    # -- books

    def _account(self, lease: Lease, position: int) -> None:
        position = min(max(position, lease.position), lease.end)
        lease.lane.rate.add(position - lease.position, self._now)
        if position > lease.position:
            self.filled.add(lease.position, position)
            lease.position, lease.moved_at = position, self._now

    def _release(self, lease: Lease) -> None:
        if lease.position < lease.end:
            self.missing.add(lease.position, lease.end)
        self.roster.drop_lease(lease, self._now)

    def _drop_lane(self, lane: Lane) -> None:
        for lease in list(lane.leases):
            self._release(lease)
        self.roster.drop_lane(lane)

    def _back_off(self, source: Source, event: Failed, *, brought_bytes: bool) -> None:
        if event.kind is FaultKind.LASTING:
            source.gone = True
            return
        if source.lanes and (event.kind is FaultKind.BUSY or not brought_bytes):
            # Others of its lanes work: it is this many that the server wants.
            source.lane_cap = max(1, len(source.lanes))
        # A lane that brought bytes before it broke is tried again at once.
        source.failures = 0 if brought_bytes and event.kind is FaultKind.PASSING else source.failures + 1
        if not source.lanes:
            source.exhausted = source.failures > self._retries
        wait_s = min(MAX_BACK_OFF_S, 2.0 ** (source.failures - 1)) if source.failures else 0.0
        wait_s *= self._jitter.uniform(0.75, 1.25)
        source.retry_at = self._now + max(wait_s, event.retry_after_s or 0.0)

    def _cancel_all(self, source: Source) -> list[Command]:
        commands: list[Command] = []
        for lane in list(source.lanes.values()):
            if lane.leases:
                for lease in lane.leases:
                    lease.cancelled = True
                commands.append(Cancel(lane.leases[0].id, FaultKind.CANCELLED))
            else:
                self.roster.drop_lane(lane)
                commands.append(Close(lane.id))
        return commands

    # -- granting

    def _serve(self) -> list[Command]:
        """Give every idle lane something to do, then open lanes where more would help."""
        commands: list[Command] = []
        for lane in [lane for lane in self.roster.lanes.values() if not lane.leases and lane.source.usable]:
            commands += self._busy(lane)
        return commands + self._open_lanes()

    def _busy(self, lane: Lane) -> list[Command]:
        """A grant for a lane that has nothing left, else a steal; and one more ahead where leases are short."""
        if lane.leases or not lane.source.usable:
            return self._ahead(lane)
        if grant := self._grant(lane):
            return [grant, *self._ahead(lane)]
        if self.missing.total or not lane.source.random_access:
            return []
        steal = best_steal(lane, self.roster.leases.values(), self._now)
        if steal is None:
            return []
        steal.victim.shrinking = True
        return [Shrink(steal.victim.id, steal.cut)]

    def _ahead(self, lane: Lane) -> list[Command]:
        """Ask for the next range before the lane's last one ends, so that it never idles for a round trip."""
        source = lane.source
        if len(lane.leases) != 1 or not source.usable or source.on_probation or lane.leases[0].cancelled:
            return []
        left_s = lane.leases[0].left_bytes / max(lane.safe_rate(), 1.0)
        if not lane.rate.known or left_s > max(1.5 * source.latency.value, AHEAD_S):
            return []
        grant = self._grant(lane)
        return [grant] if grant else []

    def _grant(self, lane: Lane) -> Fetch | None:
        gap = self._gap_for(lane.source)
        if gap is None:
            return None
        start, gap_end = gap
        end = gap_end
        if lane.source.random_access:
            want = lease_bytes(lane, self.missing.total, self.roster.total_rate(), self.align)
            end = lease_end(start, min(want, gap_end - start), gap_end, self.align)
        self.missing.remove(start, end)
        lease = self.roster.add_lease(lane, start, end, self._now)
        return Fetch(lease.id, lane.source.id, lane.id, start, end)

    def _gap_for(self, source: Source) -> tuple[int, int] | None:
        """The lowest missing range that this source may bring: low first, so that readers in order follow closely."""
        shunned = bool(source.avoid) and any(s.usable and s is not source for s in self.roster.sources.values())
        for start, end in self.missing:
            if start >= self.horizon or (not source.random_access and start != 0):
                return None
            end = min(end, self.horizon)
            if not shunned:
                return start, end
            if free := next(source.avoid.gaps(start, end), None):
                return free
        return None

    def _open_lanes(self) -> list[Command]:
        commands: list[Command] = []
        while (source := self._wants_lane()) is not None:
            lane = self.roster.add_lane(source)
            grant = self._grant(lane)
            if grant is None:
                steal = best_steal(lane, self.roster.leases.values(), self._now) if not self.missing.total else None
                if steal is None or source.lanes.keys() - {lane.id}:
                    self.roster.drop_lane(lane)
                    return commands
                # The lane is opened by the Fetch that follows the victim's answer.
                steal.victim.shrinking = True
                return [*commands, Shrink(steal.victim.id, steal.cut)]
            commands.append(grant)
        return commands

    def _wants_lane(self) -> Source | None:
        """The source to open a lane to next: the one with the fewest, while work and caps allow."""
        if len(self.roster.lanes) >= self._all_lanes:
            return None
        left = sum(lease.left_bytes for lease in self.roster.leases.values()) + self.missing.total
        enough = len(self.roster.lanes) * MIN_WORK_FOR_LANE_BYTES < left
        ready = [
            source
            for source in self.roster.sources.values()
            if source.usable and source.retry_at <= self._now and self._room(source) and (enough or not source.lanes)
            and (self._gap_for(source) or (not source.lanes and not self.missing.total and self.roster.leases))
        ]  # fmt: skip
        return min(ready, key=lambda s: len(s.lanes), default=None)

    def _room(self, source: Source) -> bool:
        if not source.random_access or source.on_probation:
            return not source.lanes
        of_host = sum(len(s.lanes) for s in self.roster.sources.values() if s.host == source.host)
        cap = min(self._host_lanes, self._host_caps.get(source.host, self._host_lanes))
        return len(source.lanes) < source.lane_cap and of_host < cap

    def _outcome(self) -> Command | None:
        if self.filled.total >= self.size:
            return Complete()
        sources = self.roster.sources.values()
        if not sources or self.roster.leases or any(s.usable and not s.exhausted for s in sources):
            return None
        return GiveUp()
