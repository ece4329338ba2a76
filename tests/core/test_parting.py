"""One limit over two that keep to rates of their own: never more in all, none starves while the other idles."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.core.parting import MOST_EXTRA, SAVED_S, Part, Parting, filled

LOOK_S = 0.25
LIMIT = 1_000_000.0
INF = float("inf")
Could = Callable[[float], float]


class Road:
    """Parties that could bring so much at a time, held to their parts; a virtual clock. ``lumps``: bytes that come at
    once."""

    def __init__(self, *could: float | Could, limit: float | None = LIMIT, lump_bytes: int = 0) -> None:
        self.parting, self.now, self.limit, self.lump_bytes = Parting(), 0.0, limit, lump_bytes
        self.could = [self._named(each) for each in could]
        self.parts = [self.parting.join(Part()) for _ in could]
        self.had = [0.0 for _ in could]
        self.in_lumps = [0.0 for _ in could]
        self.parting.divide(limit)

    def _named(self, rate: float | Could) -> Could:
        return rate if callable(rate) else lambda _: rate

    def drive(self, seconds: float) -> list[float]:
        """The rate of each over that time."""
        before, until = list(self.had), self.now + seconds
        while self.now < until - 1e-9:
            self.now += LOOK_S
            moved = dict[Part, float]()
            for at, part in enumerate(self.parts):
                could = self.could[at](self.now)
                rate = could if self.limit is None else min(could, part.rate_bytes_per_s)
                moved[part] = self._seen(at, rate * LOOK_S)
                self.had[at] += moved[part]
            self.parting.note(moved, LOOK_S)
            self.parting.divide(self.limit)
            if self.limit is not None:
                assert sum(part.rate_bytes_per_s for part in self.parts) <= self.limit * (1 + MOST_EXTRA) * (1 + 1e-9)
        if self.limit is not None:
            assert sum(self.had) - sum(before) <= self.limit * (seconds + SAVED_S) + len(self.had) * self.lump_bytes
        return [(now - then) / seconds for now, then in zip(self.had, before, strict=True)]

    def _seen(self, at: int, count_bytes: float) -> float:
        if not self.lump_bytes:
            return count_bytes
        self.in_lumps[at] += count_bytes
        seen = self.in_lumps[at] // self.lump_bytes * self.lump_bytes
        self.in_lumps[at] -= seen
        return seen


@pytest.mark.parametrize(
    ("could", "expected"),
    [
        ((INF, INF), (0.5, 0.5)),
        ((INF, 0.0), (1.0, 0.0)),
        ((0.0, INF), (0.0, 1.0)),
        ((INF, 0.2 * LIMIT), (0.8, 0.2)),
        ((0.1 * LIMIT, 0.1 * LIMIT), (0.1, 0.1)),
        ((0.45 * LIMIT, INF), (0.45, 0.55)),
        ((INF, INF, INF, 0.1 * LIMIT), (0.3, 0.3, 0.3, 0.1)),
    ],
)
@pytest.mark.parametrize("lump_bytes", [0, 16 * 1024])
def test_each_has_its_share_and_what_others_leave(
    could: tuple[float, ...], expected: tuple[float, ...], lump_bytes: int
) -> None:
    road = Road(*could, lump_bytes=lump_bytes)
    road.drive(3.0)
    rates = road.drive(10.0)
    assert sum(rates) <= LIMIT * 1.03
    for rate, share in zip(rates, expected, strict=True):
        assert rate >= (share - 0.04) * LIMIT
        assert rate <= (share + 0.03) * LIMIT


def test_who_wakes_up_has_its_share_within_two_seconds() -> None:
    road = Road(INF, lambda now: INF if now > 10 else 0.0)
    road.drive(10.0)
    assert road.drive(2.0)[1] >= 0.2 * LIMIT
    assert road.drive(1.0)[1] == pytest.approx(0.5 * LIMIT, rel=0.02)


def test_who_falls_silent_leaves_its_part_within_two_seconds() -> None:
    road = Road(INF, lambda now: INF if now < 10 else 0.0)
    road.drive(12.0)
    assert road.drive(1.0)[0] >= 0.95 * LIMIT


def test_weights() -> None:
    road = Road(INF, INF)
    road.parts[0].weight = 3.0
    road.drive(3.0)
    assert road.drive(2.0) == pytest.approx([0.75 * LIMIT, 0.25 * LIMIT], rel=0.02)


def test_another_limit_holds_at_once_for_all() -> None:
    road = Road(INF, INF)
    road.drive(3.0)
    road.limit = LIMIT / 10
    road.parting.divide(road.limit)
    assert [part.rate_bytes_per_s for part in road.parts] == pytest.approx([LIMIT / 20] * 2, rel=0.01)
    road.limit = LIMIT * 10
    road.parting.divide(road.limit)
    assert sum(part.rate_bytes_per_s for part in road.parts) == pytest.approx(10 * LIMIT)


def test_a_limit_after_none_is_not_paid_for_what_came_before() -> None:
    road = Road(3 * LIMIT, 3 * LIMIT, limit=None)
    road.drive(3.0)
    road.limit = LIMIT
    road.parting.divide(LIMIT)
    assert sum(part.rate_bytes_per_s for part in road.parts) == pytest.approx(LIMIT)


def test_what_was_had_too_much_is_given_back() -> None:
    """libtorrent has let more pass than it was told: the others have so much less."""
    parting = Parting()
    one, two = parting.join(Part()), parting.join(Part())
    parting.divide(LIMIT)
    had = 0.0
    for _ in range(40):
        moved = {one: one.rate_bytes_per_s * LOOK_S * 1.2, two: two.rate_bytes_per_s * LOOK_S}
        had += sum(moved.values())
        parting.note(moved, LOOK_S)
        parting.divide(LIMIT)
    assert had <= 40 * LOOK_S * LIMIT * 1.03


def test_who_leaves_leaves_all_of_it() -> None:
    road = Road(INF, INF)
    road.drive(3.0)
    road.parting.leave(road.parts.pop())
    road.parting.divide(LIMIT)
    assert road.parts[0].rate_bytes_per_s == pytest.approx(LIMIT)


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 1e9)), min_size=1, max_size=8), st.floats(0, 1e9))
def test_all_of_it_is_given_out_and_nobody_starves(wishes: list[tuple[float, float]], capacity: float) -> None:
    given_out = filled(capacity, wishes)
    assert sum(given_out) == pytest.approx(capacity, abs=1e-3)
    whole = sum(weight for weight, _ in wishes)
    for rate, (weight, wanted) in zip(given_out, wishes, strict=True):
        assert rate >= min(wanted, capacity * weight / whole) * (1 - 1e-9) - 1e-6


def test_noise_costs_little() -> None:
    random_ = random.Random(5)
    road = Road(lambda _: random_.uniform(0.2, 0.4) * LIMIT, lambda _: random_.uniform(0.6, 1.4) * LIMIT)
    road.drive(3.0)
    rates = road.drive(20.0)
    assert 0.95 * LIMIT <= sum(rates) <= LIMIT * 1.02
