"""A contest: race the tools through the scenarios, print the table, write the page and its picture.

It reports; it never fails because something was slow. Files are written for a whole run only, or where ``--write``
asks for it, so that a quick look does not replace the record.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tests.lab.content import Contents, make_contents
from tests.lab.lab import why_not
from tests.lab.plot import save_plot
from tests.lab.race import Run, notes_of, run
from tests.lab.report import MIRROR_AIMS, Aims, Result, summary
from tests.lab.scenarios import Scenario, SeedProgram, selected
from tests.lab.tools import OURS, Racer

DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """``page``: its file's name in docs/, without suffix; ``markdown``: makes it of results, runs and peers' runs."""

    page: str
    scenarios: tuple[Scenario, ...]
    racers: tuple[Racer, ...]
    markdown: Callable[[Sequence[Result], int, int], str]
    seeds: tuple[SeedProgram, ...] = ()
    aims: Aims = MIRROR_AIMS


def hold(contest: Contest, program: str) -> None:
    """``program``: what was called, for the help."""
    asked = _arguments(contest, program)
    signal.signal(signal.SIGTERM, _as_exit)
    if why := why_not(contest.seeds):
        raise SystemExit(f"{contest.page}: {why}")
    results, peer_runs = [], min(asked.runs, asked.peer_runs or asked.runs)
    for scenario in asked.only:
        results.append(_raced(scenario, asked.runs, peer_runs, asked.tools))
        print(summary(results[-1], asked.tools), flush=True)
    text = contest.markdown(results, asked.runs, peer_runs)
    print(f"\n{text}")
    if asked.write or (asked.only == contest.scenarios and asked.tools == contest.racers):
        (DOCS / f"{contest.page}.md").write_text(text)
        save_plot(results, DOCS / f"{contest.page}.png", contest.racers, contest.aims)
        print(f"written: docs/{contest.page}.md, docs/{contest.page}.png")


def _raced(scenario: Scenario, runs: int, peer_runs: int, racers: tuple[Racer, ...]) -> Result:
    """The tools in turn, A B C A B C; one that failed is left out of the later rounds, but for ours."""
    result = Result(scenario, notes={racer.name: "absent" for racer in racers if racer.absent()})
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="thunderdl-lab-", dir=memory) as name:
        contents = make_contents(Path(name) / "contents", scenario.size_bytes)
        for number in range(1, runs + 1):
            for racer in racers:
                if racer.name not in result.notes and (number <= peer_runs or racer.name == OURS):
                    _one(racer, result, contents, f"{number}/{runs}")
    return result


def _one(racer: Racer, result: Result, contents: Contents, turn: str) -> None:
    done = run(racer, result.scenario, contents)
    if done is None:
        result.notes[racer.name] = "–"
        return
    result.runs.setdefault(racer.name, []).append(done)
    _tell(racer, result.scenario, done, turn)
    if done.fault and racer.name != OURS:
        result.notes[racer.name] = done.fault


def _tell(racer: Racer, scenario: Scenario, done: Run, turn: str) -> None:
    figures = f"{done.seconds:6.2f} s  {done.of_ideal:6.3f} of the ideal  {done.twice:6.2%} twice  {done.fault}"
    print(f"  {scenario.name}  {turn}  {racer.name:22} {figures}", file=sys.stderr, flush=True)
    if scenario.seeds:
        brought = " ".join(f"{each / 1e6:.1f}" for each in done.member_bytes)
        print(f"      MB over each link: {brought}", file=sys.stderr, flush=True)
    if racer.name == OURS:
        for note in notes_of(done.told):
            print(f"      {note}", file=sys.stderr, flush=True)


def _as_exit(number: int, frame: FrameType | None) -> None:
    """So that SIGTERM takes the lab down as Ctrl-C does."""
    raise SystemExit(128 + number)


def _arguments(contest: Contest, program: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=program, description="Race the tools on shaped links.")
    known, names = contest.scenarios, "\n".join(scenario.name for scenario in contest.scenarios)
    parser.add_argument(
        "--only", type=_scenarios(known), default=known, help="scenarios with one of these in the name, comma-separated"
    )
    parser.add_argument(
        "--tools", type=_racers(contest.racers), default=contest.racers, help="by name, comma-separated"
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each tool in each scenario (default 3)")
    parser.add_argument("--peer-runs", type=int, help="fewer runs of the other tools, which take most of the time")
    parser.add_argument("--write", action="store_true", help="write docs/ even though not everything ran")
    parser.add_argument("--list", action="version", version=names, help="the scenarios")
    return parser.parse_args()


def _scenarios(known: tuple[Scenario, ...]) -> Callable[[str], tuple[Scenario, ...]]:
    def read(words: str) -> tuple[Scenario, ...]:
        try:
            return selected(words, known)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _racers(known: tuple[Racer, ...]) -> Callable[[str], tuple[Racer, ...]]:
    def read(words: str) -> tuple[Racer, ...]:
        wanted = [word.strip() for word in words.split(",")]
        found = tuple(racer for racer in known if racer.name in wanted)
        if len(found) != len(wanted):
            raise argparse.ArgumentTypeError(f"the tools are {', '.join(racer.name for racer in known)}")
        return found

    return read
