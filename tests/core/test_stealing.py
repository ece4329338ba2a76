"""The arithmetic of stealing: from whom, how much, and when it is left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.field import KIB, LATENCY_S, MIB, Field
from thunderdl.core.leasing import (
    CUT_BYTES,
    GAIN_SHARE,
    LOSS_SHARE,
    MAX_GAIN_S,
    MIN_GAIN_S,
    MIN_LONE_GAIN_S,
    MIN_UNSURE_GAIN_S,
    QUEUE_BYTES,
    QUEUE_S,
    WORTH_OF_WAY,
    Steal,
    cut_bytes,
    least_gain_s,
    on_its_way,
    position_now,
)
from thunderdl.core.roster import SILENT_S

SILENCE_S = LATENCY_S + SILENT_S + 0.1


def some(steal: Steal | None) -> Steal:
    assert steal is not None
    return steal


def taken(steal: Steal) -> int:
    return steal.victim.end - steal.cut


# -- how much


@pytest.mark.parametrize(("thief_rate", "victim_rate"), [(MIB, MIB), (4 * MIB, MIB), (MIB, 4 * MIB)])
def test_thief_and_victim_end_together(thief_rate: int, victim_rate: int) -> None:
    field = Field()
    victim, thief = field.lane(victim_rate), field.lane(thief_rate)
    lease = field.lease(victim, 0, 100 * MIB)
    steal = some(field.steal(thief))
    assert steal.victim is lease
    victim_s = steal.cut / victim_rate
    thief_s = thief.asking_s + (lease.end - steal.cut) / thief_rate
    assert thief_s == pytest.approx(victim_s, abs=2 * CUT_BYTES / min(thief_rate, victim_rate))
    assert steal.gain_s == pytest.approx(100 * MIB / victim_rate - max(victim_s, thief_s), abs=0.02)
    assert steal.cut % CUT_BYTES == 0


def test_a_thief_that_must_connect_first_takes_less() -> None:
    def taken_by(*, connected: bool) -> int:
        field = Field()
        field.lease(field.lane(MIB), 0, 10 * MIB)
        thief = field.lane(MIB, latency_s=1.0)
        thief.connected = connected
        return taken(some(field.steal(thief)))

    assert taken_by(connected=True) - taken_by(connected=False) == pytest.approx(MIB / 2, abs=2 * CUT_BYTES)


def test_a_thief_takes_no_more_than_it_can_bring_until_all_could_be_done() -> None:
    """Two of a crowd could share 100 MB and be done in 50 s; the crowd is in 10: the rest is for the others."""
    field = Field()
    field.lease(field.lane(MIB), 0, 100 * MIB)
    thief = field.lane(MIB)
    alone, in_a_crowd = some(field.steal(thief)), some(field.steal(thief, end_s=10.0))
    assert taken(alone) == pytest.approx(50 * MIB, abs=MIB)
    assert taken(in_a_crowd) == pytest.approx((10.0 - thief.asking_s) * MIB, abs=2 * CUT_BYTES)
    assert in_a_crowd.gain_s == pytest.approx(10.0 - thief.asking_s, abs=0.1)


def test_past_the_end_of_all_a_thief_shares_with_its_victim() -> None:
    field = Field()
    field.lease(field.lane(MIB), 0, 10 * MIB)
    assert taken(some(field.steal(field.lane(MIB), end_s=0.0))) == pytest.approx(5 * MIB, rel=0.02)


def test_no_less_is_taken_than_the_thiefs_source_finds_worth_it() -> None:
    for length, worth in ((3 * MIB, False), (10 * MIB, True)):
        field = Field()
        field.lease(field.lane(MIB), 0, length)
        steal = field.steal(field.lane(MIB, source=field.source(min_bytes=4 * MIB)), end_s=0.5)
        assert (steal is not None and taken(steal) >= 4 * MIB) is worth


@given(
    st.integers(10 * KIB, 10 * MIB), st.integers(10 * KIB, 10 * MIB), st.integers(1, 64 * MIB),
    st.floats(0, SILENT_S),
)  # fmt: skip
def test_a_steal_never_takes_a_crumb_nor_what_is_there(
    victim_rate: int, thief_rate: int, length: int, now: float
) -> None:
    field = Field()
    lease = field.lease(field.lane(victim_rate), 0, length)
    if steal := field.steal(field.lane(thief_rate), now):
        assert steal.gain_s > MIN_GAIN_S
        assert lease.position <= steal.cut < lease.end
        border = cut_bytes(victim_rate + thief_rate)
        assert taken(steal) >= border or steal.cut == lease.position
        assert taken(steal) >= WORTH_OF_WAY * on_its_way(victim_rate, LATENCY_S)
        assert steal.cut in (lease.position, position_now(lease, now)) or steal.cut % border == 0


def test_a_lease_with_less_than_a_border_left_is_taken_from_where_it_was_last_seen() -> None:
    field = Field()
    field.lease(field.lane(1000), 0, 1000)
    steal = some(field.steal(field.lane(MIB), 0.5))
    assert steal.cut == 0, "the victim answers where it is; a guess of that would leave it a crumb"


# -- what it must be worth


def test_what_is_worth_less_than_its_cost_is_left() -> None:
    for gain_s, worth in ((0.9 * MIN_GAIN_S, False), (1.5 * MIN_GAIN_S, True), (MAX_GAIN_S, True)):
        for least_s in (MIN_GAIN_S, MAX_GAIN_S):
            field = Field()
            victim, thief = field.lane(MIB, latency_s=0.001), field.lane(MIB, latency_s=0.001)
            field.lease(victim, 0, int(2 * MIB * gain_s))
            steal = field.steal(thief, 0.001, least_s=least_s)
            assert (steal is not None) is (worth and gain_s > least_s)


def test_whoever_takes_little_more_than_what_is_on_its_way_has_taken_nothing() -> None:
    """The victim is far away: what a cut loses is a second of its rate."""
    for share, worth in ((0.8, False), (1.2, True)):
        field = Field()
        victim, thief = field.lane(MIB, latency_s=2.0), field.lane(MIB, latency_s=0.001)
        # Half of it is to be taken, less what the victim will have brought of it until then.
        field.lease(victim, 0, int(2 * share * WORTH_OF_WAY * on_its_way(MIB, 2.0)))
        assert (field.steal(thief, 2.0) is not None) is worth


def test_on_its_way_are_half_a_round_trip_and_what_queues_hold() -> None:
    assert on_its_way(MIB, 1.0) == MIB / 2 + QUEUE_BYTES
    assert on_its_way(KIB, 0.0) == KIB * QUEUE_S


def test_a_distant_thief_needs_half_a_round_trip_of_gain() -> None:
    for latency_s, worth in ((0.05, True), (2.0, False)):
        field = Field()
        field.lease(field.lane(MIB), 0, 3 * MIB)
        assert (field.steal(field.lane(MIB, latency_s=latency_s)) is not None) is worth


def test_a_steal_must_be_worth_a_share_of_the_time_gone_by() -> None:
    assert least_gain_s(0.0, 0.0) == MIN_GAIN_S
    assert least_gain_s(MIN_GAIN_S / GAIN_SHARE * 2, 0.0) == pytest.approx(2 * MIN_GAIN_S)
    assert least_gain_s(1e6, 0.0) == MAX_GAIN_S


def test_what_cuts_have_lost_makes_further_ones_dearer_steeply() -> None:
    base = least_gain_s(5.0, 0.0)
    assert least_gain_s(5.0, LOSS_SHARE / 10) < 1.05 * base
    assert least_gain_s(5.0, LOSS_SHARE) == pytest.approx(2 * base)
    assert least_gain_s(5.0, 1.9 * LOSS_SHARE) == pytest.approx(4.61 * base)


def test_a_tenth_of_the_time_taken_so_far_is_worth_any_cut() -> None:
    assert least_gain_s(14.0, 10 * LOSS_SHARE) == pytest.approx(1.4)
    assert least_gain_s(14.0, 0.0) < 1.4


def test_of_the_last_bytes_that_were_just_taken_nothing_is_taken_again() -> None:
    """Nothing has come of the victim's request yet: idle lanes would hand it from one to the other."""
    for now, worth in ((0.0, False), (LATENCY_S + 0.001, True)):
        field = Field()
        field.lease(field.lane(MIB), 0, int(1.5 * MIN_LONE_GAIN_S * MIB))
        assert (field.steal(field.lane(MIB), now) is not None) is worth


def test_a_lease_that_waits_in_the_queue_is_there_to_take() -> None:
    field = Field()
    victim = field.lane(MIB)
    field.lease(victim, 0, CUT_BYTES)
    waiting = field.lease(victim, MIB, 2 * MIB)
    waiting.due_at = 100.0
    assert some(field.steal(field.lane(MIB))).victim is waiting


def test_a_lease_that_shows_who_brought_a_piece_is_left_alone_for_small_gains() -> None:
    for alone, length, worth in ((False, MIB, True), (True, MIB, False), (True, 10 * MIB, True)):
        field = Field()
        field.lease(field.lane(MIB), 0, length).alone = alone
        assert (field.steal(field.lane(MIB)) is not None) is worth


# -- from whom


def test_the_steal_that_helps_most_is_chosen() -> None:
    field = Field()
    field.lease(field.lane(4 * MIB), 0, 20 * MIB)
    slow = field.lease(field.lane(MIB), 20 * MIB, 40 * MIB)
    field.lease(field.lane(2 * MIB), 40 * MIB, 60 * MIB)
    assert some(field.steal(field.lane(MIB))).victim is slow


@pytest.mark.parametrize("state", ["shrinking", "cancelled"])
def test_nothing_is_stolen_twice(state: str) -> None:
    field = Field()
    lease = field.lease(field.lane(MIB), 0, 100 * MIB)
    setattr(lease, state, True)
    assert field.steal(field.lane(MIB)) is None


def test_nobody_steals_from_itself() -> None:
    field = Field()
    lane = field.lane(MIB)
    field.lease(lane, 0, 100 * MIB)
    assert field.steal(lane) is None


def test_a_thief_does_not_take_what_it_is_kept_away_from() -> None:
    field = Field()
    lease = field.lease(field.lane(MIB), 0, 100 * MIB)
    thief = field.lane(MIB)
    thief.source.avoid.add(50 * MIB, 51 * MIB)
    assert field.steal(thief) is None
    lease.position = 51 * MIB
    assert field.steal(thief) is not None, "those bytes are here by now"


@pytest.mark.parametrize("largest", [0, 1, 2])
def test_the_largest_lease_of_a_lane_is_stolen_from_and_the_others_count(largest: int) -> None:
    field = Field()
    victim, thief = field.lane(MIB), field.lane(MIB, latency_s=0.001)
    lengths = [2 * MIB] * 3
    lengths[largest] = 6 * MIB
    leases = [field.lease(victim, 10 * at * MIB, 10 * at * MIB + length) for at, length in enumerate(lengths)]
    steal = some(field.steal(thief))
    assert steal.victim is leases[largest]
    # Ten seconds of work for one are five for two.
    assert taken(steal) == pytest.approx(5 * MIB, abs=4 * CUT_BYTES)


def test_of_two_that_are_equally_large_the_later_is_taken() -> None:
    field = Field()
    victim = field.lane(MIB)
    field.lease(victim, 0, 6 * MIB)
    later = field.lease(victim, 6 * MIB, 12 * MIB)
    assert some(field.steal(field.lane(MIB))).victim is later


def test_lanes_of_one_source_steal_from_each_other_as_far_as_more_lanes_bring_more() -> None:
    gains = {}
    for lane_bound in (True, None, False):
        for gain_s in (MIN_UNSURE_GAIN_S * 0.8, MIN_UNSURE_GAIN_S * 5):
            field = Field()
            source = field.source(lane_bound=lane_bound)
            victim, thief = field.lane(MIB, source=source), field.lane(MIB, source=source)
            field.lease(victim, 0, int(2 * gain_s * MIB))
            gains[lane_bound, gain_s > MIN_UNSURE_GAIN_S] = field.steal(thief) is not None
    assert gains == {
        (True, False): True, (True, True): True, (None, False): False, (None, True): True, (False, False): False,
        (False, True): False,
    }  # fmt: skip


def test_a_rate_that_is_not_shared_with_the_thief_may_be_helped_out() -> None:
    field = Field()
    field.lease(field.lane(MIB, source=field.source(lane_bound=False)), 0, 10 * MIB)
    assert field.steal(field.lane(MIB, source=field.source(lane_bound=False))) is not None


def test_where_lanes_share_a_rate_one_that_ends_leaves_its_part_to_the_others() -> None:
    """Two lanes at half a MiB/s each, one of them nearly done: the other will have the whole of it."""
    gains = {}
    for lane_bound in (True, False):
        field = Field()
        source = field.source(lane_bound=lane_bound)
        field.lease(field.lane(MIB // 2, source=source), 0, 8 * MIB)
        field.lease(field.lane(MIB // 2, source=source), 8 * MIB, 8 * MIB + CUT_BYTES)
        gains[lane_bound] = some(field.steal(field.lane(MIB))).gain_s
    assert gains[False] == pytest.approx(gains[True] / 2, rel=0.02)


# -- silence


def test_from_a_silent_lane_all_is_taken() -> None:
    field = Field()
    victim, thief = field.lane(10 * MIB), field.lane(100 * KIB)
    lease = field.lease(victim, 0, 4 * MIB)
    lease.position = 100
    steal = some(field.steal(thief, SILENCE_S))
    assert steal.victim is lease
    assert steal.cut == 100


def test_of_a_silent_lane_any_lease_may_be_taken() -> None:
    field = Field()
    victim, thief = field.lane(MIB), field.lane(MIB)
    first = field.lease(victim, 0, 40 * MIB)
    field.lease(victim, 40 * MIB, 41 * MIB)
    assert some(field.steal(thief, SILENCE_S)).victim is first


def test_of_a_silent_lane_even_a_sibling_takes_however_the_rate_is_shared() -> None:
    field = Field()
    source = field.source(lane_bound=False)
    victim, thief = field.lane(MIB, source=source), field.lane(MIB, source=source)
    field.lease(victim, 0, 4 * MIB)
    assert field.steal(thief, SILENCE_S, least_s=1e9) is not None


def test_between_reports_a_lease_goes_on() -> None:
    field = Field()
    lane = field.lane(MIB)
    running, waiting = field.lease(lane, 0, 10 * MIB), field.lease(lane, 10 * MIB, 20 * MIB)
    assert position_now(running, LATENCY_S + 0.5) == MIB // 2, "from when its first byte was due"
    assert position_now(running, 0.0) == 0
    assert position_now(waiting, LATENCY_S + 0.5) == 10 * MIB, "it has not begun"
    running.end = MIB // 4
    assert position_now(running, LATENCY_S + 0.5) == MIB // 4, "not past its end"
    assert position_now(running, SILENCE_S) == 0, "silent: it is where it was"
