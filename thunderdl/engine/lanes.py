"""Performs the scheduler's commands on connections, and turns what happens there into its events.

A lane lives as long as the scheduler wants it; the connection under it may come and go: one that the server
closed between two answers is replaced without a word, one that broke in the middle is a Failed.
It decides nothing about ranges, sources or retries.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeGuard

from thunderdl.core.protocol import (
    Cancel,
    Close,
    Ended,
    Event,
    Failed,
    FaultKind,
    Fetch,
    FirstByte,
    Moved,
    Renewing,
    Shrink,
    Shrunk,
)
from thunderdl.engine.opening import Opening, OpenSource, located
from thunderdl.engine.session import Session
from thunderdl.errors import (
    Cancelled,
    ContentChanged,
    InternalError,
    LastingFault,
    ServerBusy,
    SourceError,
    ThunderdlError,
    TimedOut,
    foreseen,
)
from thunderdl.sources.http.bucket import Meter
from thunderdl.sources.http.events import Broke, Finished, Lowered
from thunderdl.sources.http.head import Body, Expectation, ResponseHead, judge
from thunderdl.sources.http.transfer import Extent, Store, Transfer
from thunderdl.storage.files import storage_fault

if TYPE_CHECKING:
    from thunderdl.sources.base import Carrier, Request


class Sink(Protocol):
    """Where the bytes of a download go, and who is told that they are there."""

    @property
    def store(self) -> Store: ...

    def take(self, extents: Iterable[Extent], source: int) -> None:
        """These extents are written, by ``source``. Raises StorageError."""


@dataclass(slots=True)
class LaneRun:
    """A lane at work: its connection, or the task that makes one, and its transfers by lease."""

    id: int
    source: OpenSource
    connection: Carrier | None = None
    connecting: asyncio.Task[None] | None = None
    waiting: list[Transfer] = field(default_factory=list)
    transfers: dict[int, Transfer] = field(default_factory=dict)
    # Ends that the mover was asked to lower, by lease, until it answers.
    lowering: dict[int, int] = field(default_factory=dict)
    parked: Transfer | None = None
    closing: ThunderdlError | None = None
    has_answered: bool = False
    cancel_kind: FaultKind = FaultKind.CANCELLED
    # What its connection is for: the source's own may have been renewed meanwhile.
    request: Request = field(init=False)

    def __post_init__(self) -> None:
        self.request = self.source.request


class Lanes:
    """``sink``: takes the bytes; ``tell``: an event for the scheduler; ``fault``: an error that ends the download;
    ``meter``: the limits that they obey."""

    def __init__(
        self, session: Session, sink: Sink, tell: Callable[[Event], None], fault: Callable[[ThunderdlError], None],
        attempt_failed: Callable[[OpenSource, ThunderdlError], None], meter: Meter,
    ) -> None:  # fmt: skip
        self._session, self._sink, self._meter = session, sink, meter
        self._tell, self._fault, self._attempt_failed = tell, fault, attempt_failed
        self._lanes: dict[int, LaneRun] = {}
        self._by_lease: dict[int, LaneRun] = {}

    def adopt(self, lane_id: int, source: OpenSource, opening: Opening) -> None:
        """Take over the connection of an opening whose body is parked."""
        lane = LaneRun(lane_id, source, opening.connection, has_answered=True)
        lane.parked = opening.transfer if opening.transfer.body is None else None
        opening.transfer.notify = lambda event: self._heard_parked(lane, event)
        self._lanes[lane_id] = lane

    def held(self) -> Mapping[str, int]:
        """How many slots of the pool the lanes hold, by host."""
        return Counter(lane.source.host for lane in self._lanes.values())

    def flowing(self, host: str) -> int:
        """How many lanes to ``host`` bring bytes."""
        here = (lane for lane in self._lanes.values() if lane.source.host == host)
        return sum(any(each.position > each.start for each in lane.transfers.values()) for lane in here)

    # -- commands

    def fetch(self, command: Fetch, source: OpenSource) -> None:
        """Perform a Fetch."""
        lane = self._lanes.get(command.lane)
        if lane is None:
            lane = self._lanes[command.lane] = LaneRun(command.lane, source)
            self._session.pool.take_slot(source.slots)
        self._by_lease[command.lease] = lane
        if lane.parked is not None and not self._start_parked(lane, command):
            self._close_connection(lane)
        if command.lease not in lane.transfers:
            self._take_up_renewed(lane)
            self._ask(lane, self._transfer(lane, command.lease, command.start, command.end))

    def shrink(self, command: Shrink) -> None:
        """Perform a Shrink."""
        lane = self._by_lease.get(command.lease)
        transfer = lane.transfers.get(command.lease) if lane else None
        if lane is None or transfer is None:
            return
        if transfer in lane.waiting or lane.connection is None:
            transfer.end = max(transfer.position, min(transfer.end, command.end))
            self._tell(Shrunk(command.lease, transfer.end))
        else:
            lane.lowering[command.lease] = command.end
            lane.connection.lower(transfer, command.end)

    def cancel(self, command: Cancel) -> None:
        """Perform a Cancel: every lease of the lane ends, with its bytes so far."""
        lane = self._by_lease.get(command.lease)
        if lane is None:
            return
        lane.cancel_kind = command.kind
        lane.closing = (
            TimedOut(lane.source.url, "silent for too long") if command.kind is FaultKind.STALLED else Cancelled()
        )
        if lane.connection is None:
            self._drop_connecting(lane)
            self._end(lane, lane.closing)
        else:
            lane.connection.close(lane.closing)

    def close(self, command: Close) -> None:
        """Perform a Close: the lane is idle, its connection may serve others."""
        if lane := self._lanes.get(command.lane):
            self._retire(lane)

    def close_all(self) -> None:
        """Take what was written, and give every connection back or up."""
        for lane in list(self._lanes.values()):
            if lane.transfers or lane.parked:
                self._drop_connecting(lane)
                self._close_connection(lane)
            self._retire(lane)

    async def stop(self) -> None:
        """End every lane and wait until the movers have written and recorded their last byte."""
        for lane in list(self._lanes.values()):
            if lane.transfers and lane.connection is not None:
                lane.closing = Cancelled()
                lane.connection.close(lane.closing)
            else:
                self._drop_connecting(lane)
                self._end(lane, Cancelled())
        while self._lanes:
            waiting = [lane for lane in self._lanes.values() if lane.transfers]
            if not waiting:
                self.close_all()
                return
            await asyncio.sleep(0.005)

    # -- looking

    def poll(self) -> None:
        """Take records and positions of all running transfers."""
        for lane in list(self._lanes.values()):
            for lease, transfer in list(lane.transfers.items()):
                self._take(lane, transfer)
                if transfer.begun or transfer.position > transfer.start:
                    self._tell(Moved(lease, transfer.position))
            head = next(iter(lane.transfers.items()), None)
            if head is not None and not head[1].begun:
                # Not one byte yet: the scheduler still counts the time.
                self._tell(Moved(head[0], head[1].position))

    def live_bytes(self) -> int:
        """Bytes written but not yet in the ledger's records."""
        return sum(end - start for start, end, _ in self.live())

    def live(self) -> Iterator[tuple[int, int, int]]:
        """Each range of them, with its source."""
        for lane in self._lanes.values():
            for transfer in lane.transfers.values():
                # In this order: a mover that makes a record meanwhile has put it there before it moves the end on.
                start = transfer.recorded_end
                start = transfer.records[0].start if transfer.records else start
                if transfer.begun and (end := transfer.position) > start:
                    yield start, end, lane.source.id

    # -- inside

    def _transfer(self, lane: LaneRun, lease: int, start: int, end: int) -> Transfer:
        source = lane.source
        expected = Expectation(url=source.url, version=source.version, date_now=time.time())

        def accept(head: ResponseHead) -> Body:
            return judge(head, start, end, expected)

        transfer = Transfer(
            request=lane.request.range(start, end), start=start, end=end, judge=accept,
            notify=lambda event: self._heard(lane, event), store=self._sink.store, owner=lease,
            meter=self._meter,
        )  # fmt: skip
        lane.transfers[lease] = transfer
        return transfer

    def _start_parked(self, lane: LaneRun, command: Fetch) -> bool:
        transfer, lane.parked = lane.parked, None
        connection = lane.connection
        assert transfer is not None
        if connection is None or transfer.start != command.start or transfer.head is None:
            return False
        length = None if transfer.head.chunked else transfer.head.content_length
        transfer.owner, transfer.end = command.lease, command.end
        transfer.notify = lambda event: self._heard(lane, event)
        lane.transfers[command.lease] = transfer
        body = Body(transfer.start, length, transfer.head.chunked)
        connection.proceed(transfer, body, self._sink.store, self._session.pool.least_busy)
        return True

    def _ask(self, lane: LaneRun, transfer: Transfer) -> None:
        connection = lane.connection
        under_way = any(each is not transfer and each not in lane.waiting for each in lane.transfers.values())
        if connection is not None and (under_way or not connection.is_closed):
            # Also where it is closed and what ended on it has not been told yet: that news would be taken for news of
            # the next connection, which nobody could close then. It is stale there, and asked anew.
            connection.ask(transfer)
            return
        lane.connection = None
        lane.waiting.append(transfer)
        if lane.connecting is None:
            lane.connecting = asyncio.create_task(self._connect(lane))

    def _take_up_renewed(self, lane: LaneRun) -> None:
        """A lane that is idle goes on with the latest request of its source, on another connection where it leads
        elsewhere."""
        renewed = lane.source.request
        if renewed is lane.request or lane.transfers or lane.waiting:
            return
        if (before := lane.request.address.endpoint) != renewed.address.endpoint and lane.connection is not None:
            self._session.pool.keep(before, lane.connection)
            lane.connection = None
        lane.request = renewed

    async def _connect(self, lane: LaneRun) -> None:
        endpoint = lane.request.address.endpoint
        try:
            connection = self._session.pool.idle(endpoint)
            if connection is None:
                connection = await self._session.pool.connect(endpoint, lane.source.timeout_s)
        except SourceError as error:
            lane.connecting = None
            self._end(lane, located(error, lane.source.url))
            return
        except Exception as error:
            # Nobody awaits this task: the download would wait for the lane for ever.
            self._fault(foreseen(error))
            return
        lane.connecting, lane.connection = None, connection
        waiting, lane.waiting = lane.waiting, []
        for transfer in waiting:
            connection.ask(transfer)

    def _heard(self, lane: LaneRun, event: object) -> None:
        try:
            self._answer(lane, event)
        except Exception as bug:
            # In a callback of the loop: asyncio would log it, and the download wait for ever.
            self._fault(foreseen(bug))

    def _answer(self, lane: LaneRun, event: object) -> None:
        if isinstance(event, Finished):
            self._finished(lane, event)
        elif isinstance(event, Lowered):
            lane.lowering.pop(event.transfer.owner, None)
            self._tell(Shrunk(event.transfer.owner, event.end))
        elif isinstance(event, Broke):
            self._broke(lane, event)

    def _heard_parked(self, lane: LaneRun, event: object) -> None:
        """A parked opening broke; what is heard after it was given up concerns the lane no more."""
        if isinstance(event, Broke) and lane.parked is event.transfer:
            lane.parked, lane.connection = None, None
        elif isinstance(event, Broke) and lane.transfers.get(event.transfer.owner) is event.transfer:
            # It broke before it went on, and the news were on their way.
            self._heard(lane, event)

    def _finished(self, lane: LaneRun, event: Finished) -> None:
        transfer = event.transfer
        lane.has_answered = True
        if not event.reusable:
            lane.connection = None
        self._take(lane, transfer)
        lane.transfers.pop(transfer.owner, None)
        lane.lowering.pop(transfer.owner, None)
        self._by_lease.pop(transfer.owner, None)
        if lane.closing is not None and not lane.transfers:
            # It ended in passing, just before it was closed: what the lane does next is none of that.
            lane.closing = lane.connection = None
        if transfer.latency_s is not None:
            self._tell(FirstByte(transfer.owner, transfer.latency_s))
        self._tell(Ended(transfer.owner, transfer.position))

    def _broke(self, lane: LaneRun, event: Broke) -> None:
        transfer = event.transfer
        if lane.connection is not None and lane.connection.is_closed:
            # Else it is the next one already: what was queued behind a last answer is told after that.
            lane.connection = None
        self._take(lane, transfer)
        is_wanted = lane.closing is None and transfer.owner in lane.transfers
        if event.stale and is_wanted:
            if self._has_rest(lane, transfer):
                self._ask(lane, self._transfer(lane, transfer.owner, transfer.position, transfer.end))
            return
        error = event.error
        if is_wanted and _can_be_renewed(error, lane):
            if self._has_rest(lane, transfer):
                lane.waiting.append(transfer)
            if lane.connecting is None:
                self._tell(Renewing(lane.id, on=True))
                lane.connecting = asyncio.create_task(self._renewed(lane, error))
            return
        if isinstance(error, OSError):
            self._fault(storage_fault(self._sink.store.path, error))
            error = Cancelled()
        elif isinstance(error, InternalError):
            # Not to be tried elsewhere: what the scheduler takes as written need not have a record.
            self._fault(error)
            error = Cancelled()
        if any(each is not transfer and each not in lane.waiting for each in lane.transfers.values()):
            # Another has been asked for on the next connection, and would go on being written with nobody to end it.
            self._close_connection(lane)
        self._end(lane, error)

    def _has_rest(self, lane: LaneRun, transfer: Transfer) -> bool:
        """Whether a transfer whose connection is gone has anything left to ask for."""
        if (cut := lane.lowering.pop(transfer.owner, None)) is not None:
            # The mover had closed the connection when the order came: nobody else answers it.
            transfer.end = max(transfer.position, min(transfer.end, cut))
            self._tell(Shrunk(transfer.owner, transfer.end))
        if transfer.position < transfer.end:
            return True
        # Shrunk to nothing while it waited: there is nothing to ask for, and an empty range is a 416.
        lane.transfers.pop(transfer.owner)
        self._by_lease.pop(transfer.owner, None)
        self._tell(Ended(transfer.owner, transfer.position))
        return False

    async def _renewed(self, lane: LaneRun, error: ThunderdlError) -> None:
        """Go on where the link was renewed. Who renews it may take longer than any server may be silent."""
        assert lane.source.renewal is not None
        try:
            await lane.source.renewal.renew(lane.request, error)
        except ThunderdlError as failed:
            lane.connecting = None
            lane.waiting.clear()
            self._end(lane, failed)
            return
        except Exception as bug:
            self._fault(foreseen(bug))
            return
        lane.request = lane.source.request
        self._tell(Renewing(lane.id, on=False))
        waiting, lane.waiting = lane.waiting, []
        for transfer in waiting:
            if self._has_rest(lane, transfer):
                lane.waiting.append(self._transfer(lane, transfer.owner, transfer.position, transfer.end))
        await self._connect(lane)

    def _end(self, lane: LaneRun, error: ThunderdlError) -> None:
        """The lane is gone: say so of each of its leases."""
        error = lane.closing or error
        if self._lanes.get(lane.id) is not lane:
            # Once for each connection, however many requests went down with it.
            return
        if isinstance(error, SourceError):
            located(error, lane.source.url)
        endpoint = lane.source.slots
        held = self._session.pool.taken.get(endpoint.origin, 0)
        kind, wait = _kind_of(error)
        if lane.closing is not None:
            kind = lane.cancel_kind
        if not isinstance(error, Cancelled):
            self._attempt_failed(lane.source, error)
        for lease, transfer in list(lane.transfers.items()):
            self._take(lane, transfer)
            self._by_lease.pop(lease, None)
            del lane.transfers[lease]
            self._tell(Failed(lease, transfer.position, kind, wait))
        # Its last connection was found closed before that was told: another one is on its way, for nobody.
        self._drop_connecting(lane)
        # Its slot goes, and caps fall, after the scheduler knows of the end: else that would cost another lane.
        self._retire(lane)
        if isinstance(error, ServerBusy):
            self._session.sharing.refused(endpoint, error, held=held, is_new=not lane.has_answered, has_worked=True)

    def _take(self, lane: LaneRun, transfer: Transfer) -> None:
        taken: list[Extent] = []
        while transfer.records:
            taken.append(transfer.records.popleft())
        if not taken:
            return
        lane.source.bytes += sum(extent.end - extent.start for extent in taken)
        try:
            self._sink.take(taken, lane.source.id)
        except Exception as error:
            # A bug, too: raised from here, it kept a lane that was ending among those that :meth:`stop` waits for.
            self._fault(foreseen(error))

    def _retire(self, lane: LaneRun) -> None:
        if self._lanes.pop(lane.id, None) is None:
            return
        if lane.transfers or lane.parked is not None:
            self._close_connection(lane)
        elif lane.connection is not None:
            self._session.pool.keep(lane.request.address.endpoint, lane.connection)
            lane.connection = None
        self._session.pool.free_slot(lane.source.slots)

    def _drop_connecting(self, lane: LaneRun) -> None:
        if lane.connecting is not None:
            lane.connecting.cancel()
            lane.connecting = None
        lane.waiting.clear()

    def _close_connection(self, lane: LaneRun) -> None:
        connection, lane.connection = lane.connection, None
        if connection is not None:
            connection.close(Cancelled())


def _can_be_renewed(error: ThunderdlError | OSError, lane: LaneRun) -> TypeGuard[ThunderdlError]:
    renewal = lane.source.renewal
    return renewal is not None and isinstance(error, ThunderdlError) and renewal.may_help(error)


def _kind_of(error: ThunderdlError) -> tuple[FaultKind, float | None]:
    if isinstance(error, ServerBusy):
        return FaultKind.BUSY, error.retry_after_s
    if isinstance(error, LastingFault | ContentChanged):
        return FaultKind.LASTING, None
    if isinstance(error, Cancelled):
        return FaultKind.CANCELLED, None
    return FaultKind.PASSING, None
