"""What a loopback server allows, and its pace."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

TICK_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server allows. None: no limit.

    ``connections``: further ones are answered 429. ``requests_per_connection``: closes after so many.
    ``dies_at_bytes``: stops listening and resets everything once it has sent so many bytes of bodies in all.
    """

    rate_bytes_per_s: float | None = None
    connection_rate_bytes_per_s: float | None = None
    latency_s: float = 0.0
    connections: int | None = None
    requests_per_connection: int | None = None
    dies_at_bytes: int | None = None


class Pace:
    """Spreads bytes over time; shared by whoever shares the rate."""

    def __init__(self, rate_bytes_per_s: float | None) -> None:
        self._rate = rate_bytes_per_s
        self._free_at = 0.0
        self._lock = threading.Lock()

    def block_bytes(self) -> int:
        """What 10 ms are worth."""
        return 1 << 20 if self._rate is None else max(1, int(self._rate * TICK_S))

    def delay_s(self, sent_bytes: int) -> float:
        """How long to wait after sending so many bytes."""
        if self._rate is None:
            return 0.0
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + sent_bytes / self._rate
            return self._free_at - now
