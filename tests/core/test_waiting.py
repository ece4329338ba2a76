"""Who begins next: the host with least to do, in the order of arrival, nobody for ever last."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from thunderdl.core.waiting import MOST_WAITING, OLDEST_EVERY, WaitingRoom


def room_of(*hosts: str, jobs: int = 16, room: int = 16) -> WaitingRoom[int]:
    """Requests numbered in order, each for one of ``hosts``."""
    waiting = WaitingRoom[int](jobs, lambda _: room)
    for number, host in enumerate(hosts):
        waiting.add(number, host)
    return waiting


def begun(waiting: WaitingRoom[int], *, long: int = 0) -> list[int]:
    """All that begin now."""
    found = []
    while waiting.has_place(long) and (next_one := waiting.begin()) is not None:
        found.append(next_one[0])
    return found


def test_one_host_keeps_its_order() -> None:
    assert begun(room_of(*"aaaa")) == [0, 1, 2, 3]


def test_no_more_than_so_many_at_once() -> None:
    waiting = room_of(*"aaaaaa", jobs=4)
    assert begun(waiting) == [0, 1, 2, 3]
    waiting.ended("a")
    assert begun(waiting) == [4]
    assert waiting.running == 4


def test_other_hosts_are_not_left_idle_behind_one() -> None:
    assert begun(room_of(*"aaaaaaaabc", jobs=4)) == [0, 8, 9, 1]


def test_hosts_take_turns() -> None:
    assert begun(room_of(*"aaaabbbb", jobs=6)) == [0, 4, 1, 5, 2, 6]


def test_a_host_has_no_more_than_it_has_room_for() -> None:
    waiting = room_of(*"aaaab", room=2)
    assert begun(waiting) == [0, 4, 1]
    waiting.ended("b")
    assert begun(waiting) == []
    waiting.ended("a")
    assert begun(waiting) == [2]


def test_a_host_without_room_has_one_all_the_same() -> None:
    assert begun(room_of(*"aa", room=0)) == [0]


def test_long_ones_leave_room_for_others_but_not_without_end() -> None:
    waiting = room_of(*"a" * 20, jobs=4)
    assert len(begun(waiting)) == 4
    assert len(begun(waiting, long=1)) == 1
    assert len(begun(waiting, long=5)) == 1
    assert begun(waiting, long=6) == []


def test_one_at_a_time_is_one_at_a_time() -> None:
    waiting = room_of(*"aaa", jobs=1)
    assert len(begun(waiting)) == 1
    assert begun(waiting, long=1) == []


def test_nobody_waits_for_ever() -> None:
    """A host that always has something running, beside an endless stream of new hosts."""
    waiting = WaitingRoom[int](4, lambda _: 16)
    for number in range(3):
        waiting.add(number, "busy")
    first, _ = waiting.begin() or (None, "")
    assert first == 0
    rounds = 0
    while waiting._waiting.get("busy"):
        rounds += 1
        waiting.add(1000 + rounds, f"new{rounds}")
        _, host = waiting.begin() or (None, "")
        if host != "busy":
            waiting.ended(host)
        assert rounds <= 3 * OLDEST_EVERY


def test_those_that_wait_can_be_dropped() -> None:
    waiting = room_of(*"aab", jobs=1)
    begun(waiting)
    waiting.clear()
    waiting.ended("a")
    assert begun(waiting) == []
    assert len(waiting) == 0


def test_it_is_full_at_some_point() -> None:
    waiting = room_of(*"a" * MOST_WAITING)
    assert waiting.is_full
    waiting.begin()
    assert not waiting.is_full


moves = st.lists(st.one_of(st.sampled_from("abcdef"), st.just(""), st.integers(0, 5)), max_size=300)


@given(st.integers(1, 5), st.integers(0, 3), moves)
def test_each_begins_once_within_the_bounds(jobs: int, room: int, moves: list[str | int]) -> None:
    """A letter: one for that host comes; "": all begin that may; a number: one that runs ends."""
    waiting = WaitingRoom[int](jobs, lambda _: room)
    running: list[str] = []
    came = begun_so_far = 0
    last: dict[str, int] = {}
    for move in [*moves, *[""] * 400]:
        if isinstance(move, int):
            if running:
                waiting.ended(running.pop(move % len(running)))
        elif move:
            waiting.add(came, move)
            came += 1
        else:
            if running and not came % 2:
                waiting.ended(running.pop())
            while waiting.has_place() and (found := waiting.begin()) is not None:
                number, host = found
                assert number > last.get(host, -1), "the order within a host"
                last[host] = number
                running.append(host)
                begun_so_far += 1
            # Nothing idles that could run.
            counts = Counter(running)
            blocked = all(counts[host] >= max(1, room) for host in waiting._waiting)
            assert not waiting or not waiting.has_place() or blocked
        counts = Counter(running)
        assert len(running) == waiting.running <= jobs
        assert all(count <= max(1, room) for count in counts.values())
        assert begun_so_far + len(waiting) == came
    assert len(waiting._hosts) <= 4 * len(waiting._waiting) + MOST_WAITING + 1


def test_the_line_of_hosts_does_not_grow() -> None:
    waiting = WaitingRoom[int](4, lambda _: 1)
    for number in range(20_000):
        waiting.add(number, f"h{number % 3}")
        while waiting.has_place() and (found := waiting.begin()) is not None:
            waiting.ended(found[1])
    assert len(waiting._hosts) < 2 * MOST_WAITING
