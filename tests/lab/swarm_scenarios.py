"""What the lab plays with mirrors and seeds together. Values only.

Seeds are libtorrent's, which unchokes whoever is interested at once as long as it has a slot. Transmission and aria2
look every 10 s whom to unchoke (measured: 9.5 s from "interested" to "unchoke"), longer than most of these downloads:
with them, chance would be timed. One scenario has one of each, as swarms have.
"""

from __future__ import annotations

from tests.lab.ideal import ideal_s
from tests.lab.scenarios import MB, Content, Happening, Mirror, Scenario, Seed, SeedProgram, Turn, of_rates


def seeds_of(*rates_mbit: float) -> tuple[Seed, ...]:
    """libtorrent's, with links of these rates."""
    return tuple(Seed(rate_mbit=rate) for rate in rates_mbit)


_EVEN = Scenario(name="HTTP 50 + 50, seeds 50 + 50", mirrors=of_rates(50, 50), seeds=seeds_of(50, 50))
_HALF_S = round(ideal_s(_EVEN) / 2, 2)
"""Half of the ideal time of all four."""


def _leaving(*members: int) -> tuple[Happening, ...]:
    return tuple(Happening(_HALF_S, member, Turn.DIES) for member in members)


SWARM_SCENARIOS = (
    Scenario(name="HTTP 100, seeds 50 + 50", mirrors=of_rates(100), seeds=seeds_of(50, 50)),
    _EVEN,
    Scenario(name="HTTP 10, seeds 100 + 100", mirrors=of_rates(10), seeds=seeds_of(100, 100)),
    Scenario(name="HTTP 100, seed 2", mirrors=of_rates(100), seeds=seeds_of(2)),
    Scenario(
        name="HTTP 50 + 50, seeds 50 + 50 that leave half-way",
        mirrors=_EVEN.mirrors, seeds=_EVEN.seeds, happenings=_leaving(2, 3), fails=True,
    ),
    Scenario(
        name="HTTP 50 + 50 that die half-way, seeds 50 + 50",
        mirrors=_EVEN.mirrors, seeds=_EVEN.seeds, happenings=_leaving(0, 1), fails=True,
    ),
    Scenario(
        name="HTTP 50 + 50, one wrong in 1 of 50 pieces, seeds 50 + 50",
        mirrors=(*of_rates(50), Mirror(rate_mbit=50, content=Content.FIFTIETH)), seeds=_EVEN.seeds, fails=True,
    ),
    Scenario(
        name="HTTP 50 + 50, seeds 50 + 50, one wrong in 1 of 50 pieces",
        mirrors=_EVEN.mirrors, seeds=(*seeds_of(50), Seed(rate_mbit=50, content=Content.FIFTIETH)), fails=True,
    ),
    Scenario(name="seeds 50 + 50 alone", mirrors=(), seeds=seeds_of(50, 50)),
    Scenario(
        name="HTTP 50, seeds 50 + 50 + 50 of three programs",
        mirrors=of_rates(50), seeds=tuple(Seed(rate_mbit=50, program=program) for program in SeedProgram),
        size_bytes=300 * MB,
    ),
)  # fmt: skip
