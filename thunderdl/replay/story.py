"""What happened in a download, told by its trace alone: leases, lanes and sources over time. Pure.

It believes the recorded commands, whatever a scheduler would say today, so that a trace of another version can still
be drawn. Positions between two reports are not known: a line is drawn through those that are.

Invariants: memory is bounded by the number of lines (a lease keeps at most MOST_POINTS positions, a lane joins equal
spans); times never go backwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from thunderdl.core.protocol import (
    Blamed,
    Close,
    Command,
    Complete,
    Ended,
    Event,
    Failed,
    FaultKind,
    Fetch,
    GiveUp,
    Moved,
    PieceBad,
    Shrunk,
    SourceLost,
    SourceOpened,
)
from thunderdl.core.ranges import RangeSet
from thunderdl.core.tracing import Begun, Entry, Step
from thunderdl.replay.rates import Rates
from thunderdl.replay.tracks import Doing, LaneTrack, LeaseTrack, SourceTrack, Span

# Reports come ten times a second: a gap of so many of them is silence.
SILENCE_S = 0.8
# Of more leases than this (300 MB) only the first are drawn.
MOST_KEPT = 300_000
# Ranges taken from a lane and not yet given to another one.
MOST_LOOSE = 1000
_OPEN = float("inf")


@dataclass(slots=True)
class _Loose:
    start: int
    end: int
    source: int
    lane: int


class Story:
    """Take entries in with :meth:`take`, then call :meth:`close` once."""

    def __init__(self, begun: Begun) -> None:
        self.name, self.size = begun.name, begun.size
        filled = begun.settings.get("filled")
        self.there = filled.copy() if isinstance(filled, RangeSet) else RangeSet()
        self.sources = {source: SourceTrack(id=source, name=name) for source, name in begun.sources.items()}
        self.leases: list[LeaseTrack] = []
        self.bad: list[tuple[float, int, int]] = []
        self.begin: float | None = None
        self.now = 0.0
        self.completed: float | None = None
        self.gave_up = False
        self.rates = Rates(0.0)
        self.most_lanes: dict[int, int] = {}
        self.granted = self.most_open = self._open = 0
        self._lanes: dict[int, LaneTrack] = {}
        self._running: dict[int, LeaseTrack] = {}
        self._loose: list[_Loose] = []
        self._takers: dict[type[Event] | type[Command], Callable[[Any], None]] = {
            SourceOpened: self._opened, Moved: self._moved, Ended: self._ended, Failed: self._failed,
            Shrunk: self._shrunk, PieceBad: self._piece_bad, Blamed: self._blamed, SourceLost: self._lost,
            Fetch: self._fetch, Close: self._close_lane, Complete: self._complete, GiveUp: self._given_up,
        }  # fmt: skip

    @property
    def start(self) -> float:
        return self.begin or 0.0

    @property
    def end(self) -> float:
        return self.completed if self.completed is not None else self.now

    def take(self, entry: Entry) -> None:
        if not isinstance(entry, Step):
            return
        if self.begin is None:
            self.begin = self.now = entry.at
            self.rates = Rates(entry.at)
        self.now = max(self.now, entry.at)
        for word in (entry.heard, *entry.said):
            if taker := self._takers.get(type(word)):
                taker(word)

    def close(self) -> None:
        """The trace is over: what still runs ran until now."""
        for lane in self._lanes.values():
            self._tell_of(lane, self.now)
        for source in self.sources.values():
            self._back(source)

    # -- events

    def _source(self, number: int) -> SourceTrack:
        return self.sources.setdefault(number, SourceTrack(id=number, name=f"source {number}"))

    def _opened(self, event: SourceOpened) -> None:
        source = self._source(event.source)
        source.host = event.host
        source.opened = self.now if source.opened is None else source.opened
        self._lane(event.lane, event.source)

    def _lane(self, number: int, source: int) -> LaneTrack:
        if number not in self._lanes:
            track = LaneTrack(id=number, source=source, opened=self.now, told=self.now, progressed=self.now)
            self._lanes[number] = track
            owner = self._source(source)
            owner.lanes.append(track)
            self._open += 1
            owner.open_lanes += 1
            self.most_open = max(self.most_open, self._open)
            self.most_lanes[source] = max(self.most_lanes.get(source, 0), owner.open_lanes)
            self._back(owner)
        return self._lanes[number]

    def _moved(self, event: Moved) -> None:
        if lease := self._running.get(event.lease):
            self._advance(lease, event.position)

    def _ended(self, event: Ended) -> None:
        if lease := self._running.get(event.lease):
            self._advance(lease, event.position)
            self._end(lease, "done" if lease.position >= lease.end else "the server sent less than asked")

    def _failed(self, event: Failed) -> None:
        lease = self._running.get(event.lease)
        if lease is None:
            return
        self._advance(lease, event.position)
        lane, source = self._lanes[lease.lane], self._source(lease.source)
        self._end(lease, "given up" if event.kind is FaultKind.CANCELLED else f"failed ({event.kind.value})")
        lease.failed = event.kind is not FaultKind.CANCELLED
        if lane.closed is None:
            self._shut(lane)
            source.faults += lease.failed
        if lease.failed and not source.open_lanes:
            if event.kind is FaultKind.LASTING:
                self.give_up(lease.source, "a lasting fault")
            elif not source.away or source.away[-1].end != _OPEN:
                source.away.append(Span(Doing.AWAY, self.now, _OPEN))

    def _shrunk(self, event: Shrunk) -> None:
        lease = self._running.get(event.lease)
        if lease is None or not lease.position <= event.end < lease.end:
            return
        lease.cuts.append((self.now, lease.end))
        self._loose = [*self._loose[-MOST_LOOSE:], _Loose(event.end, lease.end, lease.source, lease.lane)]
        lease.end = event.end

    def _piece_bad(self, event: PieceBad) -> None:
        self.bad.append((self.now, event.start, event.end))
        for number in event.suspects:
            source = self._source(number)
            source.bad_bytes += (event.end - event.start) // len(event.suspects)
            self._remark(source, "had a part in a piece that did not match its hash")

    def _blamed(self, event: Blamed) -> None:
        self._remark(self._source(event.source), "was proven to have served wrong bytes")

    def _lost(self, event: SourceLost) -> None:
        self.give_up(event.source, event.reason)

    def give_up(self, number: int, why: str) -> None:
        """The source is not used any more."""
        source = self._source(number)
        if source.gone is None:
            source.gone, source.why_gone = self.now, why
            self._back(source)

    # -- commands

    def _fetch(self, command: Fetch) -> None:
        lane = self._lane(command.lane, command.source)
        lease = LeaseTrack(
            id=command.lease, source=command.source, lane=command.lane, start=command.start, end=command.end,
            granted=self.now, points=[(self.now, command.start)],
        )  # fmt: skip
        self.granted += 1
        if len(self.leases) < MOST_KEPT:
            self.leases.append(lease)
        self._running[lease.id] = lease
        if not lane.queue:
            self._tell_of(lane, self.now)
            lane.begun, lane.progressed = False, self.now
        lane.queue.append(lease)
        self._claim(lease)

    def _claim(self, lease: LeaseTrack) -> None:
        """Ranges that were taken from a lane, and now begin anew at this one."""
        for loose in list(self._loose):
            start, end = max(loose.start, lease.start), min(loose.end, lease.end)
            if start >= end:
                continue
            self._loose.remove(loose)
            parts = (_Loose(loose.start, start, loose.source, loose.lane), _Loose(end, loose.end, loose.source, 0))
            self._loose += [part for part in parts if part.start < part.end]
            if loose.source != lease.source:
                self._source(loose.source).lost_bytes += end - start
                self._source(lease.source).won_bytes += end - start

    def _close_lane(self, command: Close) -> None:
        if (lane := self._lanes.get(command.lane)) and lane.closed is None:
            self._tell_of(lane, self.now)
            self._shut(lane)

    def _complete(self, _: Complete) -> None:
        self.completed = self.now

    def _given_up(self, _: GiveUp) -> None:
        self.gave_up = True

    # -- books

    def _remark(self, source: SourceTrack, told: str) -> None:
        """Once each; how often is told by the counts."""
        if told not in [each for _, each in source.remarks]:
            source.remarks.append((self.now, told))

    def _shut(self, lane: LaneTrack) -> None:
        lane.closed = self.now
        self._open -= 1
        self._source(lane.source).open_lanes -= 1

    def _back(self, source: SourceTrack) -> None:
        """It is not left alone any more."""
        if source.away and source.away[-1].end == _OPEN:
            source.away[-1].end = self.now

    def _advance(self, lease: LeaseTrack, position: int) -> None:
        position = min(max(position, lease.position), lease.asked_end)
        lane, gained = self._lanes[lease.lane], position - lease.position
        if gained:
            before = max(lease.points[-1][0], lane.told if not lane.begun else lane.progressed)
            self._tell_of(lane, before)
            if not lane.begun and lane.told < before:
                lane.tell(Doing.WAITING, before)
            lane.begun = True
            lane.tell(Doing.MOVING, self.now)
            lane.progressed = self.now
            source = self._source(lease.source)
            source.bytes += gained
            self.rates.add(lease.source, before, self.now, gained)
        elif lane.queue and lane.queue[0] is lease:
            self._tell_of(lane, self.now)
        lease.reach(position, self.now)

    def _tell_of(self, lane: LaneTrack, until: float) -> None:
        """What a lane that brought nothing did until then."""
        if lane.closed is not None:
            return
        if not lane.queue:
            lane.tell(Doing.IDLE, until)
        elif not lane.begun:
            lane.tell(Doing.WAITING, until)
        elif until - lane.progressed > SILENCE_S:
            lane.tell(Doing.SILENT, until)

    def _end(self, lease: LeaseTrack, how: str) -> None:
        lane = self._lanes[lease.lane]
        self._tell_of(lane, self.now)
        lane.tell(Doing.MOVING if lane.begun else Doing.WAITING, self.now)
        lease.over, lease.how = self.now, how
        self._running.pop(lease.id, None)
        if lease in lane.queue:
            lane.queue.remove(lease)
        # A range asked for ahead follows at once: its bytes are on their way.
        lane.begun, lane.progressed = bool(lane.queue), self.now
