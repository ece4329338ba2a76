"""The time in which a file could have come through, everything that happens taken into account. Pure.

The links' buckets let a full bucket (64 KB each) through at once, and a dead server's last bytes are still in its
socket: a tool can therefore come a little below this.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.link import GOODPUT
from tests.lab.scenarios import Content, Scenario, Turn


@dataclass(slots=True)
class _State:
    rate_mbit: float
    dark: bool = False
    dead: bool = False

    @property
    def bytes_per_s(self) -> float:
        return 0.0 if self.dark or self.dead else self.rate_mbit * 1e6 / 8 * GOODPUT

    def take(self, to: float | Turn) -> None:
        if not isinstance(to, Turn):
            self.rate_mbit = to
        elif to in (Turn.DARK, Turn.LIGHT):
            self.dark = to is Turn.DARK
        else:
            self.dead = to is Turn.DIES


def ideal_s(scenario: Scenario) -> float:
    """Seconds, of the links' goodput over time; a mirror that serves anything but the right bytes counts nothing.

    ValueError where the file never comes through.
    """
    states = [_State(mirror.rate_mbit, dead=mirror.starts_dead) for mirror in scenario.mirrors]
    useful = [s for s, m in zip(states, scenario.mirrors, strict=True) if m.content is Content.RIGHT]
    at_s, left_bytes = 0.0, float(scenario.size_bytes)
    for happening in sorted(scenario.happenings, key=lambda happening: happening.at_s):
        rate = sum(state.bytes_per_s for state in useful)
        if left_bytes <= rate * (happening.at_s - at_s):
            return at_s + left_bytes / rate
        left_bytes -= rate * (happening.at_s - at_s)
        at_s = happening.at_s
        states[happening.mirror].take(happening.to)
    rate = sum(state.bytes_per_s for state in useful)
    if not rate:
        raise ValueError(f"{scenario.name}: it ends without a mirror")
    return at_s + left_bytes / rate
