"""The chart: well-formed whatever the story, small however long, and what happened is in it."""

from __future__ import annotations

import random
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.replay.telling import MIB, START_S, Telling
from tests.sim.__main__ import traced
from tests.sim.generate import random_script
from thunderdl.core.protocol import Complete, Failed, FaultKind, Moved, PieceBad, Shrink, Shrunk, SourceLost, Tick
from thunderdl.core.ranges import RangeSet
from thunderdl.core.tracing import Begun
from thunderdl.replay.chart import draw, labels
from thunderdl.replay.playing import Player
from thunderdl.replay.reading import entries
from thunderdl.replay.report import report
from thunderdl.replay.story import Story

SVG = "{http://www.w3.org/2000/svg}"


def eventful() -> Telling:
    """Two of three sources bring a file; one breaks, backs off, is stolen from, lies and is given up."""
    telling = Telling(20 * MIB, sources=3, filled=RangeSet([(18 * MIB, 20 * MIB)]))
    telling.open(0.0, 1, 1)
    telling.open(0.0, 2, 2)
    quick = telling.fetch(0.0, 1, 1, 0, 8 * MIB, Tick())
    slow = telling.fetch(0.0, 2, 2, 8 * MIB, 18 * MIB, Tick())
    for tenth in range(1, 21):
        telling.tell(tenth / 10, Moved(quick, tenth * 4 * MIB // 10))
        telling.tell(tenth / 10, Moved(slow, 8 * MIB + tenth * MIB // 10))
    telling.end(2.0, quick, 8 * MIB, Shrink(slow, 12 * MIB))
    taken = telling.fetch(2.1, 1, 1, 12 * MIB, 18 * MIB, Shrunk(slow, 12 * MIB))
    telling.tell(2.5, Failed(slow, 10 * MIB, FaultKind.PASSING))
    again = telling.fetch(3.0, 2, 4, 10 * MIB, 12 * MIB, Tick())
    telling.end(3.2, again, 12 * MIB)
    telling.tell(3.3, PieceBad(10 * MIB, 12 * MIB, frozenset({2}), frozenset({2})))
    telling.tell(3.4, SourceLost(2, "it served <wrong> bytes"))
    last = telling.fetch(3.5, 1, 5, 10 * MIB, 12 * MIB, Tick())
    telling.end(4.0, last, 12 * MIB)
    telling.end(4.5, taken, 18 * MIB, Complete())
    telling.story.close()
    return telling


def looks(chart: str, kind: str) -> list[str]:
    """The classes of all elements of a kind."""
    return [each.get("class", "") for each in ElementTree.fromstring(chart).iter(f"{SVG}{kind}")]


def texts(chart: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(chart).iter(f"{SVG}text")]


def test_what_happened_is_in_the_chart() -> None:
    chart = draw(eventful().story)
    paths, boxes, lines = looks(chart, "path"), looks(chart, "rect"), looks(chart, "line")
    assert paths.count("lease l1") == 3
    assert paths.count("lease l2") == 2
    assert paths.count("g1") == 3
    assert {"area s1", "area s2"} <= set(paths)
    assert "area s3" not in paths
    assert {"there", "bad", "gone", "away", "full s1", "full s2"} <= set(boxes)
    assert {"cut", "fault", "mean"} <= set(lines)
    told = texts(chart)
    assert "f.iso" in told[0]
    assert any("mirror1.example.org · " in text for text in told)
    assert "it served <wrong> bytes" in told
    assert "never used" in told


def test_pointing_at_a_lease_tells_of_it() -> None:
    chart = draw(eventful().story)
    hints = [each.text or "" for each in ElementTree.fromstring(chart).iter(f"{SVG}title")]
    assert any(
        "mirror2.example.org, connection 2: 2.00 MiB from 8.00 MiB on, of 10.0 MiB asked for" in hint
        and "failed (passing)" in hint for hint in hints
    )  # fmt: skip


def test_names_do_not_break_out() -> None:
    names = {1: 'http://a"><script>x</script>\x1b/f', 2: "http://b/\u202e&amp;", 3: ""}
    settings: dict[str, object] = {"size": 10, "filled": RangeSet()}
    story = Story(Begun(name="<b>&", seed=1, settings=settings, sources=names))
    story.close()
    chart = draw(story)
    ElementTree.fromstring(chart)
    assert "<script" not in chart
    assert "\u202e" not in chart


@pytest.mark.parametrize("sources", [1, 40])
def test_a_story_without_a_word(sources: int) -> None:
    telling = Telling(sources=sources)
    telling.story.close()
    ElementTree.fromstring(draw(telling.story))


def test_many_leases_make_no_large_file() -> None:
    telling = Telling(2**40, sources=8)
    rng = random.Random(1)
    for lane in range(64):
        telling.open(0.0, lane % 8 + 1, lane)
    at, step = 0.0, 2**40 // 100_000
    running: dict[int, int] = {}
    for number in range(100_000):
        lane, at = number % 64, at + rng.random() / 50
        if lane in running:
            telling.end(at, running[lane], 2**62)
        running[lane] = telling.fetch(at, lane % 8 + 1, lane, number * step, (number + 1) * step, Tick())
    telling.story.close()
    chart = draw(telling.story)
    assert len(chart) < 2_000_000
    assert re.search(r"the largest \d+ of 100000 ranges are drawn", chart)


def test_many_short_lanes_make_no_large_file() -> None:
    telling = Telling(sources=1)
    for number in range(20_000):
        lease = telling.fetch(number / 10, 1, number, 0, MIB, Tick())
        telling.tell(number / 10 + 0.05, Failed(lease, 0, FaultKind.PASSING))
    telling.story.close()
    assert len(draw(telling.story)) < 2_000_000


def test_absurd_times_and_sizes_are_drawn() -> None:
    telling = Telling(2**62)
    telling.open(0.0, 1, 1)
    lease = telling.fetch(0.0, 1, 1, 0, 2**62, Tick())
    telling.tell(4e18, Moved(lease, 2**61))
    telling.story.close()
    ElementTree.fromstring(draw(telling.story))


@pytest.mark.parametrize("seed", [3, 8])
def test_worlds_are_drawn_and_told(tmp_path: Path, seed: int) -> None:
    path = str(tmp_path / "t")
    traced(random_script(seed), path)
    found = entries(path, 1)
    _, begun = next(found)
    assert isinstance(begun, Begun)
    player, story = Player(begun, random.Random(begun.seed)), Story(begun)
    for line, entry in found:
        player.play(line, entry)
        story.take(entry)
    story.close()
    ElementTree.fromstring(draw(story))
    lines = list(report(story, player))
    assert lines[1].startswith("replays exactly: ")
    assert sum(source.bytes for source in story.sources.values()) >= begun.size


def test_sources_of_one_host_are_told_apart() -> None:
    names = {1: "https://h/a/f", 2: "https://h/b/f", 3: "https://other/f", 4: "x" * 99}
    story = Story(Begun(name="f", seed=1, settings={"size": 1}, sources=names))
    assert labels(story) == {1: "h/a/f", 2: "h/b/f", 3: "other", 4: f"{'x' * 15}…{'x' * 14}"}


def test_the_report_in_full() -> None:
    telling = eventful()
    player = Player(Begun(name="f", seed=1, settings={}, sources={}), random.Random(1))
    player.difference = None
    lines = list(report(telling.story, player))
    assert lines[:3] == [
        "https://mirror1.example.org/f.iso", "replays exactly: 0 events, 0 commands",
        "18.0 MiB of 20.0 MiB in 4.5 s (4.44 MiB/s), 2.00 MiB were there, 2.00 MiB fetched again",
    ]  # fmt: skip
    told = "\n".join(lines)
    for words in (
        "mirror1.example.org   80%", "mirror2.example.org   20%", "6.00 MiB                  –",
        "without a connection after faults for 0.50 s between 2.5 s and 3.0 s",
        "given up at 3.4 s: it served <wrong> bytes", "never used", "had a part in a piece that did not match its hash",
        "a tenth of the time the rate was", "it came near that rate after", "the time of all connections: ",
    ):  # fmt: skip
        assert words in told, told
    assert START_S > 0
