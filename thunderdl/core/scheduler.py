"""Who fetches which bytes: the scheduler of one download.

Pure: it hears events and answers commands; no clock, no I/O, randomness handed in. ``handle`` may be called
with any event at any time, ``next_wakeup`` names the moment at which a Tick is due at the latest.

Invariants, checked by the simulation after each step:
1. Every byte of the file is in exactly one place: missing, in one lease, or filled.
2. No lane of a usable source idles while bytes that it may fetch are missing (within the horizon), but for one
   that would bring them later than others can.
3. Leases are sized in time (leasing.py); when nothing is missing, idle lanes steal what slow ones hold.
4. A range that is stolen has no owner between :class:`Shrink` and its answer: two lanes never write one byte.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from thunderdl.core.climbing import Climb
from thunderdl.core.leasing import CUT_BYTES, best_steal, clamp, cut_bytes, lease_bytes, lease_end, position_now
from thunderdl.core.protocol import (
    Blamed,
    Cancel,
    Cleared,
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
MAX_AHEAD = 4
MIN_BACK_OFF_S, MAX_BACK_OFF_S = 0.25, 60.0
# A source that is down is tried again after this share of the time it has been down for: it is missed for little
# longer than it was away, and a connect that fails costs next to nothing.
BACK_OFF_SHARE = 1 / 8
# One that answers 429 or 503 without Retry-After wants to be left alone rather longer.
MIN_BUSY_WAIT_S, BUSY_WAIT_SHARE = 1.0, 1 / 4
# A second connection pays when there is this much left for it to do, in bytes or in time.
MIN_WORK_FOR_LANE_BYTES = 512 * 1024
MIN_WORK_FOR_LANE_S = 3.0
START_LANES = 4
DOUBTFUL_PIECES = 3
# Trimming a lease means a new connection for its lane: only in sight of the end, and for a clear excess.
TRIM_SIGHT_S, TRIM_SILENT_SIGHT_S = 20.0, 4.0
TRIM_EXCESS_S, TRIM_EXCESS_SHARE = 0.5, 0.25

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
        self.contested = RangeSet()
        self.roster = Roster()
        self.horizon = size
        self._host_caps: dict[str, int] = {}
        self._host_lanes, self._all_lanes = host_lanes, all_lanes
        self._retries, self._stall_s, self._jitter = retries, stall_s, jitter
        self._now = 0.0
        self._pace_at, self._total_rate = -1.0, 0.0
        self._handlers: dict[type[Event], Callable[..., list[Command]]] = {
            SourceOpened: self._opened, Moved: self._moved, FirstByte: self._first_byte, Ended: self._ended,
            Failed: self._failed, Shrunk: self._shrunk, PieceBad: self._piece_bad, Blamed: self._blamed, Cleared: self._cleared,
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
            Source(id=event.source, host=event.host, climb=Climb(self._start_lanes()))
        )
        source.random_access = event.random_access
        source.latency.add(event.latency_s)
        lane = self.roster.add_lane(source, event.lane)
        lane.connected = True
        commands: list[Command] = []
        # What two sources bring at once belongs to the one that was first.
        end = self._claimable_end(event.start, event.end)
        if end > event.start:
            self.missing.remove(event.start, end)
            lease = self.roster.add_lease(lane, event.start, end, self._now)
            commands.append(Fetch(lease.id, source.id, lane.id, event.start, end))
        return commands + self._serve()

    def _start_lanes(self) -> int:
        """Where the climb begins: few where many sources share the budget."""
        share = self._all_lanes // (2 * (len(self.roster.sources) + 1))
        return int(clamp(share, 1, min(START_LANES, self._host_lanes)))

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
        return self._ahead(lease.lane) or self._trim(lease.lane)

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
        if event.position >= lease.end and event.position > lease.start:
            lane.source.recover()
        lane.connected = lease.end == lease.asked_end
        self._release(lease)
        return self._busy(lane) or ([] if lane.leases else self._serve())

    def _failed(self, event: Failed) -> list[Command]:
        lease = self.roster.leases.get(event.lease)
        if lease is None:
            return []
        lane, source = lease.lane, lease.lane.source
        self._account(lease, event.position)
        worked = lane.worked or lease.position - lease.start >= CUT_BYTES
        self._release(lease)
        if lane.id in self.roster.lanes:
            self._drop_lane(lane)
            if event.kind is not FaultKind.CANCELLED:
                self._back_off(source, event, worked=worked)
        return self._serve()

    def _shrunk(self, event: Shrunk) -> list[Command]:
        lease = self.roster.leases.get(event.lease)
        if lease is None:
            return []
        lease.shrinking = False
        if event.end > lease.cut:
            # It had come further than that: the end is where it is.
            self._account(lease, event.end)
        if event.end < lease.end:
            self.missing.add(event.end, lease.end)
            lease.end = event.end
        return self._serve()

    def _piece_bad(self, event: PieceBad) -> list[Command]:
        self.filled.remove(event.start, event.end)
        self.missing.add(event.start, event.end)
        for lease in self.roster.leases.values():
            self.missing.remove(lease.position, lease.end)
        # Of mixed origin: whoever brings it alone next time is right, or found out.
        mixed = len(event.suspects) > 1
        if mixed:
            self.contested.add(event.start, event.end)
        for source_id in event.suspects:
            if (source := self.roster.sources.get(source_id)) and mixed:
                source.suspected += 1
            elif source:
                source.avoid.add(event.start, event.end)
        self._doubt()
        commands: list[Command] = []
        for source_id in event.culprits:
            commands += self._blamed(Blamed(source_id))
        return commands + self._serve()

    def _doubt(self) -> None:
        """Who had a part in most of the bad pieces of mixed origin brings whole ones from now on: that tells."""
        sources = [s for s in self.roster.sources.values() if s.usable]
        most = max((s.suspected for s in sources), default=0)
        if most >= DOUBTFUL_PIECES:
            for source in sources:
                source.doubted = source.doubted or source.suspected > most * 0.75
                source.suspected = 0

    def _blamed(self, event: Blamed) -> list[Command]:
        source = self.roster.sources.get(event.source)
        if source is None or source.banned:
            return []
        source.strikes += 1
        if source.strikes < 2:
            source.note = "served bytes that were wrong; on probation"
            return []
        source.banned = True
        for other in self.roster.sources.values():
            other.doubted, other.suspected = False, 0
        source.note = "served wrong bytes again; banned"
        return self._cancel_all(source)

    def _cleared(self, event: Cleared) -> list[Command]:
        if source := self.roster.sources.get(event.source):
            source.avoid = RangeSet()
        return self._serve()

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
        budget = self._all_lanes - len(self.roster.lanes)
        may_grow = budget > 0 or self._make_room()
        for source in self.roster.sources.values():
            flowing = sum(1 for lane in source.lanes.values() if lane.leases and lane.worked)
            if flowing:
                cap = self._host_room(source) if may_grow else min(self._host_room(source), len(source.lanes))
                source.climb.observe(flowing, cap, source.total_bytes, source.latency.value, self._now)
        return self._serve()

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

    # -- books

    def _account(self, lease: Lease, position: int) -> None:
        position = min(max(position, lease.position), lease.end)
        lease.lane.rate.add(position - lease.position, self._now)
        if position > lease.position:
            lane = lease.lane
            lane.source.total_bytes += position - lease.position
            self.filled.add(lease.position, position)
            lease.position, lease.moved_at = position, self._now
            if not lane.worked and position - lease.start >= min(CUT_BYTES, lease.end - lease.start):
                lane.worked = True
            if lane.worked and lane.source.is_down:
                lane.source.recover()

    def _release(self, lease: Lease) -> None:
        if lease.position < lease.end:
            self.missing.add(lease.position, lease.end)
        self.roster.drop_lease(lease, self._now)

    def _drop_lane(self, lane: Lane) -> None:
        for lease in list(lane.leases):
            self._release(lease)
        self.roster.drop_lane(lane)

    def _back_off(self, source: Source, event: Failed, *, worked: bool) -> None:
        if event.kind is FaultKind.LASTING:
            source.gone = True
            return
        wait_s = event.retry_after_s or 0.0
        flowing = sum(1 for lane in source.lanes.values() if lane.worked and not lane.is_silent(self._now))
        if flowing:
            # Others of its lanes work: where a new one is refused, it is this many that the server wants.
            if not worked:
                source.climb.refused(len(source.lanes), self._now)
                source.retry_at = max(source.retry_at, self._now + wait_s)
            return
        if source.retry_at > self._now:
            # One outage, however many lanes it breaks.
            return
        source.failures += 1
        down_s = self._now - source.down_since if source.down_since is not None else 0.0
        source.down_since = self._now - down_s
        if not source.lanes:
            patience_s = min(2.0**self._retries - 1, MAX_BACK_OFF_S * self._retries)
            source.exhausted = source.failures > self._retries and down_s >= patience_s * 0.75
        # A lane that brought bytes before it broke is tried again at once.
        if not wait_s and not worked:
            wait_s = self._wait_s(event.kind, down_s)
        source.retry_at = self._now + wait_s

    def _wait_s(self, kind: FaultKind, down_s: float) -> float:
        if kind is FaultKind.BUSY:
            wait_s = max(MIN_BUSY_WAIT_S, down_s * BUSY_WAIT_SHARE)
        else:
            wait_s = max(MIN_BACK_OFF_S, down_s * BACK_OFF_SHARE)
        return min(MAX_BACK_OFF_S, wait_s) * self._jitter.uniform(0.75, 1.25)

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
            return fits
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
        if lane.source.is_surplus(lane) and lane.rate.known and lane.left_s(self._now) > MIN_WORK_FOR_LANE_S:
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
        if not source.silent and all(each.is_silent(self._now) for each in busy) and busy:
            source.silent = True
            source.down_since = self._now if source.down_since is None else source.down_since
            source.retry_at = self._now + MIN_BACK_OFF_S

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

    def _room(self, source: Source) -> bool:
        if not source.random_access or source.on_probation or source.is_down:
            return not source.lanes
        if source.lanes and not source.known:
            return False
        return len(source.lanes) < min(source.climb.lanes, self._host_room(source))

    def _host_room(self, source: Source) -> int:
        """The most lanes that this source may have, as things stand with its host."""
        cap = min(self._host_lanes, self._host_caps.get(source.host, self._host_lanes))
        return cap - sum(
            len(s.lanes) for s in self.roster.sources.values() if s.host == source.host and s is not source
        )

    def _outcome(self) -> Command | None:
        if self.filled.total >= self.size:
            return Complete()
        sources = self.roster.sources.values()
        if not sources or self.roster.leases or any(self._has_hope(source) for source in sources):
            return None
        return GiveUp()

    def _has_hope(self, source: Source) -> bool:
        """Whether time alone may bring more from it: one that sends no ranges can begin at the beginning only."""
        return source.usable and not source.exhausted and (source.random_access or 0 in self.missing)


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
