"""What a source has shown of itself: goodput and latency, estimated from what the lanes report.

Two moving averages, one quick to follow and one calm: their mean reacts within seconds to a source that
falls, yet one burst out of a full socket buffer does not double a lease. Pure: time comes in as ``now``.
"""

from __future__ import annotations

import math

QUICK_HALF_LIFE_S = 2.0
CALM_HALF_LIFE_S = 10.0
# A third one only looks out for jumps: a source that gives less than half of its mean for a second has changed,
# and waiting for the means to follow costs more than being wrong about a burst.
FRESH_HALF_LIFE_S = 0.5
JUMP = 2.0
# Below this a sample says more of scheduling noise than of the path.
MIN_SAMPLE_S = 0.02


class _Average:
    """Exponential average over time, corrected for its short past: right from the first sample on."""

    __slots__ = ("_half_life_s", "_sum", "_weight")

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._sum = self._weight = 0.0

    def add(self, value: float, elapsed_s: float) -> None:
        keep = math.exp2(-elapsed_s / self._half_life_s)
        self._sum = self._sum * keep + value * (1 - keep)
        self._weight = self._weight * keep + (1 - keep)

    @property
    def value(self) -> float:
        return self._sum / self._weight if self._weight else 0.0


class RateEstimate:
    """Goodput of one source in bytes a second, from a running count of its bytes."""

    __slots__ = ("_bytes", "_calm", "_deviation", "_fresh", "_quick", "_since", "known")

    def __init__(self) -> None:
        self._quick, self._calm = _Average(QUICK_HALF_LIFE_S), _Average(CALM_HALF_LIFE_S)
        self._deviation, self._fresh = _Average(CALM_HALF_LIFE_S), _Average(FRESH_HALF_LIFE_S)
        self._since: float | None = None
        self._bytes = 0
        self.known = False

    def begin(self, now: float) -> None:
        """The source went from idle to busy: time before this moment says nothing of its rate."""
        self._since, self._bytes = now, 0

    def add(self, count_bytes: int, now: float) -> None:
        """``count_bytes`` more came in. Samples shorter than MIN_SAMPLE_S are gathered first."""
        if self._since is None:
            self._since = now
        self._bytes += count_bytes
        elapsed = now - self._since
        if elapsed < MIN_SAMPLE_S:
            if self.known or not self._bytes:
                return
            # A first guess, low rather than none.
            elapsed = MIN_SAMPLE_S
        sample = self._bytes / elapsed
        if self.known:
            self._deviation.add(abs(sample - self.mean), elapsed)
        self._quick.add(sample, elapsed)
        self._calm.add(sample, elapsed)
        self._fresh.add(sample, elapsed)
        self.known = self.known or sample > 0
        self._since, self._bytes = now, 0

    @property
    def mean(self) -> float:
        """Bytes a second, as of late."""
        steady, fresh = (self._quick.value + self._calm.value) / 2, self._fresh.value
        return fresh if fresh * JUMP < steady or fresh > steady * JUMP else steady

    @property
    def safe(self) -> float:
        """A rate that the source is likely to keep: mean less deviation, never under a quarter of the mean."""
        return max(self.mean - self._deviation.value, self.mean / 4)


class LatencyEstimate:
    """Time from asking to the first byte, in seconds."""

    __slots__ = ("_value", "known")

    def __init__(self, guess_s: float = 0.1) -> None:
        self._value, self.known = guess_s, False

    def add(self, sample_s: float) -> None:
        self._value = self._value * 0.7 + sample_s * 0.3 if self.known else sample_s
        self.known = True

    @property
    def value(self) -> float:
        return self._value
