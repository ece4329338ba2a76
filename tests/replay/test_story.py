from __future__ import annotations

import pytest

from tests.replay.telling import MIB, START_S, Telling
from thunderdl.core.protocol import (
    Cancel,
    Close,
    Complete,
    Failed,
    FaultKind,
    Moved,
    PieceBad,
    Shrink,
    Shrunk,
    SourceLost,
    Tick,
)
from thunderdl.replay.tracks import MOST_POINTS, Doing, SourceTrack


def doings(source: SourceTrack) -> list[tuple[str, float, float]]:
    """What its first lane did, times since the start."""
    return [(s.doing.name, round(s.start - START_S, 3), round(s.end - START_S, 3)) for s in source.lanes[0].spans]


def test_a_lane_waits_brings_falls_silent_and_idles() -> None:
    telling = Telling()
    telling.open(0.0, 1, 1)
    lease = telling.fetch(1.0, 1, 1, 0, 10 * MIB, Tick())
    for tenth in range(11, 50):
        at = tenth / 10
        position = 0 if at < 1.5 else MIB if at < 2.0 else 2 * MIB if at < 4.0 else 3 * MIB
        telling.tell(at, Moved(lease, position))
    telling.end(5.0, lease, 10 * MIB)
    telling.tell(6.0, Tick(), Close(1))
    telling.story.close()
    source = telling.story.sources[1]
    assert doings(source) == [
        ("IDLE", 0.0, 1.0), ("WAITING", 1.0, 1.4), ("MOVING", 1.4, 2.0), ("SILENT", 2.0, 3.9), ("MOVING", 3.9, 4.0),
        ("SILENT", 4.0, 4.9), ("MOVING", 4.9, 5.0), ("IDLE", 5.0, 6.0),
    ]  # fmt: skip
    assert source.bytes == 10 * MIB
    assert source.lanes[0].closed == START_S + 6.0


def test_a_range_asked_for_ahead_follows_without_a_wait() -> None:
    telling = Telling()
    telling.open(0.0, 1, 1)
    first = telling.fetch(0.0, 1, 1, 0, MIB, Tick())
    second = telling.fetch(0.1, 1, 1, MIB, 2 * MIB, Moved(first, 1000))
    telling.end(1.0, first, MIB)
    telling.end(2.0, second, 2 * MIB, Complete())
    telling.story.close()
    assert [doing for doing, _, _ in doings(telling.story.sources[1])] == ["MOVING"]
    assert telling.story.completed == START_S + 2.0


def test_who_takes_what_from_whom() -> None:
    telling = Telling()
    telling.open(0.0, 1, 1)
    telling.open(0.0, 2, 2)
    slow = telling.fetch(0.0, 1, 1, 0, 10 * MIB, Tick())
    telling.tell(1.0, Moved(slow, MIB), Shrink(slow, 4 * MIB))
    quick = telling.fetch(1.1, 2, 2, 4 * MIB, 8 * MIB, Shrunk(slow, 4 * MIB))
    telling.fetch(1.2, 1, 1, 8 * MIB, 10 * MIB, Tick())
    one, two = telling.story.sources[1], telling.story.sources[2]
    assert (one.lost_bytes, one.won_bytes) == (4 * MIB, 0)
    assert (two.lost_bytes, two.won_bytes) == (0, 4 * MIB)
    lease = telling.story.leases[0]
    assert (lease.end, lease.asked_end, lease.cuts) == (4 * MIB, 10 * MIB, [(START_S + 1.1, 10 * MIB)])
    assert telling.story.leases[1].id == quick


def test_back_off_from_the_last_lane_that_failed_to_the_next_fetch() -> None:
    telling = Telling()
    telling.open(0.0, 1, 1)
    lease = telling.fetch(0.0, 1, 1, 0, MIB, Tick())
    telling.tell(1.0, Failed(lease, 1000, FaultKind.PASSING))
    telling.fetch(3.0, 1, 7, 1000, MIB, Tick())
    telling.tell(4.0, Failed(2, 1000, FaultKind.BUSY))
    telling.tell(5.0, Tick())
    telling.story.close()
    source = telling.story.sources[1]
    spans = [(span.doing, span.start - START_S, span.end - START_S) for span in source.away]
    assert spans == [(Doing.AWAY, 1.0, 3.0), (Doing.AWAY, 4.0, 5.0)]
    assert source.faults == 2
    assert telling.story.leases[0].failed
    assert telling.story.leases[0].how == "failed (passing)"


@pytest.mark.parametrize("kind", [FaultKind.LASTING, None])
def test_a_source_that_is_given_up(kind: FaultKind | None) -> None:
    telling = Telling()
    telling.open(0.0, 1, 1)
    lease = telling.fetch(0.0, 1, 1, 0, MIB, Tick())
    if kind:
        telling.tell(1.0, Failed(lease, 0, kind))
    else:
        telling.tell(1.0, SourceLost(1, "another version"), Cancel(lease, FaultKind.CANCELLED))
        telling.tell(1.1, Failed(lease, 0, FaultKind.CANCELLED))
    telling.story.close()
    source = telling.story.sources[1]
    assert source.gone == START_S + 1.0
    assert source.why_gone == ("a lasting fault" if kind else "another version")
    assert source.away == []


def test_wrong_bytes_are_remembered() -> None:
    telling = Telling()
    telling.open(0.0, 1, 1)
    telling.tell(1.0, PieceBad(0, MIB, frozenset({1, 2}), frozenset()))
    telling.tell(1.0, PieceBad(MIB, 2 * MIB, frozenset({1}), frozenset({1})))
    assert telling.story.bad == [(START_S + 1.0, 0, MIB), (START_S + 1.0, MIB, 2 * MIB)]
    assert telling.story.sources[1].bad_bytes == MIB + MIB // 2
    assert len(telling.story.sources[1].remarks) == 1


def test_the_most_connections_at_once() -> None:
    telling = Telling()
    for lane in range(5):
        telling.open(lane, 1 + lane % 2, lane)
        if lane:
            telling.tell(lane, Tick(), Close(lane - 1))
    assert telling.story.most_open == 2
    assert telling.story.most_lanes == {1: 1, 2: 1}


def test_a_lease_keeps_few_points_and_its_ends() -> None:
    telling = Telling()
    telling.open(0.0, 1, 1)
    lease = telling.fetch(0.0, 1, 1, 0, 100 * MIB, Tick())
    for step in range(1, 1000):
        telling.tell(step / 10, Moved(lease, step * 1000))
    track = telling.story.leases[0]
    assert len(track.points) <= MOST_POINTS
    assert track.points[0] == (START_S, 0)
    assert track.points[-1] == (START_S + 99.9, 999_000)


def test_what_makes_no_sense_is_passed_over() -> None:
    telling = Telling()
    telling.tell(0.0, Moved(99, 5))
    telling.tell(0.0, Shrunk(99, 5), Close(99))
    telling.open(0.0, 77, 1)
    lease = telling.fetch(5.0, 77, 1, 0, MIB, Tick())
    telling.tell(1.0, Moved(lease, 50 * MIB))
    telling.tell(1.0, Shrunk(lease, 90 * MIB))
    telling.story.close()
    assert telling.story.now == START_S + 5.0
    assert telling.story.sources[77].bytes == MIB
