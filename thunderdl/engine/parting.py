"""One limit over movers and torrents: what each may have is worked out anew a few times a second, and told to it.

The decisions are in :mod:`thunderdl.core.parting`: over all downloads the movers share with every torrent, within one
download its movers share with its torrent. Nothing runs here while no torrent is at work, or no limit holds.
Lives on the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Protocol

from thunderdl.core.limits import Flow
from thunderdl.core.parting import Part, Parting
from thunderdl.sources.http.bucket import Meter, SharedLimit

LOOK_S = 0.25
NEARLY = 0.8


class Fetcher(Protocol):
    """What fetches by itself and keeps to a rate."""

    def limit_downloads(self, bytes_per_s: int) -> None:
        """Fetch no more than this from now on; 0 for no limit."""

    async def received_bytes(self) -> int:
        """What it has fetched so far."""


class Tap:
    """One torrent at work, beside the movers of its download. ``own_limit``: of the download alone."""

    def __init__(self, fetcher: Fetcher, meter: Meter, own_limit: int | None) -> None:
        self.fetcher, self.meter, self.own_limit = fetcher, meter, own_limit
        self.in_all, self.own = Part(), Parting()
        self.movers, self.torrent = self.own.join(Part()), self.own.join(Part())
        self._told: int | None = None
        self._before = 0
        # Lately, where anybody counts.
        self.had_bytes_per_s = 0.0

    @property
    def is_at_its_limit(self) -> bool:
        """Whether the torrent brings about what it may."""
        return bool(self._told) and self.had_bytes_per_s > NEARLY * (self._told or 0)

    @property
    def is_limited(self) -> bool:
        return self.own_limit is not None

    async def had_bytes(self) -> int:
        """Since it was last asked."""
        before, self._before = self._before, await self.fetcher.received_bytes()
        # One that began anew counts from nothing.
        return self._before - before if self._before >= before else self._before

    def tell(self, shared_limit: int | None) -> None:
        """Divide the download's own limit, and have movers and torrent keep to all that holds for them."""
        self.own.divide(self.own_limit)
        self.meter.change(None if self.own_limit is None else self.movers.rate_bytes_per_s)
        rates = [self.in_all.rate_bytes_per_s] if shared_limit is not None else []
        rates += [self.torrent.rate_bytes_per_s] if self.own_limit is not None else []
        # libtorrent takes 0 for no limit.
        rate = max(1, int(min(rates))) if rates else 0
        if rate != self._told:
            self._told = rate
            self.fetcher.limit_downloads(rate)


class Parter:
    """The limit over all downloads, divided. ``shared``: the movers' side of it."""

    def __init__(self, shared: SharedLimit) -> None:
        self._shared = shared
        self._limit: int | None = None
        self._parting = Parting()
        self._movers = self._parting.join(Part())
        self._taps: dict[Tap, None] = {}
        self._task: asyncio.Task[None] | None = None

    def change(self, limit: int | None) -> None:
        """Another limit over all, from now on."""
        self._limit = limit
        self.tell()

    def join(self, tap: Tap) -> None:
        """A torrent is about to begin: it knows its rate before it does."""
        self._taps[tap] = None
        self._parting.join(tap.in_all)
        self.tell()

    def leave(self, tap: Tap) -> None:
        """It has ended; its movers have what is their download's alone."""
        if tap in self._taps:
            del self._taps[tap]
            self._parting.leave(tap.in_all)
            tap.meter.change(tap.own_limit)
            self.tell()

    def tell(self) -> None:
        """Divide, and have all keep to it."""
        self._parting.divide(self._limit)
        alone = not self._taps or self._limit is None
        self._shared.change(self._limit if alone else self._movers.rate_bytes_per_s)
        for tap in self._taps:
            tap.tell(self._limit)
        is_needed = bool(self._taps) and (self._limit is not None or any(tap.is_limited for tap in self._taps))
        if is_needed and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look_on())
        elif not is_needed:
            self.close()

    def close(self) -> None:
        """Divide no more; what was told stays."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            self._shared.count_no_more()

    async def _look_on(self) -> None:
        looked_at = time.monotonic()
        self._shared.count()
        while True:
            await asyncio.sleep(LOOK_S)
            taps = list(self._taps)
            by_torrents = dict(zip(taps, [await tap.had_bytes() for tap in taps], strict=True))
            by_movers, now = self._shared.count(), time.monotonic()
            self._note(by_torrents, by_movers, now - looked_at)
            looked_at = now
            self.tell()

    def _note(self, by_torrents: Mapping[Tap, int], by_movers: Mapping[Flow, int], elapsed_s: float) -> None:
        doubly = {tap.meter.flow for tap, had in by_torrents.items() if had and by_movers.get(tap.meter.flow)}
        # A download that has both has its weight once.
        weights = {flow: flow.weight / 2 if flow in doubly else flow.weight for flow, had in by_movers.items() if had}
        self._movers.weight = sum(weights.values()) or 1.0
        had: dict[Part, float] = {self._movers: sum(by_movers.values())}
        for tap, count_bytes in by_torrents.items():
            tap.in_all.weight = weights.get(tap.meter.flow, tap.meter.flow.weight)
            had[tap.in_all] = count_bytes
            # Over a second or so: libtorrent counts in lumps.
            tap.had_bytes_per_s += (count_bytes / elapsed_s - tap.had_bytes_per_s) / 4
            tap.own.note({tap.movers: by_movers.get(tap.meter.flow, 0), tap.torrent: count_bytes}, elapsed_s)
        self._parting.note(had, elapsed_s)
