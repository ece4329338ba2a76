"""Lanes shared among downloads: within the caps, by weight, nobody without, nothing unused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from thunderdl.core.climbing import Climb
from thunderdl.core.roster import Roster, Source
from thunderdl.core.sharing import (
    KEEP_S,
    RAMP_S,
    SATED_FOR_S,
    SATED_S,
    TAKING_S,
    UNBOUNDED,
    Appetite,
    Claim,
    Kept,
    Ramp,
    apportion,
    fair,
    wanted_lanes,
)

NOW = 1000.0


def test_where_all_wishes_fit_nobody_is_limited() -> None:
    assert fair(16, [(1.0, 4, 4), (1.0, 2, 4)]) == [12, 12]


def test_two_that_want_all_have_half() -> None:
    assert fair(16, [(1.0, 16, 32), (1.0, 1, 32)]) == [8, 8]


def test_weights() -> None:
    assert fair(16, [(1.0, 8, 99), (3.0, 8, 99)]) == [4, 12]


def test_what_one_does_not_want_the_others_have() -> None:
    assert fair(16, [(1.0, 2, 2), (1.0, 8, 99), (1.0, 8, 99)]) == [2, 7, 7]


def test_what_is_kept_for_openings_is_not_given_out() -> None:
    assert fair(16, [(1.0, 16, 32)], kept=3) == [13]


def test_but_everybody_has_a_lane_first() -> None:
    assert fair(4, [(1.0, 4, 9), (1.0, 1, 9), (1.0, 0, 9)], kept=3) == [1, 1, 1]


def test_who_has_a_lane_keeps_it() -> None:
    assert fair(2, [(1.0, 0, 9), (1.0, 1, 9), (1.0, 1, 9)]) == [0, 1, 1]


def claim(weight: float = 1.0, most: int = UNBOUNDED, **hosts: tuple[int, int]) -> Claim:
    """``hosts``: (held, wanted) by host."""
    return Claim(
        weight=weight, held={host: held for host, (held, _) in hosts.items()},
        wanted={host: wanted for host, (_, wanted) in hosts.items()}, most=most,
    )  # fmt: skip


def test_hosts_and_all_together() -> None:
    claims = [claim(a=(16, 32), b=(4, 4)), claim(a=(1, 32))]
    shares = apportion(claims, in_all=32, cap=lambda _: 16, kept={})
    assert [share.hosts["a"] for share in shares] == [8, 8]
    assert shares[0].hosts["b"] == 16
    assert all(share.lanes >= 12 for share in shares[:1])


def test_the_lanes_in_all_are_shared_too() -> None:
    claims = [claim(a=(16, 32), b=(16, 32)), claim(c=(1, 32))]
    shares = apportion(claims, in_all=32, cap=lambda _: 16, kept={})
    assert [share.lanes for share in shares] == [16, 16]


def test_who_can_use_no_more_gets_no_more() -> None:
    assert apportion([claim(most=3, a=(3, 16))], in_all=32, cap=lambda _: 16, kept={})[0].lanes == 3


wishes = st.lists(st.tuples(st.floats(0.1, 10), st.integers(0, 20), st.integers(0, 40)), max_size=12)


@given(st.integers(1, 40), wishes, st.integers(0, 20))
def test_the_invariants(capacity: int, wishes: list[tuple[float, int, int]], kept: int) -> None:
    given_out = fair(capacity, wishes, kept)
    used = [min(lanes, wanted) for lanes, (_, _, wanted) in zip(given_out, wishes, strict=True)]
    wanting = [index for index, (_, _, wanted) in enumerate(wishes) if wanted]
    assert all(lanes >= 0 for lanes in given_out)
    # Within the cap; and what is kept is touched only for everybody's first.
    assert sum(used) <= capacity
    assert sum(used) <= max(capacity - kept, len(wanting))
    # Nobody at zero while there is room; nothing unused while somebody wants it.
    assert sum(1 for index in wanting if used[index]) == min(len(wanting), capacity)
    if any(used[index] < wishes[index][2] for index in wanting):
        assert sum(used) >= min(capacity - kept, sum(wanted for _, _, wanted in wishes))
    # By weight: who wants more has no less for its weight than another, but for the one lane that cannot be split.
    for index in wanting:
        if 0 < used[index] < wishes[index][2]:
            assert all(
                used[other] <= 1 or (used[other] - 1) / wishes[other][0] <= used[index] / wishes[index][0] + 1e-9
                for other in wanting
            )


def test_slots_are_kept_while_openings_need_them() -> None:
    kept = Kept()
    assert kept.look({"a": 3}, [], NOW) == {}
    assert kept.look({"a": 5}, ["a"], NOW) == {"a": 5}
    assert kept.look({"a": 2}, [], NOW + 0.1) == {"a": 5}
    assert kept.look({"a": 7}, [], NOW + KEEP_S) == {"a": 7}
    assert kept.look({"a": 2}, [], NOW + 2 * KEEP_S + 0.1) == {"a": 2}
    assert kept.look({}, [], NOW + 3 * KEEP_S + 0.2) == {}
    assert not kept._needed


def test_of_many_hosts_no_more_are_kept_than_were_needed_at_once() -> None:
    """One after the other of 40 hosts opened something: that needs one slot, not 40."""
    kept = Kept()
    for at in range(40):
        told = kept.look({f"h{at}": 1}, [f"h{at}"], NOW + at * 0.01)
        assert told == {f"h{at}": 1}
    assert sum(kept.look({"h1": 1, "h2": 1, "x": 1}, ["x"], NOW + 0.5).values()) == 3
    assert sum(kept.look({}, [], NOW + 0.6).values()) == 3
    assert kept.look({}, [], NOW + 9) == {}


def test_more_is_wanted_by_who_has_all_it_may_have() -> None:
    appetite = Appetite()
    assert appetite.wants_more(8, 8, NOW)
    assert appetite.wants_more(8, 12, NOW), "it has only just been given more"
    assert not appetite.wants_more(8, 12, NOW + TAKING_S)
    assert appetite.wants_more(12, 12, NOW + SATED_S / 2)


def test_who_left_some_unused_is_sated_for_a_while() -> None:
    appetite = Appetite()
    appetite.wants_more(4, 8, NOW)
    appetite.wants_more(4, 8, NOW + SATED_S)
    assert not appetite.wants_more(4, 4, NOW + SATED_S + 1)
    assert appetite.wants_more(4, 4, NOW + SATED_S + SATED_FOR_S)


def source(*, lanes: int, climb: int = 4) -> Source:
    roster = Roster()
    found = roster.add_source(Source(id=1, host="a", climb=Climb(climb)))
    for _ in range(lanes):
        roster.add_lane(found)
    return found


def test_what_a_source_could_use() -> None:
    assert wanted_lanes(source(lanes=1), wants_more=False) == 4
    assert wanted_lanes(source(lanes=4), wants_more=True) == 8
    assert wanted_lanes(source(lanes=4), wants_more=False) == 4


def test_a_source_that_brings_no_more_with_more_lanes_wants_none() -> None:
    found = source(lanes=4)
    found.climb.lane_bound = False
    assert wanted_lanes(found, wants_more=True) == 4


def test_a_source_that_is_of_no_use_wants_none() -> None:
    found = source(lanes=0)
    found.gone = True
    assert wanted_lanes(found, wants_more=True) == 0
    found = source(lanes=2)
    found.failures = 1
    assert wanted_lanes(found, wants_more=True) == 2
    found = source(lanes=0)
    found.random_access = False
    assert wanted_lanes(found, wants_more=True) == 1


def test_without_a_limit_there_is_no_bound() -> None:
    assert Ramp().lanes(limited=False, throttled=False, held=4, sources=2, now=NOW) is None


def lanes(ramp: Ramp, now: float, *, throttled: bool, held: int, sources: int = 1) -> int | None:
    return ramp.lanes(limited=True, throttled=throttled, held=held, sources=sources, now=now)


def test_under_a_limit_that_holds_it_back_a_download_has_no_more_lanes() -> None:
    ramp = Ramp()
    assert [lanes(ramp, NOW + second, throttled=True, held=1) for second in range(9)] == [1] * 9
    assert lanes(ramp, NOW + 9, throttled=True, held=3, sources=3) == 3


def test_under_a_limit_that_it_does_not_reach_it_gets_more() -> None:
    ramp, held, had = Ramp(), 1, []
    for step in range(12):
        held = lanes(ramp, NOW + step * RAMP_S / 2, throttled=False, held=held) or 0
        had.append(held)
    assert had[-1] >= 16
    assert had[1] == 1


def test_a_limit_that_comes_while_it_runs_takes_no_lanes() -> None:
    ramp = Ramp()
    ramp.lanes(limited=False, throttled=False, held=12, sources=1, now=NOW)
    assert lanes(ramp, NOW + 1, throttled=True, held=12) == 12
