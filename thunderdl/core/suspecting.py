"""Wrong bytes, and whose they are: the suspecting part of the scheduler. Pure.

Who alone brought a piece that does not match its hash is to blame; of several nobody is blamed for what another may
have done. The first proof puts a source on probation, the second bans it.
"""

from __future__ import annotations

from collections import Counter

from thunderdl.core.protocol import Blamed, Cleared, Command, Distrust, PieceBad, Suspected
from thunderdl.core.ranges import RangeSet
from thunderdl.core.reserving import Reserving
from thunderdl.core.roster import Source

# So many bad pieces of mixed origin, and those who had a part in most of them are looked at closely.
DOUBTFUL_PIECES = 3
# The same bytes wrong this often: the server has them so.
MOST_BAD_TIMES = 3


class Suspecting(Reserving):
    """See :class:`thunderdl.core.scheduler.Scheduler`."""

    def __init__(
        self, *, size: int, filled: RangeSet, align: int, host_lanes: int, all_lanes: int, begin_at: int = 0
    ) -> None:  # fmt: skip
        super().__init__(
            size=size, filled=filled, align=align, host_lanes=host_lanes, all_lanes=all_lanes, begin_at=begin_at
        )
        self._bad_times: Counter[int] = Counter()
        # Of pieces that were wrong and of mixed origin, by their start.
        self._suspects_of: dict[int, frozenset[int]] = {}

    def _piece_bad(self, event: PieceBad) -> list[Command]:
        self.filled.remove(event.start, event.end)
        self._miss(event.start, event.end)
        for lease in self.roster.leases.values():
            self.missing.remove(lease.position, lease.end)
        self._suspect(event)
        self._doubt()
        commands: list[Command] = []
        self._bad_times[event.start] += 1
        for source_id in event.culprits:
            commands += self._blamed(Blamed(source_id), bad_times=self._bad_times[event.start])
        return commands + self._serve()

    def _suspect(self, event: PieceBad) -> None:
        """Note who had a part in it, and who is to keep away from these bytes."""
        suspects = [self.roster.sources[each] for each in event.suspects if each in self.roster.sources]
        if len(event.suspects) == 1:
            for source in suspects:
                source.avoid.add(event.start, event.end)
            return
        # One that lied elsewhere explains it: what it brought before comes to light piece by piece. (The quickest
        # source of a world was doubted for that, and idle for two thirds of the time.)
        explained = any(source.banned or source.strikes for source in suspects)
        if not explained:
            # Of mixed origin: whoever brings it alone next time is right, or found out.
            self.contested.add(event.start, event.end)
        # Wrong again with the same ones among them: others, if there are any, bring it now. (At the end of a download a
        # liar had a part in one piece a dozen times, each time taking from the lane that was to bring it alone.)
        again = self._suspects_of.get(event.start, frozenset()) & event.suspects
        self._suspects_of[event.start] = again or event.suspects
        others = any(source.usable and source.id not in again for source in self.roster.sources.values())
        for source in suspects:
            source.suspected += not explained
            if others and source.id in again:
                source.avoid.add(event.start, event.end)

    def _doubt(self) -> None:
        """Who had a part in most of the bad pieces of mixed origin brings whole ones from now on: that tells."""
        sources = [s for s in self.roster.sources.values() if s.usable]
        most = max((s.suspected for s in sources), default=0)
        if most >= DOUBTFUL_PIECES:
            for source in sources:
                source.doubted = source.doubted or source.suspected > most * 0.75
                source.suspected = 0

    def _blamed(self, event: Blamed, *, bad_times: int = MOST_BAD_TIMES) -> list[Command]:
        source = self.roster.sources.get(event.source)
        if source is None or source.banned:
            return []
        source.strikes += 1
        # The only one there is gets another chance, as long as it does not send the same bytes wrong each time.
        if source.strikes < 2 or (source.is_alone and bad_times < MOST_BAD_TIMES):
            source.note = "served wrong bytes"
            return []
        source.banned = True
        for other in self.roster.sources.values():
            other.doubted, other.suspected = False, 0
        source.note = "served wrong bytes again"
        self._explain_by(source)
        return self._give_up(list(source.lanes.values())) + self._distrusted(source)

    def _explain_by(self, source: Source) -> None:
        """Pieces of mixed origin that it had a part in need nobody who brings them alone: that was waited for until
        the end, which came half a second later."""
        for start, suspects in self._suspects_of.items():
            if source.id in suspects:
                self.contested.remove(start, start + self.align)

    def _distrusted(self, source: Source) -> list[Command]:
        """What a banned one brought of pieces that are not whole yet would make each of them wrong, one after the
        other, the last at the very end."""
        return [Distrust(source.id)] if source.banned else []

    def _suspected(self, event: Suspected) -> list[Command]:
        if source := self.roster.sources.get(event.source):
            source.avoid.add(0, self.size)
        return []

    def _cleared(self, event: Cleared) -> list[Command]:
        if source := self.roster.sources.get(event.source):
            source.avoid = RangeSet()
        return self._serve()
