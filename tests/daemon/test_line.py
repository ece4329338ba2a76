"""The order of the tasks that wait, against a plain list."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from thunderdl.daemon.jobs import Job, State, Wish
from thunderdl.daemon.line import Line, Whence, place_of


def job(name: str) -> Job:
    return Job(name, Wish(urls=("http://h/f",)))


@given(st.lists(st.tuples(st.sampled_from(["insert", "move", "remove", "away"]), st.integers(0, 9), st.integers(0, 9))))
def test_it_is_in_the_order_of_a_plain_list_and_ranks_ascend(steps: list[tuple[str, int, int]]) -> None:
    line = Line()
    plain: list[Job] = []
    for number, (step, here, there) in enumerate(steps):
        if step == "insert" or not plain:
            new = job(str(number))
            at = min(there, len(plain))
            line.insert([new], at)
            plain.insert(at, new)
            continue
        one = plain[here % len(plain)]
        if step == "move":
            to = min(there, len(plain) - 1)
            line.move(one, to)
            plain.remove(one)
            plain.insert(to, one)
        elif step == "remove":
            line.remove(one)
            plain.remove(one)
        else:
            line.remove(one)
            line.come_back(one)
        assert list(line) == plain
        assert all(left.rank < right.rank for left, right in pairwise(plain))
        assert [line.index(each) for each in plain] == list(range(len(plain)))


def test_between_two_neighbours_there_is_always_room() -> None:
    line = Line()
    first, last = job("first"), job("last")
    line.insert([first, last])
    for number in range(200):
        touched = line.insert([job(str(number))], 1)
        assert touched
    assert [each.gid for each in line] == ["first", *map(str, reversed(range(200))), "last"]


def test_one_that_comes_back_after_all_were_numbered_anew_takes_no_other_ones_rank() -> None:
    line = Line()
    jobs = [job(str(number)) for number in range(3)]
    line.insert(jobs)
    line.remove(jobs[1])
    jobs[1].rank = jobs[0].rank
    assert jobs[1] in line.come_back(jobs[1])
    assert len({each.rank for each in line}) == 3


def test_the_next_is_the_first_that_waits_and_may() -> None:
    line = Line()
    jobs = [job(str(number)) for number in range(4)]
    line.insert(jobs)
    jobs[0].state = State.PAUSED
    assert line.first(lambda each: each.gid != "1") is jobs[2]
    assert line.first(lambda each: False) is None


def test_a_line_of_which_all_are_paused_is_looked_at_once_until_one_of_them_waits() -> None:
    line = Line()
    jobs = [job(str(number)) for number in range(3)]
    for each in jobs:
        each.state = State.PAUSED
    line.insert(jobs)
    assert line.first(lambda each: True) is None
    jobs[1].state = State.WAITING
    assert line.first(lambda each: True) is None
    line.wake()
    assert line.first(lambda each: True) is jobs[1]
    # One that may not begin yet is looked at again.
    assert line.first(lambda each: False) is None
    assert line.first(lambda each: True) is jobs[1]
    line.remove(jobs[1])
    assert line.first(lambda each: True) is None
    line.come_back(jobs[1])
    assert line.first(lambda each: True) is jobs[1]


def test_a_move_is_counted_from_the_start_from_here_or_from_the_end_and_kept_in_line() -> None:
    assert place_of(Whence.START, 2, 0, 5) == 2
    assert place_of(Whence.HERE, -1, 3, 5) == 2
    assert place_of(Whence.END, -1, 0, 5) == 3
    assert place_of(Whence.START, 99, 0, 5) == 4
    assert place_of(Whence.HERE, -99, 3, 5) == 0


def test_those_that_came_to_have_one_rank_each_get_their_own() -> None:
    jobs = [job(name) for name in "abc"]
    for one, rank in zip(jobs, (1.0, 1.0, 2.0), strict=True):
        one.rank = rank
    line = Line(jobs)
    assert [line.index(one) for one in line] == [0, 1, 2]
    assert list(line.changed) == list(line)
    assert Line(jobs).changed == ()
