"""The engine's side of the desk: tells one scheduler events, obeys its commands, checks the books after each.

No world and no servers, as tests/sim has them: what happens is said by the test, step by step.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TypeVar

from tests.sim.invariants import check_books
from thunderdl.core.protocol import (
    Cancel,
    Command,
    Ended,
    Event,
    Failed,
    FaultKind,
    Fetch,
    Moved,
    Shrink,
    Shrunk,
    SourceOpened,
    Tick,
)  # fmt: skip
from thunderdl.core.ranges import RangeSet
from thunderdl.core.roster import Lane, Lease, Source
from thunderdl.core.scheduler import Scheduler

KIB, MIB = 1024, 1024 * 1024
STEP_S = 0.1

C = TypeVar("C", bound=Command)


class Desk:
    """``now`` begins at 100 s; sources are opened by number, each on a host of its own unless told otherwise."""

    def __init__(
        self, size: int = 64 * MIB, *, align: int = MIB, host_lanes: int = 1, all_lanes: int = 32, retries: int = 2,
        stall_s: float = 30.0, filled: RangeSet | None = None,
    ) -> None:  # fmt: skip
        self.now = 100.0
        self.scheduler = Scheduler(
            size=size, filled=filled or RangeSet(), align=align, host_lanes=host_lanes, all_lanes=all_lanes,
            retries=retries, stall_s=stall_s, jitter=random.Random(1),
        )  # fmt: skip

    def tell(self, event: Event, *, after_s: float = 0.0) -> list[Command]:
        self.now += after_s
        commands = self.scheduler.handle(event, self.now)
        check_books(self.scheduler)
        return commands

    def open(
        self, source: int = 1, *, host: str = "", start: int = 0, end: int = 0, latency_s: float = 0.05,
        random_access: bool = True, min_bytes: int = 0, max_lanes: int = 0, to_come: int = 0, runs_on: bool = False,
    ) -> list[Command]:  # fmt: skip
        return self.tell(
            SourceOpened(
                source=source, host=host or f"host{source}", lane=self.scheduler.new_lane(), start=start, end=end,
                latency_s=latency_s, random_access=random_access, min_bytes=min_bytes, max_lanes=max_lanes,
                to_come=to_come, runs_on=runs_on,
            )
        )  # fmt: skip

    def tick(self, *, after_s: float = 0.0) -> list[Command]:
        return self.tell(Tick(), after_s=after_s)

    def source(self, number: int = 1) -> Source:
        return self.scheduler.roster.sources[number]

    def lanes(self, source: int = 1) -> list[Lane]:
        return list(self.source(source).lanes.values())

    def lane(self, source: int = 1) -> Lane:
        """The first lane of this source."""
        return self.lanes(source)[0]

    def leases(self, source: int = 1) -> list[Lease]:
        return [lease for lane in self.lanes(source) for lease in lane.leases]

    def lease(self, source: int = 1) -> Lease:
        """The first running lease of this source."""
        return self.leases(source)[0]

    def move(self, lease: Lease, count: int, *, after_s: float = STEP_S) -> list[Command]:
        """The lease brings ``count`` bytes more."""
        return self.tell(Moved(lease.id, lease.position + count), after_s=after_s)

    def finish(self, lease: Lease, *, after_s: float = STEP_S) -> list[Command]:
        return self.tell(Ended(lease.id, lease.end), after_s=after_s)

    def fail(
        self, source: int = 1, kind: FaultKind = FaultKind.PASSING, *, retry_after_s: float | None = None,
        after_s: float = 0.0,
    ) -> list[Command]:  # fmt: skip
        """The running lease of this source fails where it is."""
        lease = self.lease(source)
        return self.tell(Failed(lease.id, lease.position, kind, retry_after_s), after_s=after_s)

    def flow(self, seconds: float, rates: Mapping[int, int], *, shared: bool = False) -> list[Command]:
        """Each lane of the sources named brings so many bytes a second, or all of its busy ones together where the
        rate is ``shared``; commands are obeyed, and returned."""
        said: list[Command] = []
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            for number, rate in rates.items():
                busy = [lane for lane in self.lanes(number) if lane.leases]
                for lane in busy:
                    said += self.advance(lane, round(rate * STEP_S / (len(busy) if shared else 1)))
            said += self.obey(self.tick())
        return said

    def obey(self, commands: list[Command]) -> list[Command]:
        """Answer every Shrink and Cancel at once; all that was said, answers' consequences included."""
        said: list[Command] = []
        queue = list(commands)
        while queue:
            command = queue.pop(0)
            said.append(command)
            if isinstance(command, Shrink):
                lease = self.scheduler.roster.leases[command.lease]
                queue += self.tell(Shrunk(lease.id, max(command.end, lease.position)))
            elif isinstance(command, Cancel):
                lease = self.scheduler.roster.leases[command.lease]
                for each in list(lease.lane.leases):
                    queue += self.tell(Failed(each.id, each.position, command.kind))
        return said

    def advance(self, lane: Lane, count: int) -> list[Command]:
        """The lane brings so many bytes, over as many of its leases as it takes."""
        said: list[Command] = []
        while count and (lease := lane.running):
            step = min(count, lease.left_bytes)
            count -= step
            position = lease.position + step
            said += self.obey(self.tell(Moved(lease.id, position)))
            if lease.id in self.scheduler.roster.leases and position >= lease.end:
                said += self.obey(self.tell(Ended(lease.id, position)))
            elif not step:
                break
        return said


def of(kind: type[C], commands: list[Command]) -> list[C]:
    """The commands of one kind."""
    return [command for command in commands if isinstance(command, kind)]


def fetched(commands: list[Command], source: int | None = None) -> RangeSet:
    """The bytes that the commands ask for, of one source or of all."""
    fetches = [each for each in of(Fetch, commands) if source in (None, each.source)]
    return RangeSet((each.start, each.end) for each in fetches)


def asked_lanes(commands: list[Command]) -> int:
    """How many lanes are asked for something."""
    return len({fetch.lane for fetch in of(Fetch, commands)})
