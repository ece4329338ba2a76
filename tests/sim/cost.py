"""``python -m tests.sim.cost``: what the scheduler's decisions cost in CPU, and how that grows.

Worlds as in the rest of the simulation, without faults: only the time within ``Scheduler.handle`` is measured, so
neither the scripted servers nor the engine count. A benchmark reports; it never fails because something was slow.
Files are written for a whole run only, or where ``--write`` asks for it.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.sim.campaign import quantile
from tests.sim.script import HOST_LANES, Script, SourceScript
from tests.sim.world import World
from thunderdl.core.protocol import Budget, Command, Event, Tick
from thunderdl.core.scheduler import Scheduler

PAGE = Path(__file__).parents[2] / "docs" / "bench-scheduler.md"
RATE = 1e9
GOAL_SHARE = 0.02
SOURCES, LANES = (4, 64, 512), (16, 64)
# Of the same file: only the number of pieces grows.
SPAN_S, PIECES = 20.0, (1_000, 10_000, 100_000, 1_000_000)
# Of pieces of the same size: the file grows with them.
PIECE_BYTES = 256 * 1024
KINDS = ("steady", "varied")
RTT_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """1 GB/s in all, for as long as ``pieces`` of ``align`` bytes take."""

    sources: int
    lanes: int
    pieces: int
    align: int
    kind: str

    @property
    def size(self) -> int:
        return self.pieces * self.align

    def script(self) -> Script:
        """``varied``: rates 1:10 that change twice a second; so many sources as there are lanes bring it all."""
        at_work = min(self.sources, self.lanes)
        rng = random.Random(f"{self.sources} {self.lanes} {self.kind}")
        sources = tuple(self._source(number, RATE / at_work, rng) for number in range(1, self.sources + 1))
        return Script(sources=sources, size=self.size, align=self.align, all_lanes=self.lanes)

    def _source(self, number: int, rate: float, rng: random.Random) -> SourceScript:
        rates = [(0.0, rate)]
        if self.kind == "varied":
            rate *= 10 ** rng.uniform(-0.5, 0.5)
            steps = int(1.5 * self.size / RATE / 0.5)
            rates = [(0.5 * step, rate * rng.uniform(0.7, 1.3)) for step in range(max(1, steps))]
        # Each connection is limited: as many as the budget allows are of use.
        limit = max(each for _, each in rates) / max(1, min(HOST_LANES, self.lanes // self.sources))
        return SourceScript(
            id=number, host=f"host{number}", rtt_s=RTT_S, rates=tuple(rates), lane_limit=limit,
            opens_after_s=0.001 * number,
        )  # fmt: skip


@dataclass(slots=True)
class Clock:
    """CPU seconds of each call of ``handle``, by what it was told."""

    ticks_s: list[float] = field(default_factory=list)
    others_s: list[float] = field(default_factory=list)

    def timed(self, **given: object) -> Scheduler:
        return _Timed(self, **given)


class _Timed(Scheduler):
    def __init__(self, clock: Clock, **given: object) -> None:
        super().__init__(**given)  # type: ignore[arg-type]
        self._clock = clock

    def handle(self, event: Event, now: float) -> list[Command]:
        begun = time.process_time()
        commands = super().handle(event, now)
        spent = time.process_time() - begun
        (self._clock.ticks_s if type(event) is Tick else self._clock.others_s).append(spent)
        return commands


class _Shared(World):
    """As the engine does, it reminds the scheduler of its budget where mirrors that open go beyond it."""

    def _open(self, number: int) -> None:
        super()._open(number)
        if len(self.scheduler.roster.lanes) > self.script.all_lanes:
            self.tell(Budget(self.script.all_lanes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one case took. ``ideal_ratio``: of the world's time, to see that it did its work."""

    case: Case
    events: int
    median_us: float
    p99_us: float
    tick_us: float
    cpu_s: float
    ideal_ratio: float
    memory_bytes: int

    @property
    def gigabytes(self) -> float:
        return self.case.size / 1e9

    @property
    def share(self) -> float:
        """Of one core, at RATE."""
        return self.cpu_s / self.gigabytes * RATE / 1e9


def measure(case: Case) -> Cost:
    clock = Clock()
    outcome = _Shared(case.script(), strict=False, checked_each=0, make=clock.timed).run()
    # Asking for the time is not the scheduler's doing.
    asking_s = _cost_of_asking()
    every = [max(0.0, each - asking_s) for each in (*clock.ticks_s, *clock.others_s)]
    return Cost(
        case=case, events=len(every), median_us=quantile(every, 0.5) * 1e6, p99_us=quantile(every, 0.99) * 1e6,
        tick_us=quantile(clock.ticks_s, 0.5) * 1e6, cpu_s=sum(every), ideal_ratio=outcome.ratio,
        memory_bytes=_memory(case),
    )  # fmt: skip


def _cost_of_asking() -> float:
    spans = []
    for _ in range(2000):
        begun = time.process_time()
        spans.append(time.process_time() - begun)
    return quantile(spans, 0.5)


def _memory(case: Case) -> int:
    """Bytes that Python holds for the scheduler's values after two seconds of the world."""
    begun = _Shared(case.script(), strict=False, checked_each=0)
    tracemalloc.start(1)
    try:
        begun.run(until_s=min(2.0, 0.8 * case.size / RATE))
        held = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/thunderdl/core/*")])
    finally:
        tracemalloc.stop()
    return sum(each.size for each in held.statistics("filename"))


# -- the page


def cases(*, quick: bool) -> tuple[list[Case], list[Case]]:
    """Where only the pieces grow, and where the file grows with them."""
    pieces, lanes, kinds = (PIECES[:2], LANES[1:], KINDS[:1]) if quick else (PIECES, LANES, KINDS)
    span = int(SPAN_S * RATE)
    same = [
        Case(sources=s, lanes=n, pieces=p, align=span // p, kind=kind)
        for kind in kinds for n in lanes for s in SOURCES for p in pieces
    ]  # fmt: skip
    grown = [
        Case(sources=s, lanes=LANES[1], pieces=p, align=PIECE_BYTES, kind=KINDS[0])
        for s in SOURCES for p in pieces
    ]  # fmt: skip
    return same, grown


def markdown(same: Sequence[Cost], grown: Sequence[Cost]) -> str:
    worst = max((cost for cost in same if cost.case.lanes == LANES[1]), key=lambda cost: cost.share)
    verdict = "kept" if worst.share < GOAL_SHARE else "missed"
    text = [
        "# What the scheduler costs",
        "Made by `make bench-scheduler`. One download at 1 GB/s from sources of a scripted world, no faults, round "
        f"trip {RTT_S * 1000:.0f} ms; the positions of all running lanes and a tick ten times a second, ends, first "
        "bytes and answers to orders as they come. Measured is the CPU time within `Scheduler.handle` alone. "
        "The mirrors of *steady* worlds are equal, those of *varied* ones 1:10 and different twice a second.",
        f"{platform.python_implementation()} {platform.python_version()}, {_processor()}.",
        f"Goal: below {GOAL_SHARE:.0%} of one core at 1 GB/s with {LANES[1]} lanes. It is {verdict}: the most is "
        f"{worst.share:.2%} ({worst.case.sources} sources, {worst.case.pieces:,} pieces, {worst.case.kind}).",
        f"## The same {SPAN_S:.0f} GB in more pieces",
        "\n".join(_table(same)),
        f"## More pieces of {PIECE_BYTES // 1024} KiB: larger files",
        "Short ones are all beginning: opening the lanes and learning their rates.",
        "\n".join(_table(grown)),
        "*Tick*: the median of what a tick takes, ten of them a second. *Memory*: what Python holds for the scheduler "
        "two seconds into the download, or towards its end where that is sooner. *Time / ideal*: of the world, to show "
        "that the work was done; the ideal knows every rate beforehand, so that with more varied mirrors than lanes it "
        "is out of reach.",
    ]
    return "\n\n".join(text) + "\n"


HEAD = (
    "rates", "sources", "lanes", "pieces", "events / GB", "median us / event", "p99 us", "tick us", "CPU s / GB",
    "of one core", "memory KB", "time / ideal",
)  # fmt: skip


def _table(costs: Sequence[Cost]) -> Iterator[str]:
    yield "| " + " | ".join(HEAD) + " |"
    yield "| --- |" + " ---: |" * (len(HEAD) - 1)
    for cost in costs:
        yield _row(cost)


def _row(cost: Cost) -> str:
    case = cost.case
    cells = (
        case.kind, str(case.sources), str(case.lanes), f"{case.pieces:,}", f"{cost.events / cost.gigabytes:,.0f}",
        f"{cost.median_us:.1f}", f"{cost.p99_us:,.0f}", f"{cost.tick_us:,.0f}", f"{cost.cpu_s / cost.gigabytes:.4f}",
        f"{cost.share:.2%}", f"{cost.memory_bytes / 1000:,.0f}", f"{cost.ideal_ratio:.3f}",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.cost", description="What the scheduler costs in CPU.")
    parser.add_argument("--quick", action="store_true", help="the smaller cases alone; writes nothing")
    parser.add_argument("--write", action="store_true", help="write docs/bench-scheduler.md after a quick run, too")
    asked = parser.parse_args()
    found: list[list[Cost]] = []
    for table in cases(quick=asked.quick):
        sys.stdout.write("\n".join(list(_table(()))) + "\n")
        found.append([])
        for case in table:
            found[-1].append(measure(case))
            sys.stdout.write(_row(found[-1][-1]) + "\n")
            sys.stdout.flush()
    text = markdown(*found)
    if asked.write or not asked.quick:
        PAGE.write_text(text, encoding="utf-8")
        sys.stdout.write(f"written: docs/{PAGE.name}\n")


if __name__ == "__main__":
    main()
