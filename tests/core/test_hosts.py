"""What a host's refusals mean for all downloads: caps, pauses, recovery, and memory that stays flat."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.core import hosts as hosts_module
from thunderdl.core.hosts import LONGEST_WISH_S, MAX_HOSTS, QUIET_S, STEP_S, Hosts, Refusal

NOW = 1000.0
MOST = 16


def refusal(
    *, held: int = 16, working: int = 0, is_new: bool = False, retry_after_s: float | None = None, url: str = "u",
    is_of_host: bool = True,
) -> Refusal:  # fmt: skip
    return Refusal(
        url=url, held=held, working=working, is_new=is_new, is_of_host=is_of_host, retry_after_s=retry_after_s
    )


@pytest.fixture
def hosts() -> Hosts:
    return Hosts(MOST)


def test_a_host_that_refuses_nothing_has_the_cap_of_all(hosts: Hosts) -> None:
    assert hosts.cap("a", NOW) == MOST
    assert hosts.paused_until("a") == 0.0
    assert hosts.next_change(NOW) is None


def test_what_worked_and_is_refused_halves_the_host(hosts: Hosts) -> None:
    hosts.refused("a", NOW, refusal(held=12, working=11))
    assert hosts.cap("a", NOW) == 6
    assert hosts.cap("b", NOW) == MOST


def test_one_connection_more_than_it_wants_leaves_the_others(hosts: Hosts) -> None:
    hosts.refused("a", NOW, refusal(held=5, working=4, is_new=True))
    assert hosts.cap("a", NOW) == 4
    assert hosts.paused_until("a") == 0.0


def test_one_connection_more_with_a_wish_is_tried_after_it(hosts: Hosts) -> None:
    hosts.refused("a", NOW, refusal(held=5, working=4, is_new=True, retry_after_s=7))
    assert hosts.cap("a", NOW) == 4
    assert hosts.wished_until("a") == hosts.paused_until("a") == NOW + 7


def test_many_that_hear_of_one_refusal_are_one(hosts: Hosts) -> None:
    for number in range(8):
        hosts.refused("a", NOW + number / 10, refusal(held=16 - number, retry_after_s=number))
    assert hosts.cap("a", NOW + 1) == 8
    assert hosts.wished_until("a") == pytest.approx(NOW + 0.7 + 7)


def test_several_too_many_at_once_leave_as_many_as_there_is_room_for(hosts: Hosts) -> None:
    """Four lanes are opened at the same time, the server takes two: one works, the other has not answered yet."""
    assert hosts.refused("a", NOW, refusal(held=4, working=1, is_new=True))
    assert hosts.refused("a", NOW + 0.01, refusal(held=3, working=1, is_new=True))
    assert hosts.cap("a", NOW + 0.1) == 2


def test_first_one_too_many_and_then_those_that_worked(hosts: Hosts) -> None:
    hosts.refused("a", NOW, refusal(held=9, working=8, is_new=True))
    hosts.refused("a", NOW + 0.1, refusal(held=8, working=7))
    assert hosts.cap("a", NOW + 0.2) == 4
    hosts.refused("a", NOW + 0.2, refusal(held=7, working=6))
    assert hosts.cap("a", NOW + 0.3) == 4


def test_never_less_than_one(hosts: Hosts) -> None:
    for number in range(10):
        hosts.refused("a", NOW + 2 * number, refusal(held=1))
    assert hosts.cap("a", NOW + 20) == 1


def test_it_recovers_step_by_step_after_a_quiet_while(hosts: Hosts) -> None:
    hosts.refused("a", NOW, refusal(held=16, working=15))
    caps = [hosts.cap("a", NOW + after) for after in (QUIET_S - 1, QUIET_S, QUIET_S + STEP_S, QUIET_S + 2 * STEP_S)]
    assert caps == [8, 9, 10, 11]
    assert hosts.cap("a", NOW + QUIET_S + 8 * STEP_S) == MOST
    assert len(hosts) == 0


def test_the_quiet_while_begins_after_the_pause(hosts: Hosts) -> None:
    hosts.refused("a", NOW, refusal(held=2, retry_after_s=100))
    assert hosts.cap("a", NOW + 100 + QUIET_S - 1) == 1
    assert hosts.cap("a", NOW + 100 + QUIET_S) == 2


def test_a_limit_of_the_server_that_was_found_is_tried_ever_more_rarely(hosts: Hosts) -> None:
    now, waits = NOW, []
    hosts.refused("a", now, refusal(held=5, working=4, is_new=True))
    for _ in range(4):
        began = now
        while hosts.cap("a", now) == 4:
            now += 1
        waits.append(now - began)
        hosts.refused("a", now, refusal(held=5, working=4, is_new=True))
    assert waits == [QUIET_S, 2 * QUIET_S, 4 * QUIET_S, 8 * QUIET_S]


def test_without_a_wish_the_pause_grows_with_the_time_that_it_lasts(hosts: Hosts) -> None:
    now, pauses = NOW, []
    for _ in range(12):
        hosts.refused("a", now, refusal(held=1))
        pauses.append(hosts.paused_until("a") - now)
        now = hosts.paused_until("a") + 0.1
    assert pauses[:3] == [1.0, 1.0, 1.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] > 2.0
    assert hosts.wished_until("a") == 0.0


def test_others_that_work_need_no_pause(hosts: Hosts) -> None:
    hosts.refused("a", NOW, refusal(held=4, working=3))
    assert hosts.paused_until("a") == 0.0


def test_a_wish_has_its_limit(hosts: Hosts) -> None:
    hosts.refused("a", NOW, refusal(retry_after_s=1e9))
    assert hosts.paused_until("a") == NOW + LONGEST_WISH_S


def test_one_url_that_is_refused_again_and_again_is_its_own_trouble(hosts: Hosts) -> None:
    for number in range(5):
        hosts.refused("a", NOW + number, refusal(url="broken", is_of_host=False))
    assert hosts.cap("a", NOW + 5) == MOST


def test_two_urls_refused_are_the_host(hosts: Hosts) -> None:
    hosts.refused("a", NOW, refusal(url="one", is_of_host=False))
    hosts.refused("a", NOW + 1, refusal(url="two", is_of_host=False))
    assert hosts.cap("a", NOW + 1) == 8


def test_two_urls_refused_long_after_each_other_are_not(hosts: Hosts) -> None:
    hosts.refused("a", NOW, refusal(url="one", is_of_host=False))
    hosts.refused("a", NOW + 60, refusal(url="two", is_of_host=False))
    assert hosts.cap("a", NOW + 60) == MOST


def test_a_wish_is_of_the_host_whatever_the_url(hosts: Hosts) -> None:
    hosts.refused("a", NOW, refusal(is_of_host=False, retry_after_s=5))
    assert hosts.paused_until("a") == NOW + 5


def test_ever_so_many_hosts_cost_no_more_memory(hosts: Hosts) -> None:
    for number in range(3 * MAX_HOSTS):
        hosts.refused(f"host{number}", NOW, refusal())
        hosts.refused(f"doubtful{number}", NOW, refusal(is_of_host=False))
    assert len(hosts) == len(hosts._doubtful) == MAX_HOSTS
    assert hosts.cap(f"host{3 * MAX_HOSTS - 1}", NOW) == 8


steps = st.lists(
    st.tuples(
        st.floats(0, 40), st.integers(1, 40), st.integers(0, 40), st.booleans(), st.none() | st.floats(0, 100),
        st.booleans(),
    ),
    max_size=30,
)  # fmt: skip


@given(st.integers(1, 32), steps)
def test_whatever_happens_the_cap_is_within_bounds_and_comes_back(
    most: int, steps: list[tuple[float, int, int, bool, float | None, bool]]
) -> None:
    hosts, now = Hosts(most), NOW
    for pause_s, held, working, is_new, wish_s, is_of_host in steps:
        now += pause_s
        before = hosts.cap("a", now)
        hosts.refused(
            "a", now,
            refusal(held=held, working=working, is_new=is_new, retry_after_s=wish_s, is_of_host=is_of_host),
        )  # fmt: skip
        assert 1 <= hosts.cap("a", now) <= before <= most
        change = hosts.next_change(now)
        assert change is None or change > now
    for _ in range(10_000):
        change = hosts.next_change(now)
        if change is None:
            break
        now = change
        assert 1 <= hosts.cap("a", now) <= most
    assert hosts.cap("a", now + 1e6) == most
    assert hosts_module.MAX_QUIET_S < 1e6
