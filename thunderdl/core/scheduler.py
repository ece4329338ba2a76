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

from thunderdl.core.backing_off import MIN_BACK_OFF_S, back_off_s, is_hopeless
from thunderdl.core.climbing import Climb
from thunderdl.core.leasing import CUT_BYTES, MOST_ASKED_BYTES, PROBE_BYTES
from thunderdl.core.protocol import (
    Beside,
    Blamed,
    Brought,
    Budget,
    Cleared,
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
    HostPause,
    Limited,
    Moved,
    PieceBad,
    Released,
    Renewing,
    Reserved,
    Scarce,
    Shrunk,
    SourceLost,
    SourceOpened,
    Suspected,
    Tick,
)  # fmt: skip
from thunderdl.core.ranges import RangeSet
from thunderdl.core.ranking import RateEstimate
from thunderdl.core.roster import Lane, Lease, Source
from thunderdl.core.suspecting import Suspecting

# A connection that hung while its siblings flowed is lost; one that asks whether a silent source is back is given
# up soon, since a connection that slept through the dark wakes up late (RFC 6298: time-outs double).
LOST_S, LOST_TRIPS = 3.0, 6
PROBE_S = 1.0

E = TypeVar("E", bound=Event)


class Scheduler(Suspecting):
    """``size``: bytes of the file; ``filled``: what is there already; ``align``: border that leases prefer
    (piece or journal granule); ``host_lanes``: lanes to one host; ``retries``: passing faults in a row until a
    source counts as exhausted; ``stall_s``: silence after which a lane is given up; ``begin_at``: where grants
    begin, around the end."""

    def __init__(
        self, *, size: int, filled: RangeSet, align: int, host_lanes: int, all_lanes: int, retries: int,
        stall_s: float, jitter: random.Random, begin_at: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(
            size=size, filled=filled, align=align, host_lanes=host_lanes, all_lanes=all_lanes, begin_at=begin_at
        )
        self._retries, self._stall_s, self._jitter = retries, stall_s, jitter
        self._handlers: dict[type[Event], Callable[..., list[Command]]] = {
            SourceOpened: self._opened, Moved: self._moved, FirstByte: self._first_byte, Ended: self._ended,
            Failed: self._failed, Shrunk: self._shrunk, PieceBad: self._piece_bad, Blamed: self._blamed,
            Suspected: self._suspected, Cleared: self._cleared, SourceLost: self._lost, HostCap: self._host_cap,
            HostPause: self._host_pause, Budget: self._budget, Limited: self._limit, Renewing: self._renewing,
            Horizon: self._moved_horizon, Reserved: self._reserve, Released: self._release_reserved,
            Brought: self._brought, Scarce: self._note_scarce, Beside: self._beside, Tick: self._tick,
        }  # fmt: skip

    # -- the two verbs

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take ``event`` in at ``now`` (monotonic seconds) and say what is to be done."""
        self._now = max(now, self._now)
        self._begun_at = self._begun_at or self._now
        commands = self._handlers[type(event)](event)
        if outcome := self._outcome():
            commands.append(outcome)
        return commands

    def next_wakeup(self) -> float | None:
        """When a source may be tried again or a silent lane given up; None when nothing waits for time alone."""
        times = [s.retry_at for s in self.roster.sources.values() if s.usable and s.retry_at > self._now]
        waited_for = (lane for lane in self.roster.lanes.values() if lane.leases and not lane.renewing)
        times += [lane.leases[0].moved_at + self._stall_s for lane in waited_for]
        return min(times, default=None)

    # -- what the engine asks

    def new_lane(self) -> int:
        """A lane id for the engine's own first request to a source."""
        return self.roster.new_lane_id()

    # -- events

    def _opened(self, event: SourceOpened) -> list[Command]:
        source = self.roster.sources.get(event.source) or self.roster.add_source(
            Source(id=event.source, host=event.host, climb=Climb(self._start_lanes(event.to_come)))
        )
        source.random_access, source.min_bytes = event.random_access, event.min_bytes
        source.max_lanes, source.runs_on = event.max_lanes, event.runs_on
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
        # What follows from it is decided once for all lanes, at the Tick behind a round of reports.
        self._account(lease, event.position)
        return []

    def _first_byte(self, event: FirstByte) -> list[Command]:
        if lease := self.roster.leases.get(event.lease):
            lease.lane.source.latency.add(event.latency_s)
            lease.moved_at = self._now
        return []

    def _ended(self, event: Ended) -> list[Command]:
        lease = self.roster.leases.get(event.lease)
        if lease is None:
            return []
        lane, was_known = lease.lane, lease.lane.source.known
        brought = event.position > lease.position
        self._account(lease, event.position)
        if brought and event.position >= lease.end:
            # Not where a cut was all that ended it: that is no sign of life.
            lane.source.recover()
        lane.connected = lease.end == lease.asked_end
        lane.probe = lane.probe and not brought
        if lane.rate.known:
            lane.source.past_lane_rate = max(lane.rate.safe, 1.0)
        self._release(lease)
        granted = self._distrusted(lane.source) + self._busy(lane)
        if not granted and not lane.leases:
            return self._serve()
        # Its rate has just become known: further lanes need not wait for the next report (0.1 s).
        return granted + self._open_lanes() if lane.source.known and not was_known else granted

    def _failed(self, event: Failed) -> list[Command]:
        lease = self.roster.leases.get(event.lease)
        if lease is None:
            return []
        lane, source = lease.lane, lease.lane.source
        self._account(lease, event.position)
        worked = lane.worked
        self._release(lease)
        if lane.id in self.roster.lanes:
            self._drop_lane(lane)
            if event.kind is not FaultKind.CANCELLED:
                self._back_off(source, event, worked=worked)
        return self._distrusted(source) + self._serve()

    def _shrunk(self, event: Shrunk) -> list[Command]:
        lease = self.roster.leases.get(event.lease)
        if lease is None or not lease.shrinking:
            return []
        lease.shrinking = False
        if event.end > lease.cut:
            # It had come further than that: the end is where it is.
            self._account(lease, event.end)
        end, lease.end = lease.end, max(lease.position, min(event.end, lease.end))
        self._miss(lease.end, end)
        return self._hand_over(lease, lease.end, end) + self._serve()

    def _lost(self, event: SourceLost) -> list[Command]:
        if source := self.roster.sources.get(event.source):
            source.gone, source.note = True, event.reason
            return self._give_up(list(source.lanes.values())) + self._serve()
        return []

    def _host_cap(self, event: HostCap) -> list[Command]:
        self._host_caps[event.host] = event.lanes
        lanes = [lane for lane in self.roster.lanes.values() if lane.source.host == event.host]
        if any(lane.leases and not lane.rate.known and not lane.worked for lane in lanes):
            # One that has not been answered yet may be the one that is refused: the next Tick knows more.
            return self._serve()
        return self._apportion() + self._serve()

    def _host_pause(self, event: HostPause) -> list[Command]:
        for source in self.roster.sources.values():
            if source.host == event.host:
                source.retry_at = max(source.retry_at, event.until)
        return []

    def _budget(self, event: Budget) -> list[Command]:
        self._all_lanes = event.lanes
        return self._apportion() + self._serve()

    def _limit(self, event: Limited) -> list[Command]:
        self._limited = event.on
        return []

    def _renewing(self, event: Renewing) -> list[Command]:
        if (lane := self.roster.lanes.get(event.lane)) is not None:
            lane.renewing = event.on
            if lane.leases and not event.on:
                # It asks only now.
                lane.leases[0].moved_at = self._now
        return []

    def _moved_horizon(self, event: Horizon) -> list[Command]:
        self.horizon = min(event.end, self.size)
        return self._serve()

    def _tick(self, _: Tick) -> list[Command]:
        commands = self._apportion() + self._watch() + self._shed()
        if not self._limited:
            self._climb()
            commands += self._make_room()
        for lane in self.roster.lanes.values():
            if lane.leases:
                commands += self._feed(lane)
        return commands + self._reclaim() + self._serve()

    # -- silence

    def _watch(self) -> list[Command]:
        """Give up lanes that hang, and look out for sources that do."""
        commands: list[Command] = []
        for source in self.roster.sources.values():
            if not source.lanes:
                # Of hundreds of sources few have any: this runs at each tick.
                continue
            # One that is renewed is given up by nobody: others may have what it holds, as of any that is silent.
            busy = [
                lane for lane in source.lanes.values()
                if lane.leases and not lane.leases[0].cancelled and not lane.renewing
            ]  # fmt: skip
            silent = [lane for lane in busy if lane.is_silent(self._now)]
            stalled = [lane for lane in busy if lane.silent_s(self._now) >= self._stall_s]
            commands += self._give_up(stalled, FaultKind.STALLED)
            if not silent:
                continue
            if any(lane.worked and lane not in silent for lane in busy):
                # A probe that was opened a moment ago does not count: it flows no more than they do.
                lost_s = max(LOST_S, LOST_TRIPS * source.latency.value)
                commands += self._give_up([lane for lane in silent if lane.silent_s(self._now) >= lost_s])
            elif source.silent or source.failures:
                commands += self._give_up_probes(source, silent) + self._room_for_probe(source, silent)
            elif source.random_access:
                self._fall_silent(source)
        return commands

    def _fall_silent(self, source: Source) -> None:
        source.silent = True
        source.down_since = self._now if source.down_since is None else source.down_since
        source.retry_at = self._now + MIN_BACK_OFF_S

    def _give_up_probes(self, source: Source, silent: list[Lane]) -> list[Command]:
        hopeless_s = max(PROBE_S, LOST_TRIPS * source.latency.value)
        probes = [lane for lane in silent if lane.probe and lane.silent_s(self._now) >= hopeless_s]
        if probes:
            down_s = self._now - source.down_since if source.down_since is not None else 0.0
            source.retry_at = self._now + self._wait_s(FaultKind.PASSING, down_s)
            if len(source.lanes) == len(probes):
                source.failures += 1
                source.exhausted = source.failures > self._retries and down_s >= self._retries * self._stall_s
        return self._give_up(probes)

    def _room_for_probe(self, source: Source, silent: list[Lane]) -> list[Command]:
        """Where no lane is left to see whether the source is back, one that hangs is given for it; not the last."""
        full = len(source.lanes) >= self._host_room(source) or len(self.roster.lanes) >= self._all_lanes
        if not full or not source.silent or source.retry_at > self._now or len(silent) < max(2, len(source.lanes)):
            return []
        probing = any(lane.probe for lane in silent)
        return [] if probing else self._give_up(silent[:1])

    # -- books

    def _account(self, lease: Lease, position: int) -> None:
        position, lane = min(max(position, lease.position), lease.end), lease.lane
        if not lane.is_silent(self._now):
            lane.rate.add(position - lease.position, self._now)
        elif position > lease.position:
            # What it did before it fell silent says nothing any more.
            lane.rate = RateEstimate()
            lane.rate.begin(self._now)
        if position > lease.position:
            if lane.probe:
                lane.probe = False
                lane.source.keep_first(lane)
            lane.source.total_bytes += position - lease.position
            self.filled.add(lease.position, position)
            lease.position, lease.moved_at = position, self._now
            if not lane.worked and position - lease.start >= min(CUT_BYTES, lease.end - lease.start):
                lane.worked = True
            if lane.worked and lane.source.is_down:
                lane.source.recover()

    def _release(self, lease: Lease) -> None:
        if lease.position < lease.end:
            self._miss(lease.position, lease.end)
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
            # One outage, however many lanes it breaks; what the server wishes counts, whichever of them heard it.
            source.retry_at = max(source.retry_at, self._now + wait_s)
            return
        source.failures += 1
        if event.kind is FaultKind.BUSY and source.failures == 1 and source.total_bytes:
            # It gave bytes and refused the next request: it may count requests (nginx's limit_req). Asked for
            # PROBE_BYTES after each refusal, a server of 100 MB/s that takes 2 requests a second brought 60 KB/s.
            source.ask_bytes = min(max(2 * source.ask_bytes, PROBE_BYTES), MOST_ASKED_BYTES)
        down_s = self._now - source.down_since if source.down_since is not None else 0.0
        source.down_since = self._now - down_s
        if not source.lanes:
            source.exhausted = is_hopeless(source.failures, down_s, self._retries)
        # A lane that brought bytes before it broke is tried again at once.
        if not wait_s and not worked:
            wait_s = self._wait_s(event.kind, down_s)
        source.retry_at = self._now + wait_s

    def _wait_s(self, kind: FaultKind, down_s: float) -> float:
        return back_off_s(down_s, is_busy=kind is FaultKind.BUSY) * self._jitter.uniform(0.75, 1.25)

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
