"""What the swarm brings beside the lanes: the part of the scheduler that stays away from it. Pure.

Who brings which piece is decided in :mod:`thunderdl.core.division`; here its outcome is kept to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from thunderdl.core.protocol import Beside, Brought, Command, Released, Reserved, Scarce
from thunderdl.core.staffing import Staffing

if TYPE_CHECKING:
    from thunderdl.core.division import Held


class Reserving(Staffing):
    """See :class:`thunderdl.core.scheduler.Scheduler`."""

    # -- what the exchange asks

    def held(self) -> list[Held]:
        """The leases at work, as the division sees them: not those that are being cut or given up."""
        # Who asks has loaded it; without a swarm nobody does, and 5 ms of each start are saved.
        from thunderdl.core.division import Held

        return [
            Held(
                position=lease.position, end=lease.end,
                rate_bytes_per_s=lease.lane.likely_rate() if lease.lane.rate.known else 0.0,
            )
            for lease in self.roster.leases.values() if lease.left_bytes and not lease.shrinking and not lease.cancelled
        ]  # fmt: skip

    def written_by_lanes(self) -> Iterator[tuple[int, int]]:
        """Ranges that lanes may still write in: whole leases, up to where they were asked for."""
        return ((lease.start, lease.asked_end) for lease in self.roster.leases.values())

    def lanes_rate(self, now: float) -> float:
        """What all lanes bring, bytes/s."""
        return self.roster.likely_rate(now)

    @property
    def has_source_at_work(self) -> bool:
        """Whether a source is there that is usable and not down."""
        return any(source.usable and not source.is_down for source in self.roster.sources.values())

    @property
    def has_hopeful_source(self) -> bool:
        """Whether a source is there that may still bring something: one without ranges begins at the beginning only."""
        hopeful = (each for each in self.roster.sources.values() if each.usable and not each.exhausted)
        return bool(self.roster.leases) or any(each.random_access or 0 in self.missing for each in hopeful)

    # -- events

    def _reserve(self, event: Reserved) -> list[Command]:
        self.reserved.add(event.start, event.end)
        self.missing.remove(event.start, event.end)
        return self._cut_back(event.start, event.end)

    def _release_reserved(self, event: Released) -> list[Command]:
        self.reserved.remove(event.start, event.end)
        for start, end in list(self.filled.gaps(event.start, event.end)):
            self.missing.add(start, end)
        for lease in self.roster.leases.values():
            self.missing.remove(lease.position, lease.end)
        return self._serve()

    def _brought(self, event: Brought) -> list[Command]:
        self.filled.add(event.start, event.end)
        self.reserved.remove(event.start, event.end)
        self.missing.remove(event.start, event.end)
        return self._cut_back(event.start, event.end)

    def _note_scarce(self, event: Scarce) -> list[Command]:
        self.scarce = event.starts
        return []

    def _beside(self, event: Beside) -> list[Command]:
        self._beside_rate = event.rate_bytes_per_s
        return []

    def _cut_back(self, start: int, end: int) -> list[Command]:
        """Leases that reach into ``[start, end)``, or lie in it, end before it; what they held behind it is missing
        again. One that went on over a piece of the swarm's would write over bytes that are proven."""
        return [
            self._shrink(lease, max(start, lease.position))
            for lease in self.roster.leases.values()
            if lease.position < end and start < lease.end and lease.left_bytes
            and not lease.shrinking and not lease.cancelled
        ]  # fmt: skip
