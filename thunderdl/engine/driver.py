"""Between the scheduler and the lanes of one download: events in, commands performed, sources let in.

Bytes of a source are let in only after its head was compared with the version begun. Lives on the event loop:
events of lanes reach the scheduler at once (:meth:`Driver.tell`), positions ten times a second.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from thunderdl.core.protocol import (
    Budget,
    Cancel,
    Close,
    Command,
    Complete,
    Distrust,
    Event,
    Fetch,
    HostCap,
    HostPause,
    Limited,
    Shrink,
    SourceLost,
    SourceOpened,
    Tick,
)
from thunderdl.core.ranges import RangeSet
from thunderdl.core.scheduler import Scheduler
from thunderdl.core.sharing import UNBOUNDED, Appetite, Claim, Ramp, Share, wanted_lanes
from thunderdl.core.trust import Verdict, Version, compare
from thunderdl.engine.candidates import (
    TAKEN_AWAY,
    Candidate,
    Candidates,
    FirstRange,
    from_the_start,
    source_of,
)
from thunderdl.engine.lanes import Lanes, Sink
from thunderdl.engine.losses import MOST_NAMED
from thunderdl.engine.offers import Offer
from thunderdl.engine.opening import MIRROR_FIRST, First, Opening, OpenSource, open_source, release
from thunderdl.engine.overlap import SAMPLE_BYTES, is_seen_the_same, same_as_written
from thunderdl.engine.renewal import Renewal
from thunderdl.engine.resumption import version_of
from thunderdl.engine.session import Session
from thunderdl.errors import (
    BadContent,
    ContentChanged,
    InternalError,
    RangesUnsupported,
    ThunderdlError,
    TimedOut,
    foreseen,
    shown_url,
)
from thunderdl.options import Options

TICK_S = 0.1
# A mirror that is to be compared with what the others have brought waits so long for that.
SAMPLE_PATIENCE_S = 30.0


class Driver:
    """``sink``: takes what is written; ``filled``: what is there already; ``align``: border that leases prefer;
    ``begin_at``: where they begin, around the end.

    ``on_complete``: every byte is written; ``on_fault``: an error ends the download; ``begin_again``: asked when
    no source is left: whether there is another way after all; ``on_renewed``: another link took the place of one that
    had expired, and has the same bytes; ``on_distrust``: nothing that this source brought is believed without proof.
    """

    def __init__(
        self, session: Session, options: Options, candidates: Candidates, notes: list[str], sink: Sink, *,
        version: Version, filled: RangeSet, align: int, begin_at: int = 0,
    ) -> None:  # fmt: skip
        self._session, self._options, self._candidates, self._notes = session, options, candidates, notes
        self._sink = sink
        self._version, self._size = version, version.size or 0
        make = session.trace.scheduler({c.id: c.url for c in candidates.all}) if session.trace else Scheduler
        self.scheduler = make(
            size=self._size, filled=filled, align=align, host_lanes=options.per_host, all_lanes=options.connections,
            retries=options.retries, stall_s=options.timeout, jitter=session.jitter, begin_at=begin_at,
        )  # fmt: skip
        candidates.is_used = self._is_used
        self.lanes = Lanes(session, sink, self.tell, self._fault, self._attempt_failed, candidates.pace.meter)
        self.on_complete: Callable[[], None] = lambda: None
        self.on_fault: Callable[[ThunderdlError], None] = lambda error: None
        self.begin_again: Callable[[], bool] = lambda: False
        self.on_distrust: Callable[[int], None] = lambda source: None
        self.on_renewed: Callable[[Candidate], None] = lambda candidate: None
        self._queue: deque[Event] = deque()
        # Of those that the user has not named.
        self._refusals = 0
        self._telling = self._stopped = self._limited = False
        # What the scheduler was told of lanes at each host and in all, and after how many changes of the pool.
        self._caps: dict[str, int] = {}
        self._budget, self._caps_as_of = options.connections, -1
        # To one host, where there is a reason beside what it allows.
        self.most_lanes: int | None = None
        # Who says what size it has, where no server did.
        self.size_by: Offer | None = None
        self._share = Share(lanes=options.connections, hosts={})
        self._renewals: dict[int, Renewal] = {}
        self._ramp, self._appetites = Ramp(), dict[str, Appetite]()

    def expect(self, options: Options) -> None:
        """Hashes became known that were not when it began."""
        self._options = options

    def start(self, first: Candidate, opening: Opening) -> None:
        """Begin with ``first``; the other candidates join as they open."""
        self._admit(first, opening)
        self._candidates.admit_to(self._join, first)

    def start_open(self, first_range: FirstRange) -> None:
        """Begin without a source; all candidates join as they open."""
        self._candidates.open_all(first_range, self._join)

    async def run_until(self, settled: asyncio.Future[None], each_tick: Callable[[], None]) -> None:
        """Tick until ``settled``; raises what it holds."""
        self.tell(Tick())
        self._session.sharing.join(self)
        try:
            while not settled.done():
                await asyncio.wait({settled}, timeout=TICK_S)
                self.lanes.poll()
                self._session.sharing.tick()
                self.tell(Tick())
                if not self.scheduler.roster.sources:
                    self._look_whether_hopeless()
                for renewal in self._renewals.values():
                    renewal.look_ahead(time.time)
                each_tick()
        finally:
            self._session.sharing.leave(self)
            for renewal in self._renewals.values():
                renewal.close()
        settled.result()

    async def stop(self) -> None:
        """End every lane; what was written is in the sink afterwards."""
        self._stopped = True
        await self.lanes.stop()

    def close(self) -> None:
        """All is there and right: give every connection back. Whoever answers from now on is not let in."""
        self._stopped = True
        self.lanes.close_all()

    def tell(self, event: Event) -> None:
        """Hand an event to the scheduler and perform what it says; events that follow wait their turn."""
        self._queue.append(event)
        if self._telling:
            return
        self._telling = True
        try:
            while self._queue:
                following = self._queue.popleft()
                if self._stopped:
                    continue
                if isinstance(following, Tick):
                    # Time alone gives hosts more.
                    self._caps_as_of = -1
                self._update_caps()
                for command in self.scheduler.handle(following, time.monotonic()):
                    self._perform(command)
        except Exception as bug:
            # Told by callbacks of the loop and by tasks that nobody awaits: it must end the download from here.
            self._fault(foreseen(bug))
        finally:
            self._telling = False

    # -- sources

    def _admit(self, candidate: Candidate, opening: Opening) -> None:
        """Let a source in whose version was found to be ours."""
        seen = Version(size=self._size, validators=opening.head.validators)
        source = candidate.source = source_of(candidate, opening, seen, self._options.timeout)
        if source.request.address.endpoint.scheme in ("http", "https"):
            source.renewal = self._renewals[candidate.id] = Renewal(
                self._session, candidate, source, self._candidates.pace.meter, self._has_same_bytes, self._notes,
                self.on_renewed,
            )  # fmt: skip
            if candidate.fresh_url is not None:
                self.on_renewed(candidate)
        transfer, status = opening.transfer, opening.head.status
        start, end = transfer.start, min(transfer.end, self._size)
        if status == 200:
            start, end = 0, self._size
            transfer.start = transfer.position = 0
            candidate.notes.append("sends no ranges: one connection, from the start")
        if transfer.body is not None or status == 416:
            start = end = 0
        protocol = self._session.protocol(opening.endpoint.scheme)
        lane = self.scheduler.new_lane()
        self.lanes.adopt(lane, candidate.source, opening)
        opened = SourceOpened(
            source=candidate.id, host=candidate.source.host, lane=lane, start=start, end=end,
            latency_s=transfer.latency_s or 0.0, random_access=status != 200,
            to_come=self._candidates.to_come, runs_on=protocol is not None and protocol.runs_on,
        )  # fmt: skip
        self.tell(opened)

    def _is_used(self, source: int) -> bool:
        book = self.scheduler.roster.sources.get(source)
        return book is not None and book.usable

    async def _join(self, candidate: Candidate) -> None:
        """A mirror has answered: let it in if it serves what the others do. Raises ThunderdlError where it could not be
        asked about that."""
        try:
            await self._judge(candidate)
        except ThunderdlError:
            raise
        except Exception as bug:
            self._fault(InternalError(bug))

    async def _judge(self, candidate: Candidate) -> None:
        opening = candidate.opening
        assert opening is not None
        if self._is_unwanted(candidate):
            candidate.opening = None
            release(self._session, opening)
            return
        seen = version_of(opening)
        why = self._why_refused(candidate, seen, opening)
        if not why and self._is_doubtful(seen):
            candidate.opening = None
            release(self._session, opening)
            if await self._agrees(candidate):
                opening = candidate.opening = await self._candidates.ask(candidate, MIRROR_FIRST)
            else:
                why = "its bytes differ from the others'"
        if self._stopped:
            candidate.opening = None
            release(self._session, opening)
        elif why or candidate.is_removed:
            self._refuse(candidate, why or TAKEN_AWAY, seen)
            if seen.size != self._size and not candidate.is_removed:
                # A page that says so, as some servers have it, or a file that is called the same.
                self._candidates.ask_instead(candidate, from_the_start)
        else:
            self._admit(candidate, opening)

    def _refuse(self, candidate: Candidate, why: str, seen: Version) -> None:
        if not candidate.is_foreign or self._refusals < MOST_NAMED:
            self._refusals += candidate.is_foreign
            self._notes.append(f"{shown_url(candidate.url)} is not used: {why}")
        candidate.notes.append(why)
        candidate.error = self._refusal(candidate.url, seen)
        self._candidates.attempts.append(candidate.error)
        opening, candidate.opening = candidate.opening, None
        if opening is not None:
            release(self._session, opening)

    def _refusal(self, url: str, seen: Version) -> ThunderdlError:
        if self.size_by is not None and seen.size not in (None, self._size):
            # Nobody has seen another version: whose word it is may be wrong, and is named.
            return BadContent(shown_url(url), f"{self._size} bytes{self.size_by.said}", f"{seen.size} bytes")
        return ContentChanged(url, str(self._version), str(seen))

    def _is_doubtful(self, seen: Version) -> bool:
        """Whether only the checksum of the whole, at the very end, would show that it is another version."""
        if self._options.piece_hashes or self._sink.store.ring_bytes is not None:
            return False
        same_date = seen.validators.last_modified == self._version.validators.last_modified is not None
        return compare(self._version, seen) is Verdict.DIFFERENT and not same_date

    async def _agrees(self, candidate: Candidate) -> bool:
        """Whether its bytes are those of the others, at some places that they have brought. Raises ThunderdlError where
        they cannot be had: that is no difference."""
        for _ in range(round(SAMPLE_PATIENCE_S / TICK_S)):
            if self._stopped or self.scheduler.filled.total >= min(2 * SAMPLE_BYTES, self._size):
                break
            await asyncio.sleep(TICK_S)
        fd, written = self._sink.store.fd, self.scheduler.filled.copy()
        return await same_as_written(self._session, partial(self._candidates.ask, candidate), fd, written)

    async def _has_same_bytes(self, url: str, options: Options) -> bool:
        """Whether a link that was renewed brings the bytes that are there; where they cannot be looked at, not."""
        if self._sink.store.ring_bytes is not None:
            return False
        meter, written = self._candidates.pace.meter, self.scheduler.filled.copy()

        async def ask(first: First) -> Opening:
            return await open_source(self._session, url, options, replace(first, is_urgent=True), meter)

        return await is_seen_the_same(self._session, ask, self._sink.store.fd, written)

    def _is_unwanted(self, candidate: Candidate) -> bool:
        """Taken away as it answered; or all is there: its lane would hold a slot of the pool, and nobody end it."""
        return candidate.is_removed or self._stopped

    def _why_refused(self, candidate: Candidate, seen: Version, opening: Opening) -> str:
        if opening.head.coded:
            return "it sends the file compressed"
        if seen.size is None:
            return "it tells no size"
        if seen.size != self._size:
            page = " and is a page of HTML" if (opening.head.get("content-type") or "").startswith("text/html") else ""
            whose = "the others'" if self.size_by is None else "not"
            return f"its file has {seen.size} bytes{page}, {whose} {self._size}"
        is_checked = bool(self._options.checksum or self._options.piece_hashes)
        if is_checked and (self._candidates.is_proven or not candidate.is_stranger):
            return ""
        same_date = seen.validators.last_modified == self._version.validators.last_modified is not None
        if compare(self._version, seen) is Verdict.SAME or same_date:
            return ""
        candidate.wants_proof = True
        given = "the hash could be an attacker's own" if is_checked else "no hash was given"
        return f"{given}, and its validators do not show that it is the same version"

    # -- beside other downloads (:class:`thunderdl.engine.sharing.Party`)

    def claim(self, now: float) -> Claim:
        """What this download holds and could use."""
        held, meter, roster = self.lanes.held(), self._candidates.pace.meter, self.scheduler.roster
        most = self._ramp.lanes(
            limited=meter.limited, throttled=meter.is_throttled, held=len(roster.lanes), now=now,
            sources=sum(source.usable for source in roster.sources.values()),
        )  # fmt: skip
        wanted = Counter[str]()
        for source in roster.sources.values():
            appetite, here = self._appetites.setdefault(source.host, Appetite()), held.get(source.host, 0)
            given = min(self._share.hosts.get(source.host, 0), here + self._share.lanes - sum(held.values()))
            more = appetite.wants_more(here, given, now)
            wanted[source.host] += wanted_lanes(source, wants_more=more)
        wanted |= Counter(held)
        return Claim(weight=meter.flow.weight, held=held, wanted=wanted, most=UNBOUNDED if most is None else most)

    def obey(self, share: Share) -> None:
        """Have no more lanes than this."""
        self._share, self._caps_as_of = share, -1
        if (lanes := self._lanes_in_all(self.lanes.held())) != self._budget:
            self._budget = lanes
            self.tell(Budget(lanes))
        elif not (self._telling or self._stopped):
            self._update_caps()

    def leave_alone(self, host: str, until: float) -> None:
        """Open no lane to ``host`` before then."""
        self.tell(HostPause(host, until))

    def forget(self, source: int) -> None:
        """Fetch nothing more from it: the user has taken its URL away."""
        self.tell(SourceLost(source, TAKEN_AWAY))

    def flowing(self, host: str) -> int:
        """How many lanes to ``host`` bring bytes."""
        return self.lanes.flowing(host)

    # -- commands

    def _update_caps(self) -> None:
        """Slots that other downloads hold, or are due, are none of ours; and what a limit holds back is not slow."""
        if (limited := self._candidates.pace.meter.is_throttled) != self._limited:
            self._limited = limited
            self._tell_at_once(Limited(limited))
        if self._caps_as_of == self._session.pool.changes:
            return
        self._caps_as_of = self._session.pool.changes
        held = self.lanes.held()
        if (lanes := self._lanes_in_all(held)) != self._budget:
            self._budget = lanes
            self._tell_at_once(Budget(lanes))
        for host in dict.fromkeys(each.source.host for each in self._candidates.all if each.source is not None):
            free = self._session.pool.free_at(host)
            cap = min(held.get(host, 0) + free, self._share.hosts.get(host, free + UNBOUNDED))
            cap = cap if self.most_lanes is None else min(cap, self.most_lanes)
            if self._caps.get(host) != cap:
                self._caps[host] = cap
                self._tell_at_once(HostCap(host, cap))

    def _lanes_in_all(self, held: Mapping[str, int]) -> int:
        """What there is to have, whatever the host: told once, not as the cap of each of a hundred hosts."""
        return min(self._share.lanes, sum(held.values()) + self._session.pool.free_in_all)

    def _tell_at_once(self, event: Event) -> None:
        for command in self.scheduler.handle(event, time.monotonic()):
            self._perform(command)

    def _perform(self, command: Command) -> None:
        if isinstance(command, Fetch):
            source = self._candidates.by_id(command.source).source
            assert source is not None
            self.lanes.fetch(command, source)
        elif isinstance(command, Shrink):
            self.lanes.shrink(command)
        elif isinstance(command, Cancel):
            self.lanes.cancel(command)
        elif isinstance(command, Close):
            self.lanes.close(command)
        elif isinstance(command, Complete):
            self.on_complete()
        elif isinstance(command, Distrust):
            self.on_distrust(command.source)
        else:
            self._look_whether_hopeless()

    def _look_whether_hopeless(self) -> None:
        """No source is left, or none was ever let in."""
        if self._candidates.still_opening or self._candidates.ask_more():
            return
        if not self.begin_again():
            self._note_silent()
            self._fault(self._candidates.failure())

    def _note_silent(self) -> None:
        """Whose lanes were given up one by one, each for another to look whether it is back, has failed by no error."""
        for each in self._candidates.all:
            if each.source is not None and not each.is_removed and not self._candidates.faults_of(each):
                self._candidates.attempts.append(TimedOut(each.url, "silent for too long"))

    def _fault(self, error: ThunderdlError) -> None:
        self.on_fault(error)

    def _attempt_failed(self, source: OpenSource, error: ThunderdlError) -> None:
        attempts = self._candidates.attempts
        if not attempts or str(attempts[-1]) != str(error):
            attempts.append(error)
        if isinstance(error, ContentChanged):
            self._notes.append(str(error).rstrip("."))
            self.tell(SourceLost(source.id, "its file is another version now"))
        elif isinstance(error, RangesUnsupported):
            self.tell(SourceLost(source.id, "sent the whole file instead of a range"))
