"""The world: scripted servers, a virtual clock, and the engine's habits, around one real scheduler.

As the engine does, it reports positions every POLL_S and then ticks; ends, faults, first bytes and answers to
Shrink are told at once. Pieces are checked against their hashes a moment after their last byte.

After each step the invariants of the scheduler are checked (invariants.py).
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.sim.invariants import check_books, check_duties
from tests.sim.script import FOREVER, Script
from tests.sim.server import Ask, Server
from thunderdl.core.protocol import (
    Cancel,
    Close,
    Command,
    Complete,
    Distrust,
    Ended,
    Event,
    Failed,
    Fetch,
    GiveUp,
    Moved,
    PieceBad,
    Shrink,
    Shrunk,
    SourceOpened,
    Tick,
)
from thunderdl.core.ranges import RangeSet
from thunderdl.core.scheduler import Scheduler
from thunderdl.core.trust import Provenance

POLL_S = 0.1
CHECK_S = 0.05
OPENING_BYTES = 1024 * 1024
# Longer than this is never: the world ends and says so.
PATIENCE = 30.0
PATIENCE_S = 300.0

Log = Callable[[float, str], None]


@dataclass(slots=True, kw_only=True)
class Outcome:
    """How a world ended. ``ideal_s`` counts what lies cost: pieces to fetch again, liars that were banned."""

    seed: int
    complete: bool
    time_s: float
    ideal_s: float
    size: int
    cut_bytes: float
    wrong_bytes: int
    events: int
    commands: int
    most_lanes: dict[int, int] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        return self.time_s / self.ideal_s if self.complete else FOREVER

    @property
    def waste(self) -> float:
        """Bytes fetched for nothing, lies aside, as a share of the file."""
        return self.cut_bytes / self.size


class World:
    """``script``: what will happen; ``log``: told of every event and command; ``strict``: check after each event,
    else at each ``checked_each``-th poll, 0 for never; ``make``: what makes the scheduler."""

    def __init__(
        self, script: Script, *, log: Log | None = None, strict: bool = True, checked_each: int = 1,
        make: Callable[..., Scheduler] = Scheduler,
    ) -> None:  # fmt: skip
        self.script, self._log, self._strict = script, log, strict
        self._checked_each, self._polls = checked_each, 0
        self.now = 0.0
        self.servers = {source.id: Server(source) for source in script.sources}
        self.scheduler = make(
            size=script.size, filled=RangeSet(), align=script.align, host_lanes=script.host_lanes,
            all_lanes=script.all_lanes, retries=script.retries, stall_s=script.stall_s,
            jitter=random.Random(script.seed),
        )  # fmt: skip
        self._lane_source: dict[int, int] = {}
        self._lease_lane: dict[int, int] = {}
        self._told: dict[int, int] = {}
        self._queue: deque[Event] = deque()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._next_order = 0
        self._versions = dict.fromkeys(self.servers, 0)
        self._origin = Provenance()
        self._bad: dict[tuple[int, int], bool] = {}
        self._checked = RangeSet()
        self._checking: set[int] = set()
        self._banned: list[tuple[int, float]] = []
        self._corrupt = any(source.corrupt for source in script.sources)
        self._ended: bool | None = None
        self._limit = FOREVER
        self.events = self.commands = self.wrong_bytes = 0
        self.most_lanes = dict.fromkeys(self.servers, 0)

    # -- running

    def run(self, until_s: float = FOREVER) -> Outcome:
        """Play until the file is there, nobody is left, or patience ends; no longer than ``until_s``."""
        for source in self.script.sources:
            self._at(source.opens_at, lambda number=source.id: self._open(number))  # type: ignore[misc]
            self._plan(source.id)
        self._at(POLL_S, self._poll)
        self._set_limit()
        while self._ended is None and self._agenda and self._agenda[0][0] <= min(self._limit, until_s):
            self.now, _, due = heapq.heappop(self._agenda)
            due()
        return self._outcome()

    def _set_limit(self) -> None:
        ideal = self.script.judged(self._banned).ideal_s()
        self._limit = ideal * PATIENCE + PATIENCE_S if ideal < FOREVER else 10 * PATIENCE_S

    def _outcome(self) -> Outcome:
        return Outcome(
            seed=self.script.seed, complete=bool(self._ended), time_s=self.now,
            ideal_s=self.script.judged(self._banned).ideal_s(self.wrong_bytes), size=self.script.size,
            cut_bytes=sum(server.cut_bytes for server in self.servers.values()), wrong_bytes=self.wrong_bytes,
            events=self.events, commands=self.commands, most_lanes=self.most_lanes,
        )  # fmt: skip

    def _at(self, when: float, what: Callable[[], None]) -> None:
        self._next_order += 1
        heapq.heappush(self._agenda, (max(when, self.now), self._next_order, what))

    def _plan(self, number: int) -> None:
        """Put the server's next event on the agenda; what was planned before is void."""
        self._versions[number] += 1
        version, when = self._versions[number], self.servers[number].next_event()
        if when < FOREVER:
            self._at(when, lambda: self._fire(number, version))

    def _fire(self, number: int, version: int) -> None:
        if self._versions[number] == version:
            events = self.servers[number].fire(self.now)
            self._plan(number)
            self.tell(*events)

    def _open(self, number: int) -> None:
        source = self.servers[number].script
        if source.rate(self.now) <= 0 and any(s.holds(self.now) for s in (*source.dead, *source.busy, *source.dark)):
            self._at(self.now + 1.0, lambda: self._open(number))
            return
        lane = self.scheduler.new_lane()
        # As the engine asks: the first for the beginning of the file, the others for a byte, to see who has it.
        first = not self.scheduler.roster.sources
        end = 0 if not first else OPENING_BYTES if source.random_access else self.script.size
        end = min(end, self.script.size)
        self._lane_source[lane] = number
        self.servers[number].adopt(lane, 0, end)
        self.tell(SourceOpened(
            source=number, host=source.host, lane=lane, start=0, end=end, latency_s=source.rtt_s,
            random_access=source.random_access, runs_on=source.runs_on,
            to_come=sum(each not in self.scheduler.roster.sources for each in self.servers) - 1,
        ))  # fmt: skip

    def _poll(self) -> None:
        for server in self.servers.values():
            server.advance(self.now)
        for server in self.servers.values():
            for line in list(server.lines.values()):
                for ask in list(line.asks):
                    if ask.begun or ask is line.head:
                        self._tell_one(Moved(ask.lease, int(ask.position)))
        self._tell_one(Tick())
        self._at(self.now + POLL_S, self._poll)
        for number, lanes in self.most_lanes.items():
            self.most_lanes[number] = max(lanes, len(self.servers[number].lines))
        self._polls += 1
        if self._checked_each and self._polls % self._checked_each == 0:
            check_books(self.scheduler)
            check_duties(self.scheduler, self.now)

    # -- between scheduler and servers

    def tell(self, *events: Event) -> None:
        for event in events:
            self._tell_one(event)

    def _tell_one(self, event: Event) -> None:
        self._queue.append(event)
        while self._queue:
            following = self._queue.popleft()
            self._note(following)
            self.events += 1
            if self._log and not isinstance(following, Moved | Tick):
                self._log(self.now, f"  {following}")
            for command in self.scheduler.handle(following, self.now):
                self.commands += 1
                if self._log:
                    self._log(self.now, f"> {command}")
                self._perform(command)
            if self._strict:
                check_books(self.scheduler)

    def _note(self, event: Event) -> None:
        """The ledger: who brought what, and which pieces are whole now."""
        if not isinstance(event, Moved | Ended | Failed):
            return
        told = self._told.get(event.lease)
        if told is None or event.lease not in self.scheduler.roster.leases:
            return
        if event.position > told and self._corrupt:
            self._origin.add(told, event.position, self._lane_source[self._lease_lane[event.lease]])
            self._check_pieces(told, event.position)
        self._told[event.lease] = max(told, event.position)
        if not isinstance(event, Moved):
            del self._told[event.lease]
        if isinstance(event, Failed):
            # What was asked of the lane while the news of its end was on the way goes with it.
            self._close(self._lease_lane[event.lease])

    def _perform(self, command: Command) -> None:
        if isinstance(command, Fetch):
            self._fetch(command)
        elif isinstance(command, Shrink):
            self._shrink(command)
        elif isinstance(command, Cancel):
            self._cancel(command)
        elif isinstance(command, Close):
            self._close(command.lane)
        elif isinstance(command, Complete):
            if not self._checking:
                self._ended = True
        elif isinstance(command, GiveUp):
            self._ended = False
        elif isinstance(command, Distrust):
            self._distrust(command.source)

    def _fetch(self, command: Fetch) -> None:
        server = self.servers[command.source]
        self._lane_source.setdefault(command.lane, command.source)
        assert self._lane_source[command.lane] == command.source, "a lane belongs to one source for life"
        self._lease_lane[command.lease] = command.lane
        self._told[command.lease] = command.start
        server.advance(self.now)
        server.ask(command.lane, command.lease, command.start, command.end, self.now)
        self._plan(command.source)

    def _shrink(self, command: Shrink) -> None:
        number = self._lane_source[self._lease_lane[command.lease]]
        if self._told.get(command.lease) is None:
            return
        server = self.servers[number]
        server.advance(self.now)
        end = server.shrink(self._lease_lane[command.lease], command.lease, command.end)
        if end is not None:
            self._queue.append(Shrunk(command.lease, end))
        self._plan(number)

    def _cancel(self, command: Cancel) -> None:
        lane = self._lease_lane[command.lease]
        for ask in self._close(lane):
            self._queue.append(Failed(ask.lease, int(ask.position), command.kind))

    def _close(self, lane: int) -> list[Ask]:
        if lane not in self._lane_source:
            # It was to have what is stolen, and never got that far.
            return []
        number = self._lane_source[lane]
        self.servers[number].advance(self.now)
        asks = self.servers[number].close(lane)
        self._plan(number)
        return asks

    # -- pieces

    def _check_pieces(self, start: int, end: int) -> None:
        for piece in range(start // self.script.align, (end - 1) // self.script.align + 1):
            first, last = piece * self.script.align, min((piece + 1) * self.script.align, self.script.size)
            whole = sum(b - a for a, b, _ in self._origin.within(first, last)) == last - first
            if whole and piece not in self._checking:
                self._checking.add(piece)
                self._at(self.now + CHECK_S, lambda number=piece: self._judge_piece(number))  # type: ignore[misc]

    def _distrust(self, source: int) -> None:
        settled = self._checked.copy()
        for piece in self._checking:
            settled.add(piece * self.script.align, min((piece + 1) * self.script.align, self.script.size))
        for start, end in [gap for pair in self._origin.extents_of(source) for gap in settled.gaps(*pair)]:
            self.wrong_bytes += end - start
            self._origin.remove(start, end)
            self._queue.append(PieceBad(start, end, frozenset({source}), frozenset()))

    def _judge_piece(self, piece: int) -> None:
        self._checking.discard(piece)
        start, end = piece * self.script.align, min((piece + 1) * self.script.align, self.script.size)
        suspects = self._origin.sources_of(start, end)
        if any(self._lies(number, piece) for number in suspects):
            self.wrong_bytes += end - start
            self._origin.remove(start, end)
            self.tell(PieceBad(start, end, suspects, suspects if len(suspects) == 1 else frozenset()))
            known = {number for number, _ in self._banned}
            for number, source in self.scheduler.roster.sources.items():
                if source.banned and number not in known:
                    self._banned.append((number, self.now))
                    self._set_limit()
            return
        self._checked.add(start, end)
        if not self._checking and self.scheduler.filled.total >= self.script.size:
            self._ended = True

    def _lies(self, number: int, piece: int) -> bool:
        share = self.servers[number].script.corrupt
        if not share:
            return False
        key = (number, piece)
        if key not in self._bad:
            self._bad[key] = random.Random(f"{self.script.seed} {number} {piece}").random() < share
        return self._bad[key]
