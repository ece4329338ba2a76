"""The page of mirrors and seeds together: the table, HTTP's shares, what was missed. Holds no host name, no path."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tests.lab.ideal import ideal_of
from tests.lab.link import GOODPUT
from tests.lab.race import MOST_IDEALS
from tests.lab.report import Aims, Result, facts, table, targets, title
from tests.lab.swarm_tools import SWARM_RACERS
from tests.lab.tools import OURS

SHARE_TARGET = 0.15
SWARM_AIMS = Aims(steady=1.10, fault=1.15, twice=0.02)


def markdown(results: Sequence[Result], runs: int, peer_runs: int) -> str:
    """The whole page."""
    asked = f", HTTP's share within {SHARE_TARGET:.0%} of its part of the bandwidth"
    parts = [
        "# Mirrors and peers together", _how(runs, peer_runs), facts(SWARM_RACERS), table(results, SWARM_RACERS),
        _shares(results), targets(results, SWARM_AIMS, missed_share, asked),
    ]  # fmt: skip
    return "\n\n".join([*parts, "![Time of each tool over the ideal](bench-swarm.png)"]) + "\n"


def http_part(result: Result) -> float:
    """What HTTP's share of the file would be if every member brought what its link could until the ideal time."""
    return ideal_of(result.scenario).http_part(len(result.scenario.mirrors))


def http_share(result: Result, racer: str) -> float | None:
    """The median share of what crossed the links that came from mirrors; None where a run failed or there is none."""
    runs, mirrors = result.runs.get(racer, []), len(result.scenario.mirrors)
    if not runs or any(run.fault for run in runs):
        return None
    return statistics.median(run.http_share(mirrors) for run in runs)


def missed_share(result: Result) -> list[str]:
    """By how much our program missed HTTP's share, in plain words; nothing where there is no mirror."""
    part, share = http_part(result), http_share(result, OURS)
    if share is None or not part or abs(share / part - 1) <= SHARE_TARGET:
        return []
    return [f"{share:.1%} from HTTP, its part of the bandwidth is {part:.1%}"]


def _shares(results: Sequence[Result]) -> str:
    names = [racer.name for racer in SWARM_RACERS]
    lines = [f"| scenario | part of the bandwidth | {' | '.join(names)} |", "| --- | ---: |" + " ---: |" * len(names)]
    for result in results:
        shares = [http_share(result, name) for name in names]
        cells = ["–" if share is None else f"{share:.1%}" for share in shares]
        lines.append(f"| {title(result.scenario)} | {http_part(result):.1%} | {' | '.join(cells)} |")
    return "\n".join(["## From HTTP, of all that came", "", *lines])


def _how(runs: int, peer_runs: int) -> str:
    others = "" if peer_runs == runs else f" (of the others {peer_runs})"
    return (
        "Made by `make bench-swarm`. Each mirror is an nginx and each seed a BitTorrent client in a network namespace "
        "of its own, at the far end of a link that `tc tbf` shapes, as in [bench-lab](bench-lab.md). Rates are those "
        "of the links in Mbit/s. The torrent is v1, its pieces 1 MiB; its tracker names the seeds to every client at "
        "its first announce; DHT, local discovery and peer exchange are off. Seeds are libtorrent's, which unchoke "
        "at once; Transmission and aria2, of which one scenario has one each, do so when their 10 s are up, and the "
        "ideal does not wait for them.\n\n"
        f"Each figure is *time / ideal (fetched twice)*, the medians of {runs} runs{others}; behind ours the least "
        "and the most. The tools run in turn, each time in a lab laid anew. Time is that of the whole process, its "
        f"start too. The ideal is what the goodput of all links ({GOODPUT:.3f} of the rate) could have brought, "
        "integrated over all that happens; half-way is half of the ideal time of all members together. A member with "
        "wrong bytes in 1 of 50 pieces counts in full, as those pieces can be had from the others: a tool that "
        "drops it for its lie pays for that here. *Fetched twice* is (payload that crossed the links − size) / size. "
        f"*> {MOST_IDEALS}*: ended after so many times the ideal. Every file that counts was byte-identical. Plain "
        "libtorrent, with its own settings, has the mirrors as web seeds or not at all; without them it races only "
        "where the seeds alone would do in four times the ideal."
    )
