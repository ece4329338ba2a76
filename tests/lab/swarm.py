"""``python -m tests.lab.swarm``: mirrors and BitTorrent seeds together; writes docs/bench-swarm.md and .png."""

from __future__ import annotations

from tests.lab.contest import Contest, hold
from tests.lab.scenarios import SeedProgram
from tests.lab.swarm_report import SWARM_AIMS, markdown
from tests.lab.swarm_scenarios import SWARM_SCENARIOS
from tests.lab.swarm_tools import SWARM_RACERS

CONTEST = Contest(
    page="bench-swarm",
    scenarios=SWARM_SCENARIOS,
    racers=SWARM_RACERS,
    markdown=markdown,
    seeds=tuple(SeedProgram),
    aims=SWARM_AIMS,
)

if __name__ == "__main__":
    hold(CONTEST, "python -m tests.lab.swarm")
