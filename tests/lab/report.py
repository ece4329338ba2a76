"""The table, the targets and what was missed, made from the runs. Holds no host name and no local path."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.bench.report import processor
from tests.lab.ideal import ideal_s
from tests.lab.link import GOODPUT
from tests.lab.race import MOST_IDEALS, Run
from tests.lab.scenarios import MB, Scenario
from tests.lab.tools import OURS, RACERS, Racer


@dataclass(frozen=True, slots=True, kw_only=True)
class Aims:
    """What is aimed at: time / ideal where nothing fails and where something does, and what may come twice."""

    steady: float
    fault: float
    twice: float


MIRROR_AIMS = Aims(steady=1.03, fault=1.06, twice=0.01)
LEVEL = 0.005
"""So much of the ideal is no difference: two tools that are so near each other are equally fast."""


@dataclass(slots=True)
class Result:
    """All runs of one scenario, by racer; for one that has none, why."""

    scenario: Scenario
    runs: dict[str, list[Run]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def of_ideal(self, racer: str) -> float | None:
        """The median of time / ideal, None where a run failed or there is none."""
        runs = self.runs.get(racer, [])
        return statistics.median(run.of_ideal for run in runs) if runs and not _fault(runs) else None

    def twice(self, racer: str) -> float | None:
        runs = self.runs.get(racer, [])
        return statistics.median(run.twice for run in runs) if runs and not _fault(runs) else None

    @property
    def best_peer(self) -> tuple[str, float] | None:
        peers = [(name, of) for name in self.runs if name != OURS and (of := self.of_ideal(name)) is not None]
        return min(peers, key=lambda peer: peer[1], default=None)

    def missed(self, aims: Aims = MIRROR_AIMS) -> list[str]:
        """Which of the aims our program missed, in plain words."""
        runs = self.runs.get(OURS, [])
        if fault := _fault(runs):
            return [f"{fault} (in {sum(1 for run in runs if run.fault)} of {len(runs)} runs)"]
        time, twice, best = self.of_ideal(OURS), self.twice(OURS), self.best_peer
        target = aims.fault if self.scenario.fails else aims.steady
        found = [f"{time:.3f} of the ideal, not {target}"] if time is not None and time > target else []
        if time is not None and best and time > best[1] + LEVEL:
            found.append(f"slower than {best[0]} ({best[1]:.3f})")
        if twice is not None and twice > aims.twice:
            found.append(f"{twice:.1%} fetched twice")
        return found


def _fault(runs: Sequence[Run]) -> str:
    return next((run.fault for run in runs if run.fault), "")


def markdown(results: Sequence[Result], runs: int, peer_runs: int) -> str:
    """The whole page."""
    parts = ["# Mirrors on real TCP", _how(runs, peer_runs), facts(RACERS), table(results, RACERS), targets(results)]
    return "\n\n".join([*parts, "![Time of each tool over the ideal](bench-lab.png)"]) + "\n"


def _how(runs: int, peer_runs: int) -> str:
    others = "" if peer_runs == runs else f" (of the others {peer_runs})"
    return (
        "Made by `make bench-lab`. Each mirror is an nginx in a network namespace of its own, at the far end of a link "
        "that `tc tbf` shapes (bucket 64 KB, queue 100 ms; the servers' congestion control is cubic): at the server's "
        "own interface or, where the scenario says so, at a switch on the way, whose full queue delays and drops. "
        "Rates are those of the links in Mbit/s; where a limit, a fault or another rate stands beside them, that is "
        "what happens to them meanwhile.\n\n"
        f"Each figure is *time / ideal (fetched twice)*, the medians of {runs} runs{others}; behind ours the least "
        "and the most. The tools run in turn, each time in a lab laid anew. Time is that of the whole process, its "
        f"start too. The ideal is what the links' goodput ({GOODPUT:.3f} of the rate: 1448 of the 1514 bytes of each "
        "frame) could have brought, integrated over all that happens; a mirror that does not serve the right bytes "
        "counts nothing. *Fetched twice* is (TCP payload that crossed the links − size) / size: parts fetched again, "
        "what was on its way when a connection was cut, what TCP sent again, and the heads of the answers. "
        f"*> {MOST_IDEALS}*: ended after so many times the ideal. Every file that counts was byte-identical."
    )


def facts(racers: Sequence[Racer]) -> str:
    """What it ran on, and the versions of all."""
    kernel = ".".join(platform.release().split(".")[:2])
    present = [racer for racer in racers if not racer.absent()]
    versions = {racer.program: racer.version_line() for racer in present}
    facts = [
        f"{os.cpu_count()} × {processor()}, {platform.system()} {kernel}, Python {platform.python_version()}",
        *(f"{program}: {version}" for program, version in versions.items()),
    ]
    return "\n".join(f"- {fact}" for fact in facts)


def table(results: Sequence[Result], racers: Sequence[Racer]) -> str:
    """A row for each scenario, a column for each racer."""
    names = [racer.name for racer in racers]
    head = f"| scenario | ideal s | {' | '.join(names)} |"
    lines = [head, "| --- | ---: |" + " --- |" * len(names)]
    for result in results:
        cells = [_cell(result, name) for name in names]
        lines.append(f"| {title(result.scenario)} | {ideal_s(result.scenario):.2f} | {' | '.join(cells)} |")
    return "\n".join(["## Time / ideal (fetched twice)", "", *lines])


def title(scenario: Scenario) -> str:
    """Its name, and its size where that is not the usual one."""
    size = "" if scenario.size_bytes == 100 * MB else f" ({scenario.size_bytes // MB} MB)"
    return scenario.name + size


def _cell(result: Result, name: str) -> str:
    runs = result.runs.get(name, [])
    if not runs:
        return result.notes.get(name, "–").replace("|", "/")
    if fault := _fault(runs):
        return f"> {MOST_IDEALS}" if any(run.is_late for run in runs) else fault
    of, twice = result.of_ideal(name), result.twice(name)
    if name == OURS:
        span = f", {min(run.of_ideal for run in runs):.3f}–{max(run.of_ideal for run in runs):.3f}"
        return f"**{of:.3f}** ({twice:.1%}){span if len(runs) > 1 else ''}"
    return f"{of:.2f} ({twice:.1%})"


def targets(
    results: Sequence[Result], aims: Aims = MIRROR_AIMS, more: Callable[[Result], list[str]] = lambda result: [],
    told: str = "",
) -> str:  # fmt: skip
    """What was missed; ``more``: besides those of every scenario, ``told``: what is asked there."""
    told = (
        f"Targets: at most {aims.steady} of the ideal where nothing fails, {aims.fault} where something does, "
        f"{aims.twice:.0%} fetched twice, never slower than the best of the others (within {LEVEL} of the "
        f"ideal){told}."
    )
    lines = [
        f"- {result.scenario.name}: {'; '.join(missed)}"
        for result in results
        if (missed := result.missed(aims) + more(result))
    ]
    met = len(results) - len(lines)
    counted = f"{met} of {len(results)} scenarios meet all of them." + (" Missed:" if lines else "")
    return "\n\n".join(["## Targets", told, counted, *(["\n".join(lines)] if lines else [])])


def summary(result: Result, racers: Sequence[Racer] = RACERS) -> str:
    """One line for a terminal."""
    parts = [f"{racer.name} {_cell(result, racer.name)}" for racer in racers if racer.name in result.runs]
    return f"{result.scenario.name}: " + "; ".join(parts)
