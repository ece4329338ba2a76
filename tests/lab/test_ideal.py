"""The ideal, worked out by hand."""

from __future__ import annotations

import pytest

from tests.lab.ideal import ideal_s
from tests.lab.link import GOODPUT
from tests.lab.scenarios import MB, SCENARIOS, Content, Happening, Mirror, Scenario, Turn, of_rates, selected

# 8 Mbit/s bring 1 MB of frames a second.
PLAIN = Scenario(name="two", mirrors=of_rates(8, 24), size_bytes=round(8 * MB * GOODPUT))


def with_happenings(*happenings: Happening) -> Scenario:
    return Scenario(name="two", mirrors=PLAIN.mirrors, size_bytes=PLAIN.size_bytes, happenings=happenings)


def test_the_sum_of_the_rates() -> None:
    assert ideal_s(PLAIN) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("happenings", "seconds"),
    [
        ([Happening(1, 1, 0.0)], 5.0),
        ([Happening(1, 1, Turn.DIES)], 5.0),
        ([Happening(1, 1, Turn.DARK)], 5.0),
        ([Happening(1, 1, Turn.DARK), Happening(2, 1, Turn.LIGHT)], 2.75),
        ([Happening(2, 1, Turn.LIGHT), Happening(1, 1, Turn.DARK)], 2.75),
        ([Happening(1, 1, Turn.DIES), Happening(2, 1, Turn.RETURNS)], 2.75),
        ([Happening(1, 0, Turn.DARK), Happening(1, 1, Turn.DARK), Happening(9, 0, Turn.LIGHT)], 13.0),
        ([Happening(1, 0, Turn.DARK), Happening(1, 0, 40.0), Happening(1.5, 0, Turn.LIGHT)], 1.5 + 2.5 / 8),
        ([Happening(7, 1, Turn.DIES)], 2.0),
    ],
)
def test_what_happens_counts(happenings: list[Happening], seconds: float) -> None:
    assert ideal_s(with_happenings(*happenings)) == pytest.approx(seconds)


def test_a_mirror_of_wrong_bytes_counts_nothing() -> None:
    mirrors = (*of_rates(8), Mirror(rate_mbit=24, content=Content.WRONG))
    assert ideal_s(Scenario(name="liar", mirrors=mirrors, size_bytes=PLAIN.size_bytes)) == pytest.approx(8.0)


def test_one_that_comes_late() -> None:
    mirrors = (*of_rates(8), Mirror(rate_mbit=24, starts_dead=True))
    late = Scenario(
        name="late", mirrors=mirrors, size_bytes=PLAIN.size_bytes, happenings=(Happening(4, 1, Turn.RETURNS),)
    )
    assert ideal_s(late) == pytest.approx(5.0)


def test_no_mirror_is_left() -> None:
    with pytest.raises(ValueError, match="ends without a mirror"):
        ideal_s(with_happenings(Happening(1, 0, Turn.DIES), Happening(1, 1, Turn.DIES)))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_scenario_takes_long_enough_to_measure(scenario: Scenario) -> None:
    assert 4 <= ideal_s(scenario) < 60


def test_selecting() -> None:
    assert [scenario.name for scenario in selected("160, one dies at 2")] == ["160 / 2", "4 × 50, one dies at 2 s"]
    with pytest.raises(ValueError, match="no scenario has 'nothing like it'"):
        selected("nothing like it")
