"""One run of one command: what it cost, and why it failed where it did."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of a whole process, its children included."""

    wall_s: float
    user_s: float
    system_s: float
    peak_bytes: int

    @property
    def cpu_s(self) -> float:
        return self.user_s + self.system_s


class RunFailed(Exception):
    """The command did not do what it was asked; the message says how."""


def clean_environment(home: Path) -> dict[str, str]:
    """The environment without proxies and with an empty home, so that nobody's settings get in."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    dirs = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home), "XDG_DATA_HOME": str(home)}
    # An installed program has its bytecode beside it: a setting that forbids that would be timed instead of the tool.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | dirs | {"NO_PROXY": "*", "LC_ALL": "C.UTF-8"}


def run(command: Sequence[str], folder: Path, home: Path, limit_s: int) -> Cost:
    """Run to the end in ``folder``; RunFailed for an exit status that is not 0 and for more than ``limit_s``."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(_LAUNCH), str(limit_s), *command],
        cwd=folder,
        env=clean_environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    if done.returncode or not lines:
        raise RunFailed(f"could not be started ({lines[-1] if lines else done.returncode})")
    code, wall, user, system, peak = lines[-1].split()
    if code == "-9" and float(wall) >= limit_s:
        raise RunFailed(f"stopped after {limit_s} s")
    if code != "0":
        said = next((line.strip() for line in reversed(lines[:-1]) if line.strip()), "nothing")
        raise RunFailed(f"exit status {code}, said {said[:80]!r}")
    return Cost(wall_s=float(wall), user_s=float(user), system_s=float(system), peak_bytes=int(peak))


def median(costs: Sequence[Cost]) -> Cost:
    """Each figure's own median."""
    return Cost(
        wall_s=statistics.median(cost.wall_s for cost in costs),
        user_s=statistics.median(cost.user_s for cost in costs),
        system_s=statistics.median(cost.system_s for cost in costs),
        peak_bytes=int(statistics.median(cost.peak_bytes for cost in costs)),
    )
