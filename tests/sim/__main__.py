"""``python -m tests.sim``: one world in words, or the distribution over many."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields

from tests.sim.campaign import campaign
from tests.sim.generate import random_script
from tests.sim.script import Script, SourceScript
from tests.sim.world import Log, Outcome, World
from thunderdl.engine.tracing import Trace

USUAL = {each.name: each.default for each in fields(SourceScript)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description="Play the scheduler in scripted worlds.")
    parser.add_argument("--seed", type=int, help="play this world and tell of it")
    parser.add_argument("--log", action="store_true", help="with --seed: every event and command")
    parser.add_argument("--trace", metavar="FILE", help="with --seed: write a trace for `thunderdl replay`")
    parser.add_argument("--worlds", type=int, default=2000, help="how many worlds to play")
    parser.add_argument("--first", type=int, default=0, help="the first of their seeds")
    asked = parser.parse_args()
    if asked.seed is None:
        sys.stdout.write(campaign(asked.worlds, asked.first) + "\n")
        return
    script = random_script(asked.seed)
    sys.stdout.write(described(script) + "\n")
    log = _write if asked.log else None
    sys.stdout.write(told(traced(script, asked.trace, log) if asked.trace else World(script, log=log).run()) + "\n")


def _write(now: float, line: str) -> None:
    sys.stdout.write(f"{now:9.4f} {line}\n")


def traced(script: Script, path: str, log: Log | None = None) -> Outcome:
    """The world, with what its scheduler heard and said in the file."""
    trace = Trace(path)
    try:
        sources = {source.id: f"sim://{source.host}/world-{script.seed}" for source in script.sources}
        return World(script, log=log, make=trace.scheduler(sources)).run()
    finally:
        trace.close()


def described(script: Script) -> str:
    """The script, a line for each source."""
    lines = [f"{script.size / 1e6:.3f} MB in pieces of {script.align // 1024} KiB, ideal {script.ideal_s():.2f} s"]
    for source in script.sources:
        facts = [
            f"{source.rtt_s * 1000:.0f} ms",
            "rates " + " ".join(f"{r:.3g}@{at:.1f}" for at, r in source.rates[:8]),
        ]
        facts += [
            f"{name} " + " ".join(f"{span.start:.1f}-{span.end:.1f}" for span in spans)
            for name, spans in (("dark", source.dark), ("dead", source.dead), ("busy", source.busy)) if spans
        ]  # fmt: skip
        for name in ("lane_limit", "max_connections", "corrupt", "answer_bytes", "opens_after_s", "retry_after_s"):
            value, usual = getattr(source, name), USUAL[name]
            if value != usual:
                facts.append(f"{name} {value:.3g}")
        lines.append(f"{source.id:3} " + ", ".join(facts))
    return "\n".join(lines)


def told(outcome: Outcome) -> str:
    """How it went."""
    how = "complete" if outcome.complete else "INCOMPLETE"
    return (
        f"{how} in {outcome.time_s:.2f} s of {outcome.ideal_s:.2f} ({outcome.ratio:.3f}); fetched twice "
        f"{outcome.waste:.2%}, wrong {outcome.wrong_bytes / outcome.size:.2%}; {outcome.events} events, "
        f"{outcome.commands} commands; most lanes {outcome.most_lanes}"
    )


if __name__ == "__main__":
    main()
