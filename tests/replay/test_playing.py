"""What a scheduler said is said again; where it is not, the first difference is told."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.sim.__main__ import traced
from tests.sim.generate import random_script
from thunderdl.core.protocol import Failed, FaultKind, Fetch, SourceOpened, Tick
from thunderdl.core.ranges import RangeSet
from thunderdl.core.scheduler import Scheduler
from thunderdl.core.tracing import Begun, Entry, LaneGiven, Step
from thunderdl.errors import UsageError
from thunderdl.replay import playing
from thunderdl.replay.playing import Player
from thunderdl.replay.reading import entries

SETTINGS: dict[str, object] = {
    "size": 1000, "filled": RangeSet(), "align": 10, "host_lanes": 1, "all_lanes": 8, "retries": 2, "stall_s": 30.0,
}  # fmt: skip
BEGUN = Begun(name="f", seed=1, settings=SETTINGS, sources={1: "f"})
OPENED = SourceOpened(source=1, host="h", lane=1, start=0, end=100, latency_s=0.1)


def player(begun: Begun = BEGUN) -> Player:
    begun = replace(begun, settings={**begun.settings, "filled": RangeSet()})
    return Player(begun, random.Random(begun.seed))


def recorded() -> list[Entry]:
    scheduler = Scheduler(jitter=random.Random(1), **SETTINGS | {"filled": RangeSet()})  # type: ignore[arg-type]
    words: list[Entry] = [LaneGiven(scheduler.new_lane())]
    for at, event in ((5.0, OPENED), (6.0, Failed(1, 10, FaultKind.PASSING)), (7.0, Tick()), (9.0, Tick())):
        words.append(Step(at, event, tuple(scheduler.handle(event, at))))
    return words


@pytest.mark.parametrize("seed", [1, 5])
def test_a_world_replays_exactly(tmp_path: Path, seed: int) -> None:
    path = str(tmp_path / "t")
    outcome = traced(random_script(seed), path)
    found = entries(path, 1)
    _, begun = next(found)
    assert isinstance(begun, Begun)
    again = Player(begun, random.Random(begun.seed))
    for line, entry in found:
        again.play(line, entry)
    assert again.difference is None
    assert (again.events, again.commands) == (outcome.events, outcome.commands)


def test_it_is_exact() -> None:
    again = player()
    for line, entry in enumerate(recorded(), 3):
        again.play(line, entry)
    assert again.is_exact
    assert (again.events, again.last_line) == (4, 7)


def test_the_first_difference_is_told() -> None:
    again, words = player(), recorded()
    step = words[1]
    assert isinstance(step, Step)
    words[1] = replace(step, said=(Fetch(1, 1, 1, 0, 99),))
    for line, entry in enumerate(words, 3):
        again.play(line, entry)
    assert again.difference is not None
    assert again.difference.line == 4
    assert "SourceOpened" in again.difference.heard
    assert "end=99" in again.difference.expected
    assert "end=100" in again.difference.got
    assert again.events == 1


def test_another_lane_is_a_difference() -> None:
    again = player()
    again.play(2, LaneGiven(7))
    assert again.difference is not None
    assert (again.difference.expected, again.difference.got) == ("lane 7", "lane 1")


def test_an_exception_that_comes_again_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    again = player()
    monkeypatch.setattr(Scheduler, "_make_room", lambda self: 1 // 0)
    monkeypatch.setattr(again.scheduler, "_all_lanes", 0)
    again.play(2, Step(1.0, Tick(), raised="ZeroDivisionError"))
    assert again.is_exact
    assert again.raised == "ZeroDivisionError"
    again.play(3, Step(1.0, Tick()))
    assert again.difference is not None
    assert "ZeroDivisionError raised" in again.difference.got


@pytest.mark.parametrize("settings", [{}, {"size": 5}])
def test_a_scheduler_that_cannot_be_made_is_a_difference(settings: dict[str, object]) -> None:
    again = Player(replace(BEGUN, settings=settings), random.Random(1))
    again.play(2, Step(1.0, Tick()))
    assert again.difference is not None
    assert "TypeError raised" in again.difference.got
    assert list(again.given_up()) == []


def test_the_banned_are_named() -> None:
    again = player()
    for line, entry in enumerate(recorded(), 3):
        again.play(line, entry)
    assert list(again.given_up()) == []
    assert again.scheduler is not None
    source = again.scheduler.roster.sources[1]
    source.banned, source.note = True, "served wrong bytes again"
    assert list(again.given_up()) == [(1, "banned: served wrong bytes again")]


def test_an_absurd_trace_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "MOST_SOURCES", 20)
    again = player()
    for number in range(1, 21):
        again.play(number, Step(1.0, replace(OPENED, source=number, lane=number), ()))
        again.difference = None
    opened = partial(replace, OPENED)
    with pytest.raises(UsageError, match="more sources or connections than any download has"):
        again.play(30, Step(1.0, opened(source=30, lane=30), ()))
