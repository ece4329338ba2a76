"""The time in which a file could have come through, everything that happens taken into account. Pure.

The links' buckets let a full bucket (64 KB each) through at once, and a dead server's last bytes are still in its
socket: a tool can therefore come a little below this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.lab.link import GOODPUT
from tests.lab.scenarios import Content, Scenario, Turn

_USEFUL = (Content.RIGHT, Content.FIFTIETH)
_SUFFICES = 4


@dataclass(slots=True)
class _State:
    rate_mbit: float
    dark: bool = False
    dead: bool = False
    useless: bool = False

    @property
    def bytes_per_s(self) -> float:
        return 0.0 if self.dark or self.dead or self.useless else self.rate_mbit * 1e6 / 8 * GOODPUT

    def take(self, to: float | Turn) -> None:
        if not isinstance(to, Turn):
            self.rate_mbit = to
        elif to in (Turn.DARK, Turn.LIGHT):
            self.dark = to is Turn.DARK
        else:
            self.dead = to is Turn.DIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Ideal:
    """``brought_bytes``: what each member could have brought until then."""

    seconds: float
    brought_bytes: tuple[float, ...]

    def http_part(self, mirrors: int) -> float:
        """The share of the first ``mirrors`` members: their part of the bandwidth, over all that happened."""
        return sum(self.brought_bytes[:mirrors]) / sum(self.brought_bytes)


def ideal_s(scenario: Scenario) -> float:
    """The seconds of :func:`ideal_of`."""
    return ideal_of(scenario).seconds


def ideal_of(scenario: Scenario, *, without_http: bool = False) -> Ideal:
    """Of the links' goodput over time. A member whose bytes are all wrong counts nothing; one with wrong bytes in
    some pieces counts in full, as those pieces can be had from the others.

    ValueError where the file never comes through.
    """
    states = [_State(member.rate_mbit, dead=member.starts_dead) for member in scenario.members]
    for number, member in enumerate(scenario.members):
        if member.content not in _USEFUL or (without_http and number < len(scenario.mirrors)):
            states[number].useless = True
    at_s, brought = 0.0, [0.0] * len(states)
    for happening in (*sorted(scenario.happenings, key=lambda happening: happening.at_s), None):
        rates = [state.bytes_per_s for state in states]
        left_bytes, rate = scenario.size_bytes - sum(brought), sum(rates)
        if happening is None and not rate:
            break
        lasts_s = min(left_bytes / rate if rate else math.inf, happening.at_s - at_s if happening else math.inf)
        at_s += lasts_s
        brought = [was + each * lasts_s for was, each in zip(brought, rates, strict=True)]
        if happening is None or at_s < happening.at_s:
            return Ideal(seconds=at_s, brought_bytes=tuple(brought))
        states[happening.member].take(happening.to)
    raise ValueError(f"{scenario.name}: it ends without a mirror")


def seeds_suffice(scenario: Scenario) -> bool:
    """Whether the seeds alone would bring it in at most four times the ideal: a client without HTTP may then race."""
    try:
        return ideal_of(scenario, without_http=True).seconds <= _SUFFICES * ideal_s(scenario)
    except ValueError:
        return False
