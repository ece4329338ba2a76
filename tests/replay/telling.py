"""A story told step by step: what a trace would say, without a scheduler."""

from __future__ import annotations

from thunderdl.core.protocol import Command, Ended, Event, Fetch, SourceOpened
from thunderdl.core.ranges import RangeSet
from thunderdl.core.tracing import Begun, Step
from thunderdl.replay.story import Story

MIB = 1024 * 1024
START_S = 1000.0


class Telling:
    """``story`` of a file of ``size`` bytes; times are seconds since its start."""

    def __init__(self, size: int = 100 * MIB, *, sources: int = 2, filled: RangeSet | None = None) -> None:
        names = {number: f"https://mirror{number}.example.org/f.iso" for number in range(1, sources + 1)}
        settings: dict[str, object] = {"size": size, "filled": filled or RangeSet()}
        self.story = Story(Begun(name=names[1], seed=1, settings=settings, sources=names))
        self._leases = 0

    def tell(self, at: float, heard: Event, *said: Command) -> None:
        self.story.take(Step(START_S + at, heard, said))

    def open(self, at: float, source: int, lane: int) -> None:
        opened = SourceOpened(source=source, host=f"h{source}", lane=lane, start=0, end=0, latency_s=0.1)
        self.tell(at, opened)

    def fetch(self, at: float, source: int, lane: int, start: int, end: int, heard: Event) -> int:
        self._leases += 1
        self.tell(at, heard, Fetch(self._leases, source, lane, start, end))
        return self._leases

    def end(self, at: float, lease: int, position: int, *said: Command) -> None:
        self.tell(at, Ended(lease, position), *said)
