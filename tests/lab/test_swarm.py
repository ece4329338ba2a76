"""The swarm contest's pure parts: its scenarios' ideals and shares, its report, its commands; no lab is laid."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.tools import Tool
from tests.lab.content import make_contents
from tests.lab.eight import Flock, summary
from tests.lab.ideal import ideal_of, ideal_s, seeds_suffice
from tests.lab.link import GOODPUT
from tests.lab.plot import save_plot
from tests.lab.race import Run
from tests.lab.report import Result
from tests.lab.scenarios import MB, Check, Content, Happening, Scenario, Seed, Turn, of_rates
from tests.lab.swarm_report import http_part, http_share, markdown, missed_share
from tests.lab.swarm_scenarios import SWARM_SCENARIOS, seeds_of
from tests.lab.swarm_tools import SWARM_RACERS
from tests.lab.tools import OURS, Wish

# 8 Mbit/s bring 1 MB of frames a second.
PLAIN = Scenario(name="one of each", mirrors=of_rates(8), seeds=seeds_of(24), size_bytes=round(8 * MB * GOODPUT))


def with_happenings(*happenings: Happening) -> Scenario:
    return Scenario(
        name="one of each", mirrors=PLAIN.mirrors, seeds=PLAIN.seeds, size_bytes=PLAIN.size_bytes, happenings=happenings
    )


def runs(*member_mb: float, fault: str = "") -> list[Run]:
    crossed = tuple(round(each * MB) for each in member_mb)
    return [Run(seconds=4, of_ideal=1.0, size_bytes=4 * MB, member_bytes=crossed, served_bytes=0, fault=fault)]


@pytest.mark.parametrize(
    ("happenings", "seconds", "part"),
    [
        ([], 2.0, 0.25),
        ([Happening(1, 1, Turn.DIES)], 5.0, 5 / 8),
        ([Happening(1, 0, Turn.DIES)], 7 / 3 , 1 / 8),
        ([Happening(1, 0, 40.0)], 1.5, 3.5 / 8),
    ],
)  # fmt: skip
def test_the_ideal_and_the_part_of_http(happenings: list[Happening], seconds: float, part: float) -> None:
    ideal = ideal_of(with_happenings(*happenings))
    assert ideal.seconds == pytest.approx(seconds, rel=1e-6)
    assert ideal.http_part(1) == pytest.approx(part)
    assert sum(ideal.brought_bytes) == pytest.approx(PLAIN.size_bytes)


def test_a_seed_of_wrong_pieces_counts_in_full() -> None:
    liar = Scenario(
        name="liar", mirrors=PLAIN.mirrors, seeds=(Seed(rate_mbit=24, content=Content.FIFTIETH),), size_bytes=MB
    )
    honest = Scenario(name="honest", mirrors=PLAIN.mirrors, seeds=PLAIN.seeds, size_bytes=MB)
    assert ideal_s(liar) == ideal_s(honest)


def test_whether_seeds_suffice() -> None:
    assert seeds_suffice(PLAIN)
    assert not seeds_suffice(with_happenings(Happening(1, 1, Turn.DIES)))
    assert not seeds_suffice(Scenario(name="slow", mirrors=of_rates(100), seeds=seeds_of(2)))


@pytest.mark.parametrize("scenario", SWARM_SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_scenario_takes_long_enough_to_measure(scenario: Scenario) -> None:
    assert scenario.seeds
    assert 3.9 <= ideal_s(scenario) < 60


def test_shares() -> None:
    # HTTP's part is 25 %.
    near, far = Result(PLAIN, {OURS: runs(1.1, 2.9)}), Result(PLAIN, {OURS: runs(2, 2)})
    assert http_part(far) == pytest.approx(0.25)
    assert [http_share(near, OURS), http_share(far, OURS)] == [0.275, 0.5]
    assert missed_share(near) == []
    assert missed_share(far) == ["50.0% from HTTP, its part of the bandwidth is 25.0%"]
    assert missed_share(Result(PLAIN, {OURS: runs(2, 2, fault="bad")})) == []
    swarm_alone = Scenario(name="alone", mirrors=(), seeds=seeds_of(24))
    assert missed_share(Result(swarm_alone, {OURS: runs(4)})) == []


def test_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Tool, "version_line", lambda tool: f"{tool.name} 1.0")
    monkeypatch.setattr(Tool, "absent", lambda tool: False)
    results = [Result(PLAIN, {OURS: runs(2, 2.04), "aria2c": runs(1, 3)}, {"aria2-next": "absent"})]
    text = markdown(results, runs=1, peer_runs=1)
    assert "| one of each (7 MB) | 2.00 | **1.000** (1.0%) | 1.00 (0.0%) | absent | – | – |" in text
    assert "| one of each (7 MB) | 25.0% | 49.5% | 25.0% | – | – | – |" in text
    assert "- one of each: 49.5% from HTTP, its part of the bandwidth is 25.0%" in text
    assert str(Path(__file__).parents[2]) not in text
    pytest.importorskip("matplotlib")
    save_plot(results, tmp_path / "plot.png", SWARM_RACERS)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_who_is_given_what(tmp_path: Path) -> None:
    contents, torrent = make_contents(tmp_path, 100_000), tmp_path / "x.torrent"

    def able(torrent: Path | None, *urls: str, seeds_suffice: bool = True) -> list[str]:
        wish = Wish(folder=tmp_path, urls=urls, check=Check.NOTHING, contents=contents, torrent=torrent,
                    seeds_suffice=seeds_suffice)  # fmt: skip
        commands = {racer.name: racer.command(wish) for racer in SWARM_RACERS}
        told = {name: command for name, command in commands.items() if command}
        assert all(set(urls) <= set(command) for name, command in told.items() if name != "libtorrent")
        return list(told)

    everybody = [racer.name for racer in SWARM_RACERS]
    assert able(torrent, "http://a/f", "http://b/f") == everybody
    assert able(torrent, "http://a/f", seeds_suffice=False) == [name for name in everybody if name != "libtorrent"]
    assert able(torrent) == everybody[:-1]
    assert able(None, "http://a/f") == []


def test_what_eight_brought() -> None:
    alone = Flock(size_bytes=50 * MB, seconds=(4.0,), origin_bytes=50 * MB, sent_bytes=(0,))
    flock = Flock(size_bytes=50 * MB, seconds=(5.0, 6.0), origin_bytes=60 * MB, sent_bytes=(9 * MB, 31 * MB))
    assert summary("x", alone, flock).splitlines() == [
        "x: 2 downloaders of 50 MB, ideal 4.18 s", "origin sent 1.20 times the file", "seconds of each: 5.00 6.00",
        "MB sent by each: 9.0 31.0", "the last 6.00 s, one alone 4.00 s: 1.50 times",
    ]  # fmt: skip
    failed = Flock(size_bytes=50 * MB, seconds=(5.0, None), origin_bytes=60 * MB, sent_bytes=(0, 0), said="why\n")
    assert failed.last_s is None
    assert summary("x", alone, failed).endswith("seconds of each: 5.00 failed\nMB sent by each: 0.0 0.0\nwhy")
