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
FRESH_HALF_LIFE_S = 0.3
JUMP = 2.0
# Latency grows with the queue of a busy link (0.3 ms idle, 0.1 s busy on a shaped 50 Mbit/s), hardly beyond this.
OUTLIER, OUTLIER_S = 4.0, 0.5
# Below this a sample says more of scheduling noise than of the path.
MIN_SAMPLE_S = 0.02


class _Average:
    """Exponential average over time, corrected for its short past: right from the first sample on."""

    __slots__ = ("_half_life_s", "_sum", "_weight")

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._sum = self._weight = 0.0

    def add(self, value: float, elapsed_s: float) -> float:
        keep = math.exp2(-elapsed_s / self._half_life_s)
        self._sum = self._sum * keep + value * (1 - keep)
        self._weight = self._weight * keep + (1 - keep)
        return self._sum / self._weight


class RateEstimate:
    """Goodput of one lane in bytes a second, over the time in which it was to bring bytes.

    ``mean``: as of late; ``safe``: what it is likely to keep, mean less deviation, never under a quarter of the
    mean; ``known``: whether it has brought anything. Plain attributes, worked out when a sample comes: they are
    read many times for each.
    """

    __slots__ = ("_bytes", "_calm", "_deviation", "_elapsed_s", "_fresh", "_quick", "_since", "known", "mean", "safe")

    def __init__(self) -> None:
        self._quick, self._calm = _Average(QUICK_HALF_LIFE_S), _Average(CALM_HALF_LIFE_S)
        self._deviation, self._fresh = _Average(CALM_HALF_LIFE_S), _Average(FRESH_HALF_LIFE_S)
        self._since: float | None = None
        self._bytes, self._elapsed_s = 0, 0.0
        self.known = False
        self.mean = self.safe = 0.0

    def begin(self, at: float) -> None:
        """From ``at`` on bytes are due: the time between the last sample and then says nothing of the rate."""
        self._since = at

    def add(self, count_bytes: int, now: float) -> None:
        """``count_bytes`` more came in. Samples shorter than MIN_SAMPLE_S are gathered first."""
        since = now if self._since is None else self._since
        self._bytes += count_bytes
        if now >= since:
            self._elapsed_s += now - since
            self._since = now
        elapsed = self._elapsed_s
        if elapsed < MIN_SAMPLE_S:
            if self.known or not self._bytes:
                return
            # A first guess, low rather than none.
            elapsed = MIN_SAMPLE_S
        self._sample(self._bytes / elapsed, elapsed)
        self._bytes, self._elapsed_s = 0, 0.0

    def _sample(self, rate: float, elapsed_s: float) -> None:
        deviation = self._deviation.add(abs(rate - self.mean), elapsed_s) if self.known else 0.0
        steady = (self._quick.add(rate, elapsed_s) + self._calm.add(rate, elapsed_s)) / 2
        fresh = self._fresh.add(rate, elapsed_s)
        self.mean = fresh if fresh * JUMP < steady or fresh > steady * JUMP else steady
        self.safe = max(self.mean - deviation, self.mean / 4)
        self.known = self.known or rate > 0


class LatencyEstimate:
    """Time from asking to the first byte, in seconds."""

    __slots__ = ("known", "value")

    def __init__(self, guess_s: float = 0.1) -> None:
        self.value, self.known = guess_s, False

    def add(self, sample_s: float) -> None:
        """One that is far above what it was so far counts in part: it was waited for through an outage."""
        if self.known:
            sample_s = min(sample_s, max(OUTLIER * self.value, OUTLIER_S))
            self.value += (sample_s - self.value) * 0.3
        else:
            self.value, self.known = sample_s, True
