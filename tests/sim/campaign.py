"""Many worlds at once: their distribution."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor

from tests.sim.generate import random_script
from tests.sim.world import Outcome, World

# The books of many worlds are checked at each so many-th poll: errors stay in them, and looking costs a fifth.
CHECKED_EACH = 5


def play(seed: int) -> Outcome:
    """The world of this seed, its books checked once in a while."""
    try:
        return World(random_script(seed), strict=False, checked_each=CHECKED_EACH).run()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error


def play_many(seeds: Iterable[int]) -> list[Outcome]:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(play, seeds, chunksize=8))


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(outcomes: Sequence[Outcome], elapsed_s: float) -> str:
    """The distribution, and the worlds to look at."""
    shares = (0.05, 0.5, 0.9, 0.95, 0.99, 1.0)
    lines = [f"{len(outcomes)} worlds in {elapsed_s:.0f} s, {sum(not o.complete for o in outcomes)} incomplete"]
    lines.append(f"{'':24}" + "".join(f"{f'p{share * 100:g}':>9}" for share in shares))
    rows = (
        ("time / ideal", [o.ratio for o in outcomes], "{:9.3f}"),
        ("fetched twice / size", [o.waste for o in outcomes], "{:9.2%}"),
        ("events / s of world", [o.events / max(o.time_s, 1e-9) for o in outcomes], "{:9.0f}"),
    )
    lines += [f"{name:24}" + "".join(shown.format(quantile(of, s)) for s in shares) for name, of, shown in rows]
    worst = sorted(outcomes, key=lambda o: -o.ratio)[:12]
    lines.append("slowest: " + ", ".join(f"{o.seed} ({o.ratio:.2f})" for o in worst))
    worst = sorted(outcomes, key=lambda o: -o.waste)[:8]
    lines.append("most fetched twice: " + ", ".join(f"{o.seed} ({o.waste:.1%})" for o in worst))
    return "\n".join(lines)


def campaign(worlds: int, first: int = 0) -> str:
    begun = time.perf_counter()
    outcomes = play_many(range(first, first + worlds))
    return report(outcomes, time.perf_counter() - begun)
