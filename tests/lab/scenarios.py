"""What the lab plays: mirrors, sizes, and what happens to them while a download runs. Values only.

Rates are those of the links, in Mbit/s; the ideal is worked out from them in :mod:`tests.lab.ideal`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

MB = 1_000_000


class Turn(enum.Enum):
    """What may happen to a mirror or seed, besides another rate of its link."""

    DARK = "its link drops every frame, silently"
    LIGHT = "its link carries again"
    DIES = "its server is killed"
    RETURNS = "its server is started"


class Content(enum.Enum):
    """What a mirror or seed serves under the file's name."""

    RIGHT = "right"
    WRONG = "bytes flipped all over it, its validators as the others'"
    OTHER = "another version of equal size, its validators other too"
    FIFTIETH = "bytes flipped in one of 50 pieces, its validators as the others'"


class Check(enum.Enum):
    """What the tool is given to check the file with."""

    NOTHING = "nothing"
    SHA256 = "sha-256"
    PIECES = "piece hashes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """``connection_bytes_per_s``: nginx's limit for each connection, 0 for none; ``connections``: how many one
    client may have, 0 for any number, each further one refused with ``refusal``; ``midway``: the bottleneck is at a
    switch on the way instead of the server's own interface."""

    rate_mbit: float
    connection_bytes_per_s: int = 0
    connections: int = 0
    refusal: int = 503
    content: Content = Content.RIGHT
    starts_dead: bool = False
    midway: bool = False


class SeedProgram(enum.Enum):
    """What a seed is made with."""

    LIBTORRENT = "libtorrent"
    TRANSMISSION = "transmission"
    ARIA2 = "aria2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A BitTorrent peer that has all of the file, or thinks so: only libtorrent's can be made to seed wrong bytes."""

    rate_mbit: float
    program: SeedProgram = SeedProgram.LIBTORRENT
    content: Content = Content.RIGHT
    starts_dead: bool = False
    midway: bool = False


@dataclass(frozen=True, slots=True)
class Happening:
    """At ``at_s`` after the tool was started, ``member``'s link gets another rate, or it takes a turn."""

    at_s: float
    member: int
    to: float | Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """``fails``: whether something goes wrong in it, which costs a few per cent at best; ``seeds``: with any, the
    tools get a torrent and the mirrors' URLs."""

    name: str
    mirrors: tuple[Mirror, ...]
    seeds: tuple[Seed, ...] = ()
    size_bytes: int = 100 * MB
    happenings: tuple[Happening, ...] = ()
    fails: bool = False
    check: Check = Check.NOTHING

    @property
    def members(self) -> tuple[Mirror | Seed, ...]:
        """As happenings count them: the mirrors, then the seeds."""
        return (*self.mirrors, *self.seeds)


def of_rates(*rates_mbit: float) -> tuple[Mirror, ...]:
    """Plain mirrors with links of these rates."""
    return tuple(Mirror(rate_mbit=rate) for rate in rates_mbit)


_FOUR = of_rates(50, 50, 50, 50)
_LONG_S = 400
"""For happenings that repeat: longer than any tool is waited for."""


def _flapping(mirrors: int, period_s: int, dark_s: float) -> tuple[Happening, ...]:
    """Each link is dark for ``dark_s`` of every period, one after the other."""
    turns = []
    for mirror in range(mirrors):
        for begins in range(0, _LONG_S, period_s):
            at_s = begins + 1 + mirror * period_s / mirrors
            turns += [Happening(at_s, mirror, Turn.DARK), Happening(at_s + dark_s, mirror, Turn.LIGHT)]
    return tuple(turns)


def _rotating(rates_mbit: tuple[float, ...], every_s: int) -> tuple[Happening, ...]:
    """The rates go round among the mirrors: their sum stays."""
    count = len(rates_mbit)
    return tuple(
        Happening(at_s, mirror, rates_mbit[(mirror + turn) % count])
        for turn, at_s in enumerate(range(every_s, _LONG_S, every_s), 1)
        for mirror in range(count)
    )


def _all(mirrors: int, at_s: float, turn: Turn) -> tuple[Happening, ...]:
    return tuple(Happening(at_s, mirror, turn) for mirror in range(mirrors))


_TWELVE = tuple(round(0.5 * 100 ** (step / 11), 2) for step in range(12))
_ROTATED = (5.0, 20.0, 60.0, 115.0)

SCENARIOS = (
    Scenario(name="4 × 50", mirrors=_FOUR),
    Scenario(name="100 / 50 / 20 / 5", mirrors=of_rates(100, 50, 20, 5)),
    Scenario(
        name="100 / 50 / 20 / 5, bottlenecks on the way",
        mirrors=tuple(Mirror(rate_mbit=rate, midway=True) for rate in (100, 50, 20, 5)),
    ),
    Scenario(name="160 / 2", mirrors=of_rates(160, 2)),
    Scenario(name="twelve mirrors, 50 to 0.5", mirrors=of_rates(*reversed(_TWELVE))),
    Scenario(
        name="4 × 50, 1 MB/s for each connection",
        mirrors=tuple(Mirror(rate_mbit=50, connection_bytes_per_s=MB) for _ in range(4)),
    ),
    Scenario(
        name="4 × 50, few connections for a client",
        mirrors=(
            Mirror(rate_mbit=50, connections=1), Mirror(rate_mbit=50, connections=2),
            Mirror(rate_mbit=50, connections=1, refusal=429), Mirror(rate_mbit=50, connections=3, refusal=429),
        ),
    ),
    Scenario(name="5 to 115, changing every 2 s", mirrors=of_rates(*_ROTATED), happenings=_rotating(_ROTATED, 2)),
    Scenario(
        name="3 × 10, one rises to 150 at 2 s", mirrors=of_rates(10, 10, 10), happenings=(Happening(2, 1, 150.0),)
    ),
    Scenario(name="4 × 50, one falls to 0.1 at 2 s", mirrors=_FOUR, happenings=(Happening(2, 1, 0.1),), fails=True),
    Scenario(name="4 × 50, one dies at 2 s", mirrors=_FOUR, happenings=(Happening(2, 1, Turn.DIES),), fails=True),
    Scenario(name="4 × 50, one dark from 2 s", mirrors=_FOUR, happenings=(Happening(2, 1, Turn.DARK),), fails=True),
    Scenario(
        name="4 × 50, bottlenecks on the way, one dark from 2 s",
        mirrors=tuple(Mirror(rate_mbit=50, midway=True) for _ in range(4)),
        happenings=(Happening(2, 1, Turn.DARK),),
        fails=True,
    ),
    Scenario(
        name="4 × 50, one dies at 1 s and returns at 3 s",
        mirrors=_FOUR,
        happenings=(Happening(1, 1, Turn.DIES), Happening(3, 1, Turn.RETURNS)),
        fails=True,
    ),
    Scenario(
        name="4 × 50, the first comes at 2 s",
        mirrors=(Mirror(rate_mbit=50, starts_dead=True), *_FOUR[1:]),
        happenings=(Happening(2, 0, Turn.RETURNS),),
        fails=True,
    ),
    Scenario(
        name="4 × 50 flapping, each dark 2 s of 5", mirrors=_FOUR, happenings=_flapping(4, 5, 2), fails=True
    ),
    Scenario(
        name="4 × 50, all dark from 2 to 22 s",
        mirrors=_FOUR,
        happenings=_all(4, 2, Turn.DARK) + _all(4, 22, Turn.LIGHT),
        fails=True,
    ),
    Scenario(
        name="4 × 50, one has another version",
        mirrors=(*_FOUR[:3], Mirror(rate_mbit=50, content=Content.OTHER)),
        fails=True,
    ),
    Scenario(
        name="4 × 50, one has another version, sha-256 given",
        mirrors=(*_FOUR[:3], Mirror(rate_mbit=50, content=Content.OTHER)),
        fails=True,
        check=Check.SHA256,
    ),
    Scenario(
        name="4 × 50, one sends wrong bytes, piece hashes given",
        mirrors=(*_FOUR[:3], Mirror(rate_mbit=50, content=Content.WRONG)),
        fails=True,
        check=Check.PIECES,
    ),
)  # fmt: skip


def selected(words: str, known: tuple[Scenario, ...] = SCENARIOS) -> tuple[Scenario, ...]:
    """The scenarios whose name holds one of the comma-separated ``words``; ValueError where there is none."""
    wanted = [word.strip() for word in words.split(",") if word.strip()]
    found = tuple(scenario for scenario in known if any(word in scenario.name for word in wanted))
    if not found:
        raise ValueError(f"no scenario has {words!r} in its name")
    return found
