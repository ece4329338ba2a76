"""The benchmark's own logic: commands, goals and table, without running a tool."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from tests.bench.measure import Cost, median
from tests.bench.report import Findings, markdown
from tests.bench.rows import ROWS, Outcome
from tests.bench.special import HugeFile
from tests.bench.tools import TOOLS, Job, Tool

PLAIN = ROWS[0]


@pytest.fixture(autouse=True)
def _no_tool_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tool, "version_line", lambda tool: f"{tool.name} 1.0")


def cost(wall_s: float) -> Cost:
    return Cost(wall_s=wall_s, user_s=wall_s / 2, system_s=wall_s / 2, peak_bytes=20_000_000)


def findings() -> Findings:
    outcomes = [
        Outcome(tool="bare", cost=cost(1.0)),
        Outcome(tool="thunderdl", cost=cost(1.5)),
        Outcome(tool="aria2c", cost=cost(3.0)),
        Outcome(tool="axel", cost=None, note="absent, skipped"),
    ]
    return Findings(size_bytes=2 << 30, runs=5, rows=[(PLAIN, outcomes)], huge=[HugeFile(tool="thunderdl", start_s=2)])


def test_the_median_of_each_figure() -> None:
    assert median([cost(3), cost(1), cost(2)]) == cost(2)


def test_table_and_goals() -> None:
    text = markdown(findings())
    assert "| thunderdl | 1.500 | 0.50 | 0.75 | 0.75 | 0.50 | 20.0 |" in text
    assert "| axel | absent, skipped |" in text
    assert "| plain HTTP, wall, of aria2c | ≤ 0.6 | 0.50 | met |" in text
    assert "| plain HTTP, wall, of the bare program | ≤ 1.25 | 1.50 | **missed** |" in text
    assert "| 1 TB file: start | ≤ 1 s | 2.00 s | **missed** |" in text
    assert "TLS, wall" not in text


def test_the_report_names_no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "host-of-mine")
    text = markdown(findings())
    assert "host-of-mine" not in text
    assert str(Path(__file__).parents[2]) not in text


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_fetches_one_file(name: str) -> None:
    command = TOOLS[name].command(Job(folder=Path("out"), url="http://127.0.0.1:1/f", name="f", size_bytes=9))
    assert command
    assert any("http://127.0.0.1:1/f" in word for word in command)


def test_only_thunderdl_makes_content_keys() -> None:
    job = Job(folder=Path("out"), url="http://127.0.0.1:1/f", name="f", key=True)
    able = [name for name in TOOLS if name != "bare" and TOOLS[name].command(job)]
    assert able == ["thunderdl"]
