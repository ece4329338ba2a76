"""What Lanes make of news that come late."""

from __future__ import annotations

import socket
from typing import Any, cast

from thunderdl.core.protocol import Ended, Event, Shrink, Shrunk
from thunderdl.core.trust import Version
from thunderdl.engine.lanes import LaneRun, Lanes
from thunderdl.engine.opening import OpenSource
from thunderdl.errors import Cancelled
from thunderdl.sources.http.connection import Connection
from thunderdl.sources.http.events import Broke
from thunderdl.sources.http.transfer import Transfer
from thunderdl.sources.http.wire import build_request, parse_url

URL = "http://h/f"


def lane_with_a_connection() -> tuple[Lanes, LaneRun, Connection]:
    heard: list[Event] = []
    nobody = cast(Any, None)
    lanes = Lanes(nobody, nobody, heard.append, nobody, nobody, nobody)
    source = OpenSource(id=1, url=URL, request=build_request(parse_url(URL), []), version=Version(), timeout_s=1.0)
    with socket.socket() as sock:
        connection = Connection(sock)
    return lanes, LaneRun(1, source, connection), connection


def transfer() -> Transfer:
    return Transfer(request=b"", start=0, end=10, notify=lambda event: None, meter=cast(Any, None))


def test_a_parked_opening_that_breaks_leaves_the_lane_without_a_connection() -> None:
    lanes, lane, _ = lane_with_a_connection()
    lane.parked = transfer()
    lanes._heard_parked(lane, Broke(lane.parked, Cancelled()))
    assert lane.connection is None
    assert lane.parked is None


def test_an_opening_that_was_given_up_breaks_after_the_next_connection_was_made() -> None:
    # Else nobody could close that one: its transfers would go on writing what is somebody else's by then.
    lanes, lane, connection = lane_with_a_connection()
    lanes._heard_parked(lane, Broke(transfer(), Cancelled()))
    assert lane.connection is connection


class NoSink:
    def take(self, *_: object) -> None:
        return


class DeafMover:
    """One that had closed the connection when the order came."""

    def lower(self, *_: object) -> None:
        return


def test_a_cut_that_met_a_closed_connection_is_answered_when_the_news_come() -> None:
    # Else the scheduler would wait for the answer for ever, and nobody would bring what is behind the cut.
    heard: list[Event] = []
    nobody = cast(Any, None)
    lanes = Lanes(nobody, cast(Any, NoSink()), heard.append, nobody, nobody, nobody)
    source = OpenSource(id=1, url=URL, request=build_request(parse_url(URL), []), version=Version(), timeout_s=1.0)
    with socket.socket() as sock:
        connection = Connection(sock)
    connection.mover = cast(Any, DeafMover())
    lane = LaneRun(1, source, connection)
    asked = transfer()
    asked.owner = 7
    lane.transfers[7] = asked
    lanes._lanes[1] = lanes._by_lease[7] = lane
    lanes.shrink(Shrink(7, 0))
    assert heard == []
    lanes._broke(lane, Broke(asked, Cancelled(), stale=True))
    assert heard == [Shrunk(7, 0), Ended(7, 0)]
