"""The scripted servers do what their scripts say: else the worlds prove nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.sim.generate import random_script
from tests.sim.script import FOREVER, SourceScript, Span
from tests.sim.server import CONNECT_RESEND_S, MIN_RESEND_S, QUEUE_S, SOCKET_BYTES, WINDOW_BYTES, Server, resent_at
from thunderdl.core.protocol import Ended, Event, Failed, FaultKind, FirstByte

RATE, RTT_S = 1e6, 0.1
LANE, LEASE = 1, 7


def server(**facts: Any) -> Server:
    return Server(replace(SourceScript(id=1, host="h", rtt_s=RTT_S, rates=((0.0, RATE),)), **facts))


def connected(**facts: Any) -> Server:
    """Its first lane is open, and idle."""
    it = server(**facts)
    it.adopt(LANE, 0, 0)
    return it


def played(it: Server, until: float = 100.0) -> list[tuple[float, Event]]:
    """What it says by itself until then, and when."""
    said: list[tuple[float, Event]] = []
    while (at := it.next_event()) <= until:
        said += [(at, event) for event in it.fire(at)]
    it.advance(until)
    return said


def ends(said: list[tuple[float, Event]]) -> list[float]:
    return [at for at, event in said if isinstance(event, Ended)]


def faults(said: list[tuple[float, Event]]) -> list[tuple[float, Failed]]:
    return [(at, event) for at, event in said if isinstance(event, Failed)]


# -- answers


def test_an_answer_costs_a_round_trip_and_a_connection_another() -> None:
    open_one, new_one = connected(), server()
    for it, ready_s in ((open_one, RTT_S), (new_one, 2 * RTT_S)):
        it.ask(LANE, LEASE, 0, int(RATE), 0.0)
        said = played(it)
        at, event = said[0]
        assert event == FirstByte(LEASE, RTT_S)
        assert at == pytest.approx(ready_s)
        assert ends(said) == [pytest.approx(ready_s + 1.0)]


def test_what_is_asked_behind_another_waits_for_no_round_trip() -> None:
    it = connected()
    it.ask(LANE, 1, 0, int(RATE), 0.0)
    it.ask(LANE, 2, int(RATE), 2 * int(RATE), 0.0)
    assert ends(played(it)) == [pytest.approx(1.1), pytest.approx(2.1)]


def test_connections_share_the_rate_and_none_exceeds_its_limit() -> None:
    for limit, took_s in ((FOREVER, 2.0), (RATE / 4, 4.0)):
        it = connected(lane_limit=limit)
        it.adopt(2, 0, 0)
        for lane in (1, 2):
            it.ask(lane, lane, 0, int(RATE), 0.0)
        assert ends(played(it)) == [pytest.approx(RTT_S + took_s)] * 2


def test_one_connection_too_many_is_refused() -> None:
    it = connected(max_connections=1, retry_after_s=None)
    it.ask(2, LEASE, 0, 1000, 0.0)
    ((at, failed),) = faults(played(it))
    assert failed == Failed(LEASE, 0, FaultKind.BUSY, None)
    assert at == pytest.approx(RTT_S)


def test_a_cut_loses_what_is_on_its_way_and_no_more_than_was_asked_for() -> None:
    for asked, lost in ((10 * int(RATE), RATE * RTT_S / 2 + min(SOCKET_BYTES, RATE * QUEUE_S)), (1_010_000, 10_000)):
        it = connected()
        it.ask(LANE, LEASE, 0, asked, 0.0)
        played(it, RTT_S)
        assert it.shrink(LANE, LEASE, int(RATE)) == int(RATE)
        assert ends(played(it)) == [pytest.approx(RTT_S + 1.0)]
        assert it.cut_bytes == pytest.approx(lost)
        assert it.cut_bytes < WINDOW_BYTES


def test_what_is_asked_behind_a_cut_is_asked_anew_on_a_new_connection() -> None:
    it = connected()
    it.ask(LANE, 1, 0, 10 * int(RATE), 0.0)
    it.ask(LANE, 2, 10 * int(RATE), 11 * int(RATE), 0.0)
    played(it, RTT_S)
    it.shrink(LANE, 1, int(RATE))
    assert ends(played(it)) == [pytest.approx(1.1), pytest.approx(1.1 + 2 * RTT_S + 1.0)]


# -- the dark


@pytest.mark.parametrize(("first_s", "length_s", "late_s"), [
    (0.2, 0.1, 0.1), (0.2, 0.25, 0.35), (0.2, 1.0, 0.4), (0.2, 20.0, 5.4), (1.0, 2.9, 0.1), (1.0, 3.1, 3.9),
])  # fmt: skip
def test_time_outs_double(first_s: float, length_s: float, late_s: float) -> None:
    """Sent again after 0.2, 0.6, 1.4, 3.0, 6.2, 12.6, 25.4 s: the first of these after the dark wakes it up."""
    assert resent_at(Span(100.0, 100.0 + length_s), first_s) == pytest.approx(100.0 + length_s + late_s)


def test_a_connection_that_slept_through_the_dark_wakes_up_late() -> None:
    dark = Span(0.5, 5.5)
    it = connected(dark=(dark,))
    it.ask(LANE, LEASE, 0, int(RATE), 0.0)
    wakes_at = resent_at(dark, max(MIN_RESEND_S, 2 * RTT_S))
    assert wakes_at > dark.end
    # Four tenths of a second were used before the dark.
    assert ends(played(it)) == [pytest.approx(wakes_at + 0.6)]


def test_no_byte_moves_in_the_dark() -> None:
    it = connected(dark=(Span(0.5, 5.5),))
    it.ask(LANE, LEASE, 0, 10 * int(RATE), 0.0)
    played(it, 0.5)
    before = it.served_bytes
    played(it, 5.4)
    assert it.served_bytes == before == pytest.approx(0.4 * RATE)


def test_a_distant_connection_sleeps_longer() -> None:
    dark = Span(2.0, 3.0)
    woken = [
        ends(played(asked(connected(dark=(dark,), rtt_s=rtt_s), 3 * int(RATE))))[0] - rtt_s for rtt_s in (0.01, 1.0)
    ]
    assert woken[0] == pytest.approx(3.0 + resent_at(dark, MIN_RESEND_S) - dark.start)
    assert woken[1] == pytest.approx(3.0 + resent_at(dark, 2.0) - dark.start)


def asked(it: Server, count: int) -> Server:
    it.ask(LANE, LEASE, 0, count, 0.0)
    return it


def test_a_handshake_in_the_dark_is_sent_again_after_a_second_then_two() -> None:
    it = server(dark=(Span(1.0, 3.0),))
    it.fire(1.0)
    it.ask(LANE, LEASE, 0, int(RATE), 1.5)
    # Sent at 1.5, 2.5 and 4.5; then the answer to it, the request, and a second of bytes.
    assert CONNECT_RESEND_S == 1.0
    assert ends(played(it)) == [pytest.approx(4.5 + 2 * RTT_S + 1.0)]


def test_a_new_connection_is_there_sooner_than_one_that_slept() -> None:
    dark = Span(1.0, 21.0)
    old = asked(connected(dark=(dark,)), 3 * int(RATE))
    played(old, 21.5)
    old.ask(2, 8, 0, 1000, 21.5)
    said = played(old)
    (first, _), *_ = [(at, event) for at, event in said if isinstance(event, Ended) and event.lease == 8]
    assert first < 22.0 < resent_at(dark, MIN_RESEND_S)


def test_a_request_that_waits_when_the_dark_begins_is_answered_after_it() -> None:
    dark = Span(0.05, 2.0)
    it = connected(dark=(dark,))
    it.ask(LANE, LEASE, 0, int(RATE), 0.0)
    (end,) = ends(played(it))
    assert end == pytest.approx(resent_at(dark, max(MIN_RESEND_S, 2 * RTT_S)) + 1.0)


# -- dead and busy


@pytest.mark.parametrize(("fault", "kind", "wait_s"), [
    ("dead", FaultKind.PASSING, None), ("busy", FaultKind.BUSY, 3.0),
])  # fmt: skip
def test_connections_are_broken_and_new_ones_refused(fault: str, kind: FaultKind, wait_s: float | None) -> None:
    it = connected(retry_after_s=wait_s, **{fault: (Span(1.0, 4.0),)})
    it.ask(LANE, LEASE, 0, 10 * int(RATE), 0.0)
    (at, failed), *_ = faults(played(it, 2.0))
    assert (at, failed.kind, failed.retry_after_s) == (1.0, kind, wait_s)
    assert failed.position == pytest.approx(0.9 * RATE, abs=1)
    it.ask(2, 8, 0, 1000, 2.0)
    assert [failed.lease for _, failed in faults(played(it, 3.0))] == [8]
    it.ask(3, 9, 0, 1000, 4.0)
    assert len(ends(played(it))) == 1


def test_retry_after_tells_the_truth() -> None:
    """Whoever is refused at any moment and obeys finds the server back, or is told to wait once more: it is never
    back long before."""
    spans = [
        (source.busy[0], source.retry_after_s)
        for seed in range(300)
        for source in random_script(seed).sources
        if source.busy and source.retry_after_s is not None
    ]
    assert len(spans) > 20
    for span, wait_s in spans:
        length = (span.end - span.start) / wait_s
        assert length == pytest.approx(round(length)), "obeyed from its beginning, the last wait ends when it does"
