"""What lanes and sources are taken to be able to: rates, waits, silence."""

from __future__ import annotations

import pytest

from tests.core.field import FAR_S, LATENCY_S, MIB, Field
from thunderdl.core.roster import SILENT_S, SILENT_TRIPS, UNKNOWN_RATE_BYTES_PER_S, Lane

# -- silence


@pytest.mark.parametrize("latency_s", [LATENCY_S, 2.0])
def test_silence_begins_when_the_first_byte_is_due_and_is_measured_in_round_trips_too(latency_s: float) -> None:
    field = Field()
    lane = field.lane(MIB, latency_s=latency_s)
    field.lease(lane, 0, MIB)
    silent_from = latency_s + max(SILENT_S, SILENT_TRIPS * latency_s)
    assert not lane.is_silent(silent_from - 0.01)
    assert lane.is_silent(silent_from + 0.01)
    assert lane.silent_s(silent_from) == pytest.approx(silent_from - latency_s)
    assert lane.silent_s(0.0) == 0.0


def test_a_lane_without_work_is_not_silent() -> None:
    lane = Field().lane(MIB)
    assert not lane.is_silent(FAR_S)
    assert lane.silent_s(FAR_S) == 0.0


def test_what_waits_behind_a_cut_is_asked_anew_and_due_later() -> None:
    field = Field()
    lane = field.lane(MIB, latency_s=2.0)
    first, second = field.lease(lane, 0, 4 * MIB), field.lease(lane, 4 * MIB, 8 * MIB)
    first.end = 2 * MIB
    field.roster.drop_lease(first, 10.0)
    assert second.due_at == 10.0 + 2 * 2.0
    assert not lane.is_silent(10.0 + 2 * 2.0 + SILENT_S)


# -- rates


def test_a_pipelined_lease_is_due_when_it_was_asked_for_not_when_its_turn_comes() -> None:
    """The wait for a first byte does not count as time in which nothing came: nor does what ran before it."""
    field = Field()
    lane = field.lane(None, latency_s=1.0)
    first = field.lease(lane, 0, MIB)
    lane.rate.add(MIB, 2.0)
    assert lane.rate.mean == pytest.approx(MIB), "a second of waiting, a second of bytes"
    late = field.roster.add_lease(lane, MIB, 2 * MIB, 1.5)
    field.roster.drop_lease(first, 2.0)
    assert late.due_at == 2.5
    lane.rate.add(MIB, 3.5)
    assert lane.rate.mean == pytest.approx(MIB), "half a second until it was due does not count"


def test_an_idle_lane_that_is_put_to_work_again_has_not_been_slow_meanwhile() -> None:
    field = Field()
    lane = field.lane(MIB, latency_s=1.0)
    field.roster.add_lease(lane, 0, MIB, 50.0)
    lane.rate.add(MIB, 52.0)
    assert lane.rate.mean == pytest.approx(MIB)


def test_an_idle_lane_is_as_quick_as_its_busy_siblings() -> None:
    field = Field()
    source = field.source()
    busy, idle = field.lane(2 * MIB, source=source), field.lane(100, source=source)
    field.lease(busy, 0, MIB)
    assert idle.likely_rate() == pytest.approx(2 * MIB)
    field.lease(idle, MIB, 2 * MIB)
    assert idle.likely_rate() == pytest.approx(100)


def test_one_more_lane_brings_its_share_unless_more_lanes_bring_more() -> None:
    for lane_bound, share in ((None, 0.5), (False, 0.5), (True, 1.0)):
        field = Field()
        source = field.source(lane_bound=lane_bound)
        field.lane(MIB, source=source)
        field.lane(None, source=source)
        assert source.lane_rate() == pytest.approx(MIB * share)


def test_of_a_source_without_lanes_the_past_counts_then_the_others_then_a_guess() -> None:
    field = Field()
    source = field.source()
    assert source.lane_rate() == UNKNOWN_RATE_BYTES_PER_S
    for rate in (MIB, 2 * MIB, 9 * MIB):
        field.lane(rate)
    assert source.lane_rate() == pytest.approx(2 * MIB)
    lane = field.lane(5 * MIB, source=source)
    field.roster.drop_lane(lane)
    assert source.lane_rate() == pytest.approx(5 * MIB)


def test_silent_lanes_and_sources_are_not_counted_on() -> None:
    field = Field()
    flowing, hanging = field.lane(MIB), field.lane(2 * MIB)
    field.lease(flowing, 0, MIB)
    field.lease(hanging, MIB, 2 * MIB)
    now = LATENCY_S + SILENT_S + 0.1
    flowing.leases[0].moved_at = now
    assert field.roster.likely_rate(0.0) == pytest.approx(3 * MIB)
    assert field.roster.likely_rate(now) == pytest.approx(MIB)
    hanging.leases[0].moved_at = now
    hanging.source.silent = True
    assert field.roster.likely_rate(now) == pytest.approx(MIB)
    flowing.source.banned = True
    assert field.roster.likely_rate(now) == 0


# -- when it is ready


def working(field: Field, *, latency_s: float = LATENCY_S, length: int = 4 * MIB) -> Lane:
    lane = field.lane(MIB, latency_s=latency_s)
    field.lease(lane, 0, length)
    lane.worked = True
    return lane


def test_work_goes_on_between_reports_and_does_not_before_the_first_byte() -> None:
    field = Field()
    lane = working(field, latency_s=1.0)
    assert lane.left_s(0.0) == pytest.approx(5.0)
    assert lane.left_s(3.0) == pytest.approx(2.0)
    assert lane.left_s(FAR_S) == 0.0


def test_all_of_a_lanes_leases_count() -> None:
    field = Field()
    lane = working(field)
    field.lease(lane, 8 * MIB, 10 * MIB)
    assert lane.left_bytes == 6 * MIB
    assert lane.left_s(LATENCY_S) == pytest.approx(6.0)


def test_a_lane_asks_while_it_works_and_connects_anew_where_its_answer_was_cut() -> None:
    field = Field()
    lane = working(field, latency_s=1.0)
    now = 1.0
    assert lane.ready_s(now) == pytest.approx(4.0), "asked ahead: no wait in between"
    lane.leases[0].position = 4 * MIB - 1
    assert lane.ready_s(now) == pytest.approx(1.0), "no sooner than a round trip from now"
    lane.leases[0].position = 0
    lane.leases[0].end = 3 * MIB
    assert lane.is_cut
    assert lane.ready_s(now) == pytest.approx(3.0 + 2.0), "then it connects and asks"


def test_a_lane_that_is_not_connected_needs_two_round_trips() -> None:
    field = Field()
    lane = field.lane(MIB, latency_s=1.0)
    assert lane.asking_s == 1.0
    lane.connected = False
    assert lane.asking_s == 2.0


# -- too many


def test_the_last_lanes_are_those_too_many_but_not_one_that_sees_whether_the_source_is_back() -> None:
    field = Field()
    source = field.source()
    lanes = [field.lane(MIB, source=source) for _ in range(4)]
    source.climb.step_down(2)
    assert [source.is_surplus(lane) for lane in lanes] == [False, False, True, True]
    lanes[3].probe = True
    assert not source.is_surplus(lanes[3])
    lanes[3].probe = False
    source.keep_first(lanes[3])
    assert [source.is_surplus(lane) for lane in lanes] == [False, True, True, False]
