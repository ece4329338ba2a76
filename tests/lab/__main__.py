"""``python -m tests.lab``: race the tools through the scenarios, print the table, write docs/bench-lab.md and .png.

It reports; it never fails because something was slow. Files are written for a whole run only, or where ``--write``
asks for it, so that a quick look does not replace the record.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from tests.lab.content import Contents, make_contents
from tests.lab.lab import why_not
from tests.lab.plot import save_plot
from tests.lab.race import Run, notes_of, run
from tests.lab.report import Result, markdown, summary
from tests.lab.scenarios import SCENARIOS, Scenario, selected
from tests.lab.tools import OURS, RACERS, Racer

DOCS = Path(__file__).parents[2] / "docs"


def main() -> None:
    asked = _arguments()
    signal.signal(signal.SIGTERM, _as_exit)
    if why := why_not():
        raise SystemExit(f"bench-lab: {why}")
    results, peer_runs = [], min(asked.runs, asked.peer_runs or asked.runs)
    for scenario in asked.only:
        results.append(_raced(scenario, asked.runs, peer_runs, asked.tools))
        print(summary(results[-1]), flush=True)
    text = markdown(results, asked.runs, peer_runs)
    print(f"\n{text}")
    if asked.write or (asked.only == SCENARIOS and asked.tools == RACERS):
        (DOCS / "bench-lab.md").write_text(text)
        save_plot(results, DOCS / "bench-lab.png")
        print("written: docs/bench-lab.md, docs/bench-lab.png")


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
    if racer.name == OURS:
        for note in notes_of(done.told):
            print(f"      {note}", file=sys.stderr, flush=True)


def _as_exit(number: int, frame: FrameType | None) -> None:
    """So that SIGTERM takes the lab down as Ctrl-C does."""
    raise SystemExit(128 + number)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description="Race the tools on shaped mirrors.")
    parser.add_argument(
        "--only", type=_scenarios, default=SCENARIOS, help="scenarios with one of these in the name, comma-separated"
    )
    parser.add_argument("--tools", type=_racers, default=RACERS, help="tools by name, comma-separated")
    parser.add_argument("--runs", type=int, default=3, help="runs of each tool in each scenario (default 3)")
    parser.add_argument("--peer-runs", type=int, help="fewer runs of the other tools, which take most of the time")
    parser.add_argument("--write", action="store_true", help="write docs/ even though not everything ran")
    parser.add_argument("--list", action="version", version="\n".join(s.name for s in SCENARIOS), help="the scenarios")
    return parser.parse_args()


def _scenarios(words: str) -> tuple[Scenario, ...]:
    try:
        return selected(words)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _racers(words: str) -> tuple[Racer, ...]:
    wanted = [word.strip() for word in words.split(",")]
    found = tuple(racer for racer in RACERS if racer.name in wanted)
    if len(found) != len(wanted):
        raise argparse.ArgumentTypeError(f"the tools are {', '.join(racer.name for racer in RACERS)}")
    return found


if __name__ == "__main__":
    main()
