"""Lanes whose connection ends while the news of that are on their way: what is heard late is of the old connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from tests.engine.runs import LIMIT_S
from thunderdl.core.protocol import Cancel, Close, Ended, Event, Failed, FaultKind, Fetch
from thunderdl.core.trust import Version
from thunderdl.engine.lanes import Lanes
from thunderdl.engine.opening import Opening, OpenSource
from thunderdl.errors import Cancelled, ConnectionLost, ThunderdlError
from thunderdl.sources.http.events import Broke, Finished
from thunderdl.sources.http.head import ResponseHead
from thunderdl.sources.http.transfer import Transfer
from thunderdl.sources.http.wire import build_request, parse_url

URL = "http://h/f"
NOBODY = cast(Any, None)
STALE = ConnectionLost("", "closed after the body")


class Wire:
    """A carrier that does nothing; the test tells what happens on it."""

    def __init__(self) -> None:
        self.is_closed = False
        self.asked: list[Transfer] = []
        self.closed_for: list[ThunderdlError] = []

    def ask(self, transfer: Transfer) -> None:
        self.asked.append(transfer)

    def close(self, error: ThunderdlError) -> None:
        self.closed_for.append(error)


class Pool:
    """Has as many connections as are wanted, and keeps what it is given."""

    def __init__(self) -> None:
        self.made: list[Wire] = []
        self.kept: list[Wire] = []
        self.taken: dict[str, int] = {}

    def idle(self, _: object) -> Wire:
        self.made.append(Wire())
        return self.made[-1]

    def keep(self, _: object, wire: Wire) -> None:
        self.kept.append(wire)

    def take_slot(self, _: object) -> None:
        return

    def free_slot(self, _: object) -> None:
        return


class Sink:
    store = None

    def take(self, *_: object) -> None:
        return


class Case:
    """One lane, and what is told of it."""

    def __init__(self) -> None:
        self.pool, self.heard = Pool(), list[Event]()
        session, sink = cast(Any, self), cast(Any, Sink())
        self.lanes = Lanes(session, sink, self.heard.append, NOBODY, lambda *_: None, NOBODY)
        request = build_request(parse_url(URL), [])
        self.source = OpenSource(id=1, url=URL, request=request, version=Version(), timeout_s=1.0)

    async def fetch(self, lease: int) -> None:
        self.lanes.fetch(Fetch(lease, 1, 1, lease * 10, lease * 10 + 10), self.source)
        # Whatever is to connect does.
        for _ in range(5):
            await asyncio.sleep(0)


def played(script: Callable[[Case], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(LIMIT_S):
            await script(Case())

    asyncio.run(run())


def tell(event: Finished | Broke) -> None:
    event.transfer.notify(event)


def test_a_connection_that_closed_behind_an_answer_before_that_was_told() -> None:
    # The mover closes first and tells at the end of its round: what was fetched in between went to a next connection,
    # which was then forgotten at that news: nobody could close it, and it went on writing when all had ended.
    async def script(case: Case) -> None:
        await case.fetch(1)
        (first,) = case.pool.made
        first.is_closed = True
        await case.fetch(2)
        tell(Finished(first.asked[0], False))
        for transfer in first.asked[1:]:
            tell(Broke(transfer, STALE, stale=True))
        await case.fetch(3)
        case.lanes.cancel(Cancel(2, FaultKind.STALLED))
        _, second = case.pool.made
        assert sorted(each.owner for each in second.asked) == [2, 3]
        assert len(second.closed_for) == 1
        assert case.heard == [Ended(1, 10)]

    played(script)


def test_a_lane_that_ends_gives_nobody_a_connection_on_which_something_is_under_way() -> None:
    async def script(case: Case) -> None:
        await case.fetch(1)
        await case.fetch(2)
        (first,) = case.pool.made
        one, other = first.asked
        first.is_closed = True
        tell(Broke(one, STALE, stale=True))
        for _ in range(5):
            await asyncio.sleep(0)
        _, second = case.pool.made
        assert [each.owner for each in second.asked] == [1]
        tell(Broke(other, ConnectionLost("", "reset")))
        assert case.pool.kept == []
        assert len(second.closed_for) == 1

    played(script)


def test_what_was_queued_behind_a_last_answer_is_told_after_the_next_connection_was_made() -> None:
    async def script(case: Case) -> None:
        await case.fetch(1)
        await case.fetch(2)
        (first,) = case.pool.made
        tell(Finished(first.asked[0], False))
        first.is_closed = True
        await case.fetch(3)
        tell(Broke(first.asked[1], STALE, stale=True))
        case.lanes.cancel(Cancel(3, FaultKind.STALLED))
        _, second = case.pool.made
        assert [each.owner for each in second.asked] == [3, 2]
        assert len(second.closed_for) == 1

    played(script)


def test_one_that_ended_just_before_it_was_given_up_is_not_blamed_for_what_comes_next() -> None:
    async def script(case: Case) -> None:
        await case.fetch(1)
        case.lanes.cancel(Cancel(1, FaultKind.STALLED))
        (first,) = case.pool.made
        tell(Finished(first.asked[0], True))
        await case.fetch(2)
        _, second = case.pool.made
        tell(Broke(second.asked[0], ConnectionLost("", "closed in the middle of the body")))
        assert case.heard == [Ended(1, 10), Failed(2, 20, FaultKind.PASSING)]

    played(script)


def parked(case: Case) -> tuple[Wire, Transfer]:
    """An opening whose body waits is taken over by the lane."""
    wire = Wire()
    head = ResponseHead(status=206, reason=b"", http_version="1.1", fields=[], first={}, keep_alive=True)
    transfer = Transfer(request=b"", start=10, end=20, notify=lambda event: None, meter=NOBODY)
    transfer.head = head
    case.lanes.adopt(1, case.source, Opening(URL, case.source.request, head, transfer, cast(Any, wire), URL))
    return wire, transfer


def test_an_opening_for_which_there_was_nothing_to_do_is_closed() -> None:
    # It was neither closed nor kept: its server sent into a full socket for as long as the session lasted.
    async def script(case: Case) -> None:
        wire, _ = parked(case)
        case.lanes.close(Close(1))
        assert case.pool.kept == []
        assert [type(error) for error in wire.closed_for] == [Cancelled]

    played(script)


def test_news_of_an_opening_that_broke_before_it_went_on_come_after_it_was_to() -> None:
    async def script(case: Case) -> None:
        wire, transfer = parked(case)
        told_by = transfer.notify
        wire.proceed = lambda *_: None  # type: ignore[attr-defined]
        case.pool.least_busy = None  # type: ignore[attr-defined]
        await case.fetch(1)
        told_by(Broke(transfer, ConnectionLost("", "closed")))
        assert case.heard == [Failed(1, 10, FaultKind.PASSING)]

    played(script)
