"""From seconds and bytes to pixels, and where the marks of an axis stand. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps ``[low, high]`` onto pixels ``[start, end]``; ``end`` may be smaller (upwards)."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.start + (self.end - self.start) * min(max(share, 0.0), 1.0)


def time_marks(seconds: float, most: int) -> Iterator[float]:
    """At most ``most`` + 1 round times from 0 on."""
    step = 0.001
    steps = (f * 10.0**e for e in range(-3, 300) for f in (1, 2, 5))
    step = next((each for each in steps if each * most >= seconds), seconds or 1.0)
    return (step * n for n in range(int(seconds / step + 1e-9) + 1))


def byte_marks(high: float, most: int) -> Iterator[float]:
    """At most ``most`` + 1 round numbers of bytes from 0 on, round in the unit that they are shown in."""
    steps = (f * 1024.0**e for e in range(7) for f in _STEPS)
    step = next((each for each in steps if each * most >= high), high or 1.0)
    return (step * n for n in range(int(high / step + 1e-9) + 1))
