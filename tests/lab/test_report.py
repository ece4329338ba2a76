"""The report's own logic: medians, targets, cells; no lab is laid."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from tests.bench.tools import Tool
from tests.lab.content import make_contents
from tests.lab.plot import save_plot
from tests.lab.race import Run, notes_of
from tests.lab.report import Result, markdown, summary
from tests.lab.scenarios import SCENARIOS, Check, Content
from tests.lab.tools import OURS, RACERS, Wish

STEADY, DIES = SCENARIOS[0], next(scenario for scenario in SCENARIOS if "one dies at 2 s" in scenario.name)


@pytest.fixture(autouse=True)
def _no_tool_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tool, "version_line", lambda tool: f"{tool.name} 1.0")
    monkeypatch.setattr(Tool, "absent", lambda tool: False)


def runs(*of_ideal: float, twice: float = 0.005, fault: str = "") -> list[Run]:
    return [
        Run(seconds=4 * of, of_ideal=of, size_bytes=1000, member_bytes=(round(1000 * (1 + twice)),), served_bytes=1000,
            fault=fault)
        for of in of_ideal
    ]  # fmt: skip


def test_a_row_of_the_table() -> None:
    peers = {"aria2c": runs(1.5), "aria2-next": runs(12.0, fault="not done in time"), "axel -n8": runs(2, fault="bad")}
    result = Result(STEADY, {OURS: runs(1.01, 1.05, 1.02), **peers}, {"aria2c -s16 -x4 -k1M": "absent"})
    text = markdown([result], runs=3, peer_runs=1)
    assert "| 4 × 50 | 4.18 | **1.020** (0.5%), 1.010–1.050 | 1.50 (0.5%) | absent | > 12 | bad |" in text
    assert "the medians of 3 runs (of the others 1);" in text
    assert "1 of 1 scenarios meet all of them." in text
    assert "Missed" not in text
    assert summary(result).startswith("4 × 50: thunderdl **1.020**")


@pytest.mark.parametrize(
    ("result", "missed"),
    [
        (Result(STEADY, {OURS: runs(1.03)}), []),
        (Result(STEADY, {OURS: runs(1.04)}), ["1.040 of the ideal, not 1.03"]),
        (Result(DIES, {OURS: runs(1.04)}), []),
        (Result(DIES, {OURS: runs(1.04), "aria2c": runs(1.0)}), ["slower than aria2c (1.000)"]),
        (Result(DIES, {OURS: runs(1.004), "aria2c": runs(1.0)}), []),
        (Result(DIES, {OURS: runs(1.04), "aria2c": runs(1.0, fault="bad")}), []),
        (Result(STEADY, {OURS: runs(1.0, twice=0.02)}), ["2.0% fetched twice"]),
        (Result(STEADY, {OURS: [*runs(1.0), *runs(1.0, fault="bad")]}), ["bad (in 1 of 2 runs)"]),
    ],
)
def test_what_was_missed(result: Result, missed: list[str]) -> None:
    assert result.missed() == missed


def test_the_report_names_no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "host-of-mine")
    text = markdown([Result(STEADY, {OURS: runs(1.0)})], runs=1, peer_runs=1)
    assert "host-of-mine" not in text
    assert str(Path(__file__).parents[2]) not in text


def test_a_plot_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    results = [Result(STEADY, {OURS: runs(1.0), "aria2c": runs(12.0, fault="late")}), Result(DIES)]
    save_plot(results, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_who_can_do_what(tmp_path: Path) -> None:
    contents = make_contents(tmp_path, 100_000)
    able = {
        check: [
            racer.name
            for racer in RACERS
            if racer.command(Wish(folder=tmp_path, urls=["http://a/f", "http://b/f"], check=check, contents=contents))
        ]
        for check in Check
    }
    assert able[Check.NOTHING] == [racer.name for racer in RACERS]
    assert able[Check.SHA256] == [racer.name for racer in RACERS if "axel" not in racer.name]
    assert able[Check.PIECES] == [OURS]


def test_contents_are_told_apart(tmp_path: Path) -> None:
    contents = make_contents(tmp_path, 1_200_000)
    files = {content: folder / "file.bin" for content, folder in contents.folders.items()}
    assert [content for content, path in files.items() if contents.is_right(path)] == [Content.RIGHT]
    right, wrong, other, fiftieth = (files[content].stat() for content in Content)
    assert right.st_size == wrong.st_size == other.st_size == fiftieth.st_size
    assert right.st_mtime == wrong.st_mtime == fiftieth.st_mtime != other.st_mtime
    assert not contents.is_right(tmp_path / "absent")


def test_notes() -> None:
    told = 'a note\n{"wasted_bytes": 2000000, "sources": [{"bytes": 1500000}, {"bytes": 0}]}\n'
    assert notes_of(told) == ["a note", "wasted 2.00 MB; MB of each source: 1.5 0.0"]
    failed = '{"wasted_bytes": 0, "sources": [], "error": {"message": "no source is left"}}'
    assert notes_of(failed)[1:] == ["no source is left"]
