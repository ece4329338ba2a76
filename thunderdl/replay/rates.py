"""Bytes over time, for each source: so many equal stretches of time, which grow where a download lasts longer. Pure."""

from __future__ import annotations

FIRST_WIDTH_S = 0.05
MOST_BINS = 1200


class Rates:
    """``begin``: the moment of the first bin, in seconds. Memory is bounded by MOST_BINS for each source."""

    def __init__(self, begin: float) -> None:
        self.begin, self.width_s = begin, FIRST_WIDTH_S
        self._bins: dict[int, list[float]] = {}

    @property
    def count(self) -> int:
        return max((len(bins) for bins in self._bins.values()), default=0)

    def add(self, source: int, start: float, end: float, count_bytes: int) -> None:
        """``count_bytes`` came evenly between ``start`` and ``end``."""
        start, end = max(0.0, start - self.begin), max(0.0, end - self.begin)
        while end >= self.width_s * MOST_BINS:
            self._coarsen()
        bins = self._bins.setdefault(source, [])
        first, last = int(start / self.width_s), int(end / self.width_s)
        bins += [0.0] * (last + 1 - len(bins))
        if first == last:
            bins[last] += count_bytes
            return
        for index in range(first, last + 1):
            low, high = max(start, index * self.width_s), min(end, (index + 1) * self.width_s)
            bins[index] += count_bytes * max(0.0, high - low) / (end - start)

    def of(self, source: int) -> list[float]:
        """Bytes a second in each bin, as many bins as there are for any source."""
        bins = self._bins.get(source, [])
        return [count / self.width_s for count in bins] + [0.0] * (self.count - len(bins))

    def _coarsen(self) -> None:
        self.width_s *= 2
        for source, bins in self._bins.items():
            self._bins[source] = [sum(bins[at : at + 2]) for at in range(0, len(bins), 2)]
