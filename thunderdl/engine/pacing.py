"""Keeps the limits by the clock: the rate of all downloads and that of each one, a number or a timetable.

The decisions are in :mod:`thunderdl.core.limits` and :mod:`thunderdl.timetable`; here is the clock that they are
asked with. What peers bring counts, too: :mod:`thunderdl.engine.parting`, loaded with the first torrent.
Lives on the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from thunderdl.errors import UsageError, printable
from thunderdl.option_texts import parse_limit
from thunderdl.options import Options, check_limit
from thunderdl.sources.http.bucket import Meter, SharedLimit

if TYPE_CHECKING:
    from thunderdl.engine.parting import Fetcher, Parter, Tap
    from thunderdl.timetable import Timetable

# The wall clock may be set, or jump by an hour where summer ends: a timetable is looked at again after this long.
LOOK_AGAIN_S = 20.0
# No more than this is taken at a time where bytes pass through the control plane.
GULP_BYTES = 16 * 1024


def second_of_week() -> float:
    """Local wall time, as seconds since Monday 00:00."""
    now = time.time()
    local = time.localtime(now)
    return float(local.tm_wday * 86_400 + local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec) + now % 1


class Keeper:
    """Applies one limit, and a timetable's next rate when its time comes. ``clock``: see :func:`second_of_week`."""

    def __init__(self, apply: Callable[[int | None], None], clock: Callable[[], float] = second_of_week) -> None:
        self._apply, self._clock = apply, clock
        self._timer: asyncio.TimerHandle | None = None

    def keep(self, limit: int | Timetable | None) -> None:
        """Obey this limit from now on, instead of the one before."""
        self.close()
        if limit is None or isinstance(limit, int):
            self._apply(limit)
            return
        now = self._clock()
        self._apply(limit.rate_at(now))
        if (change_s := limit.changes_in_s(now)) is not None:
            self._timer = asyncio.get_running_loop().call_later(min(change_s, LOOK_AGAIN_S), self.keep, limit)

    def close(self) -> None:
        """Keep nothing any more; the rate of the moment stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Pacing:
    """The limits of one session."""

    def __init__(self, limit: int | Timetable | None) -> None:
        self._shared = SharedLimit(None)
        self._rate: int | None = None
        self._parter: Parter | None = None
        self._keeper = Keeper(self._settle)
        self._keeper.keep(limit)

    @property
    def limited(self) -> bool:
        """Whether a limit over all downloads holds now."""
        return self._shared.limited

    def change(self, limit: int | str | Timetable | None) -> None:
        """Another limit over all downloads. Raises UsageError."""
        self._keeper.keep(checked_limit("limit", limit))

    def pace(self, options: Options) -> Pace:
        """For one more download."""
        return Pace(self, self._shared.meter(weight=options.priority.weight), options.task_limit)

    def parter(self) -> Parter:
        """What divides the limits between movers and torrents; made when first needed."""
        if self._parter is None:
            from thunderdl.engine.parting import Parter

            self._parter = Parter(self._shared)
            self._parter.change(self._rate)
        return self._parter

    def close(self) -> None:
        self._keeper.close()
        if self._parter is not None:
            self._parter.close()

    def _settle(self, rate: int | None) -> None:
        self._rate = rate
        if self._parter is None:
            self._shared.change(rate)
        else:
            self._parter.change(rate)


class Pace:
    """The limits as one download sees them. ``meter``: what its bytes are asked from."""

    def __init__(self, pacing: Pacing, meter: Meter, limit: int | Timetable | None) -> None:
        self._pacing, self.meter = pacing, meter
        self._rate: int | None = None
        self._tap: Tap | None = None
        self._keeper: Keeper | None = None
        if limit is not None:
            self.change(limit)

    def change(self, limit: int | Timetable | None) -> None:
        """Another limit for this download alone."""
        self._keeper = self._keeper or Keeper(self._settle)
        self._keeper.keep(limit)

    def include(self, fetcher: Fetcher) -> None:
        """A torrent is about to fetch a part of the download: the limits are over both from now on."""
        from thunderdl.engine.parting import Tap

        self.exclude()
        self._tap = Tap(fetcher, self.meter, self._rate)
        self._pacing.parter().join(self._tap)

    def exclude(self) -> None:
        """The torrent fetches nothing more."""
        tap, self._tap = self._tap, None
        if tap is not None:
            self._pacing.parter().leave(tap)

    @property
    def holds_torrent_back(self) -> bool:
        """Whether the torrent of the download has a limit to keep to, and comes up to it."""
        return self._tap is not None and self._tap.is_at_its_limit

    def weigh(self, weight: float) -> None:
        """Another part beside the other downloads."""
        self.meter.weigh(weight)

    def _settle(self, rate: int | None) -> None:
        self._rate = rate
        if self._tap is None:
            self.meter.change(rate)
        else:
            self._tap.own_limit = rate
            self._pacing.parter().tell()

    async def passed(self, count_bytes: int) -> None:
        """Wait until the limits let so many bytes pass that came another way than through the movers."""
        while count_bytes > 0 and self.meter.limited:
            granted, wait_s = self.meter.take(id(self), min(count_bytes, GULP_BYTES))
            count_bytes -= granted
            if wait_s:
                await asyncio.sleep(wait_s)

    def close(self) -> None:
        """The download has ended."""
        if self._keeper is not None:
            self._keeper.close()
        self.exclude()
        self.meter.close()


class Sharer(Protocol):
    """What sends to peers by itself."""

    def limit_uploads(self, bytes_per_s: int) -> None:
        """Send no more than this from now on; 0 for no limit."""


class Uploads:
    """The limit of what peers have from one torrent. ``sharer``: told of it, and of each change."""

    def __init__(self, sharer: Sharer, limit: int | Timetable | None) -> None:
        self._keeper = Keeper(lambda rate: sharer.limit_uploads(rate or 0))
        self._keeper.keep(limit)

    def change(self, limit: int | Timetable | None) -> None:
        """Another limit, from now on."""
        self._keeper.keep(limit)

    def close(self) -> None:
        """It sends nothing any more."""
        self._keeper.close()


def checked_limit(name: str, limit: int | str | Timetable | None) -> int | Timetable | None:
    """A limit as the library's user writes it: a number, text as on the command line, a timetable; 0: none.

    Raises UsageError.
    """
    if isinstance(limit, str):
        try:
            return parse_limit(limit)
        except ValueError as error:
            raise UsageError(f"{name}: {printable(limit)[:80]!r}: {error}.") from None
    limit = limit or None
    check_limit(name, limit)
    return limit
