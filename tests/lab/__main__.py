"""``python -m tests.lab``: mirrors only; writes docs/bench-lab.md and .png."""

from __future__ import annotations

from tests.lab.contest import Contest, hold
from tests.lab.report import markdown
from tests.lab.scenarios import SCENARIOS
from tests.lab.tools import RACERS

CONTEST = Contest(page="bench-lab", scenarios=SCENARIOS, racers=RACERS, markdown=markdown)

if __name__ == "__main__":
    hold(CONTEST, "python -m tests.lab")
