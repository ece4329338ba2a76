from __future__ import annotations

from collections.abc import Callable

import pytest

from thunderdl.core.climbing import FIRST_REST_S, MAX_REST_S, Climb

STEP_S = 0.1
LATENCY_S = 0.05
MB = 1_000_000


class Slope:
    """A source that gives ``goodput(lanes)`` bytes a second to as many lanes as the climb wants."""

    def __init__(self, climb: Climb, goodput: Callable[[int], float], *, cap: int = 16) -> None:
        self.climb, self.goodput, self.cap = climb, goodput, cap
        self.now = self.total = 0.0
        self.raised_at: list[float] = []
        self.levels: list[int] = [climb.lanes]

    def climb_for(self, seconds: float) -> int:
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            flowing = min(self.climb.lanes, self.cap)
            self.total += self.goodput(flowing) * STEP_S
            self.climb.observe(flowing, self.cap, round(self.total), LATENCY_S, self.now)
            if self.climb.lanes != self.levels[-1]:
                if self.climb.lanes > self.levels[-1]:
                    self.raised_at.append(self.now)
                self.levels.append(self.climb.lanes)
        return self.climb.lanes


def each_lane_gives(rate: float) -> Callable[[int], float]:
    return lambda lanes: rate * lanes


def shared(rate: float) -> Callable[[int], float]:
    return lambda lanes: rate


def test_lanes_go_up_in_leaps_as_long_as_each_brings_as_much() -> None:
    slope = Slope(Climb(1), each_lane_gives(MB))
    assert slope.climb_for(20) == 16
    assert slope.levels == [1, 2, 8, 16]
    assert slope.climb.lane_bound is True


def test_lanes_never_exceed_the_cap() -> None:
    slope = Slope(Climb(1), each_lane_gives(MB), cap=6)
    slope.climb_for(20)
    assert slope.levels == [1, 2, 6]


def test_no_step_without_a_measurement_at_the_level_before() -> None:
    climb = Climb(2)
    for step in range(100):
        climb.observe(1, 16, step * MB, LATENCY_S, step * STEP_S)
    assert climb.lanes == 2, "one of two lanes flows: nothing is known of two"


def test_a_trial_that_does_not_help_is_taken_back() -> None:
    slope = Slope(Climb(4), shared(4 * MB))
    assert slope.climb_for(3) == 4
    assert slope.levels == [4, 8, 4]
    assert slope.climb.lane_bound is False


def test_one_lane_too_many_is_worth_two_percent_at_least() -> None:
    slope = Slope(Climb(4), lambda lanes: MB * (1 + 0.01 * lanes))
    assert slope.climb_for(3) == 4


def test_climbs_as_far_as_it_helps_and_stays_there() -> None:
    slope = Slope(Climb(1), lambda lanes: MB * min(lanes, 4))
    assert slope.climb_for(5) == 4
    assert slope.levels == [1, 2, 8, 4]
    assert slope.climb.lane_bound is True, "up to four, each lane brought more"


def test_after_each_vain_trial_comes_a_longer_rest() -> None:
    slope = Slope(Climb(4), shared(4 * MB))
    slope.climb_for(200)
    rests = [later - earlier for earlier, later in zip(slope.raised_at, slope.raised_at[1:], strict=False)]
    assert len(rests) >= 6, "it goes on trying"
    for number, rest in enumerate(rests):
        least = min(FIRST_REST_S * 2**number, MAX_REST_S)
        assert least < rest < least + 3


def test_what_is_measured_before_the_new_lanes_are_up_does_not_count() -> None:
    """In the first round trip the new lanes bring nothing; a window over that would condemn them."""
    climb, total, now, flows_at = Climb(1), 0.0, 0.0, float("inf")
    while climb.lane_bound is None and now < 60:
        now += STEP_S
        if climb.lanes == 2:
            flows_at = min(flows_at, now + 1.0)
        total += STEP_S * (1.03 * MB if now > flows_at else MB)
        climb.observe(climb.lanes, 16, round(total), 1.0, now)
    assert climb.lane_bound is True


def test_step_down_has_no_more_than_told_and_not_none() -> None:
    climb = Climb(8)
    climb.step_down(12)
    assert climb.lanes == 8
    climb.step_down(3)
    assert climb.lanes == 3
    climb.step_down(0)
    assert climb.lanes == 1


def test_a_refusal_is_remembered_for_the_longest_rest() -> None:
    slope = Slope(Climb(4), each_lane_gives(MB))
    slope.climb.refused(2, 0.0)
    assert slope.climb_for(MAX_REST_S - 1) == 2
    assert slope.climb_for(3) > 2


def test_trying_says_whether_the_last_step_is_on_trial() -> None:
    slope = Slope(Climb(4), shared(4 * MB))
    seen = []
    for _ in range(30):
        slope.climb_for(STEP_S)
        seen.append((slope.climb.lanes, slope.climb.trying))
    assert set(seen) == {(4, False), (8, True)}


# -- lanes given and taken from outside


def test_room_that_was_not_there_before_may_be_tried() -> None:
    slope = Slope(Climb(4), each_lane_gives(MB), cap=4)
    slope.climb_for(2)
    slope.climb.allow(5)
    assert (slope.climb.lanes, slope.climb.trying) == (5, True)
    slope.cap = 5
    slope.climb_for(2)
    assert (slope.climb.lanes, slope.climb.trying) == (5, False), "it helped"
    slope.climb.allow(3)
    assert slope.climb.lanes == 5, "that is no order to have fewer"


def test_room_that_does_not_help_is_given_back() -> None:
    slope = Slope(Climb(4), shared(MB), cap=4)
    slope.climb_for(2)
    slope.cap = 5
    slope.climb.allow(5)
    slope.climb_for(2)
    assert slope.climb.lanes == 4
    assert slope.climb.lane_bound is False


def test_it_rests_after_what_did_not_help_and_only_then() -> None:
    slope = Slope(Climb(4), shared(4 * MB))
    assert not slope.climb.rests(0.0)
    while slope.climb.lane_bound is None:
        slope.climb_for(STEP_S)
    assert slope.climb.rests(slope.now + FIRST_REST_S - 0.01)
    assert not slope.climb.rests(slope.now + FIRST_REST_S)


@pytest.mark.parametrize(("goodput", "learned"), [(shared(4 * MB), False), (each_lane_gives(MB), True)])
@pytest.mark.parametrize("given", [1, 2, 3])
def test_lanes_given_away_show_whether_lanes_matter(
    goodput: Callable[[int], float], *, learned: bool, given: int
) -> None:
    slope = Slope(Climb(4), goodput, cap=4)
    slope.climb_for(3)
    for _ in range(given):
        slope.climb.give_one()
    assert slope.climb.lanes == 4 - given
    slope.cap = 4 - given
    slope.climb_for(3)
    assert slope.climb.lane_bound is learned


def test_what_is_learned_from_one_lane_less_is_measured_when_it_has_ended() -> None:
    """Four lanes go on while three are wanted: that they bring the same says nothing."""
    slope = Slope(Climb(4), each_lane_gives(MB), cap=4)
    slope.climb_for(2)
    climb, total, now = slope.climb, slope.total, slope.now
    climb.give_one()
    for _ in range(30):
        now += STEP_S
        total += 4 * MB * STEP_S
        climb.observe(4, 4, round(total), LATENCY_S, now)
    assert (climb.lanes, climb.lane_bound) == (3, None)


def test_the_last_lane_is_not_given() -> None:
    climb = Climb(1)
    climb.give_one()
    assert climb.lanes == 1


def test_silence_says_nothing_of_how_many_lanes_are_good() -> None:
    slope = Slope(Climb(4), shared(0.0))
    slope.climb_for(5)
    assert slope.levels == [4]
    slope.goodput = each_lane_gives(MB)
    while slope.climb.lanes == 4:
        slope.climb_for(STEP_S)
    slope.goodput = shared(0.0)
    slope.climb_for(5)
    assert (slope.climb.lanes, slope.climb.lane_bound) == (8, None), "nor whether the trial helped"
