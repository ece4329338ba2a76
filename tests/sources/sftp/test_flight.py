"""Which reads are under way: without gaps, never beyond the end, more where the line is fast."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from thunderdl.sources.sftp.flight import MOST_BYTES, Flight


def asked_all(flight: Flight, end: int, first_id: int = 1) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while wanted := flight.wants(end):
        flight.ask(first_id + len(found), wanted[1])
        found.append(wanted)
    return found


def test_begins_with_two_reads_and_grows_with_what_comes_in_a_second() -> None:
    flight = Flight()
    flight.chunk_bytes = 1000
    flight.begin(500, 100_000, now=10.0)
    assert asked_all(flight, 100_000) == [(500, 1000), (1500, 1000)]
    assert flight.came(1000, now=10.1)
    # 10,000 bytes a second.
    assert sum(length for _, length in asked_all(flight, 100_000)) == 9000


def test_what_is_under_way_is_bounded() -> None:
    flight = Flight()
    flight.begin(0, 1 << 40, now=0.0)
    asked_all(flight, 1 << 40)
    flight.came(32768, now=1e-9)
    assert sum(length for _, length in asked_all(flight, 1 << 40)) <= MOST_BYTES


def test_nothing_is_asked_beyond_a_lowered_end() -> None:
    flight = Flight()
    flight.chunk_bytes = 1000
    flight.begin(0, 100_000, now=0.0)
    assert asked_all(flight, 1500) == [(0, 1000), (1000, 500)]


def test_a_short_reply_is_asked_for_its_rest_and_lowers_what_is_asked() -> None:
    flight = Flight()
    flight.chunk_bytes = 10_000
    flight.begin(0, 100_000, now=0.0)
    asked_all(flight, 20_000)
    assert flight.split(9, 6000) == (6000, 4000)
    assert flight.chunk_bytes == 6000
    assert flight.came(6000, now=1.0)
    assert flight.first is not None
    assert (flight.first.request_id, flight.first.start, flight.first.length) == (9, 6000, 4000)
    assert flight.find(9) is not None
    assert flight.find(1) is None


def test_another_range_leaves_what_was_under_way() -> None:
    flight = Flight()
    flight.begin(0, 1 << 20, now=0.0)
    asked_all(flight, 1 << 20)
    assert flight.begin(7, 9, now=0.0) == [1, 2]
    assert asked_all(flight, 1 << 20) == [(7, 2)]


@given(st.lists(st.integers(1, 40_000), max_size=60), st.integers(0, 300_000))
def test_what_comes_is_the_whole_range_in_order(replies: list[int], length: int) -> None:
    flight, position, next_id = Flight(), 100, 1
    flight.begin(100, 100 + length, now=0.0)
    for now, size in enumerate(replies):
        while wanted := flight.wants(100 + length):
            flight.ask(next_id, wanted[1])
            next_id += 1
        first = flight.first
        if first is None:
            assert position == 100 + length
            break
        assert first.start == position
        if size < first.length:
            wanted = (position + size, first.length - size)
            assert flight.split(next_id, size) == wanted
            next_id += 1
        position += first.length
        assert flight.came(first.length, now=float(now + 1))
