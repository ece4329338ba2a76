from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.core.test_tracing import BEGUN
from tests.sim.__main__ import traced
from tests.sim.script import Script
from tests.sim.test_worlds import mirror
from thunderdl.cli.app import main
from thunderdl.core.protocol import Tick
from thunderdl.core.tracing import Step, line_of

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "world.trace"
    traced(Script(sources=(mirror(1, 50), mirror(2, 20)), size=20_000_000, align=256 * 1024), str(path))
    return path


def test_a_trace_is_told_and_drawn(trace: Path, capsys: Captured) -> None:
    assert main(["replay", str(trace)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^replays exactly: \d+ events, \d+ commands$", out, re.MULTILINE)
    assert out.endswith(f"chart: {trace.with_suffix('.svg')}\n")
    assert trace.with_suffix(".svg").read_text().startswith("<svg xmlns=")


def test_where_the_chart_goes(trace: Path, capsys: Captured) -> None:
    chart = trace.parent / "other.svg"
    for _ in range(2):
        # A chart of before is replaced.
        assert main(["replay", str(trace), "-o", str(chart)]) == 0
    assert chart.read_text().endswith("</svg>\n")
    capsys.readouterr()


def test_what_is_no_chart_is_left_alone(trace: Path, capsys: Captured) -> None:
    thesis = trace.with_suffix(".svg")
    thesis.write_text("ten years of work")
    assert main(["replay", str(trace)]) == 2
    assert thesis.read_text() == "ten years of work"
    assert capsys.readouterr().err == f"thunderdl: {thesis} exists and is not a chart; choose another name with -o.\n"
    (trace.parent / "link.svg").symlink_to(trace.parent / "nowhere")
    assert main(["replay", str(trace), "-o", str(trace.parent / "link.svg")]) == 9
    assert main(["replay", str(trace), "-o", str(trace.parent)]) == 9
    assert main(["replay", str(trace), "-o", str(trace)]) == 2


def test_a_difference_is_told_with_its_line(trace: Path, capsys: Captured) -> None:
    lines = trace.read_text().splitlines()
    number = next(n for n, line in enumerate(lines) if '"said"' in line)
    lines[number] = re.sub(r'"end":\d+\}\}\]', '"end":7}}]', lines[number])
    trace.write_text("\n".join(lines) + "\n")
    assert main(["replay", str(trace)]) == 1
    out = capsys.readouterr().out
    assert f"differs at line {number + 1}, after 1 events: on SourceOpened(" in out
    assert "expected: Fetch(" in out
    assert "got:      Fetch(" in out
    assert "chart: " in out


def test_one_of_several_is_picked(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "t"
    small = line_of(2, BEGUN).replace('"size":1000', '"size":10').replace("[20,30]", "[5,6]").replace("[0,10],", "")
    lines = ['{"thunderdl trace": 1}', small, line_of(1, BEGUN), line_of(1, Step(1.0, Tick()))]
    path.write_text("\n".join(lines) + "\n")
    main(["replay", str(path)])
    out = capsys.readouterr().out
    assert "2 downloads; --download N picks another one:" in out
    assert re.search(r"^\*    1  0.98 KiB  http://one/f$", out, re.MULTILINE)
    main(["replay", str(path), "--download", "2"])
    assert re.search(r"^\*    2      10 B  http://one/f$", capsys.readouterr().out, re.MULTILINE)
    assert main(["replay", str(path), "--download", "x\x1b"]) == 2
    assert capsys.readouterr().err == "thunderdl: --download x\ufffd: the trace has the downloads 2, 1.\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{}\n", "not a trace of thunderdl."),
        ('{"thunderdl trace": 1}\n', "no download is in this trace."),
        ('{"thunderdl trace": 1}\nx\n', "line 2: not a line of a trace."),
    ],
)
def test_what_is_no_trace_is_one_sentence(tmp_path: Path, capsys: Captured, content: str, told: str) -> None:
    path = tmp_path / "t"
    path.write_text(content)
    assert main(["replay", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"thunderdl: {path}")
    assert captured.err.endswith(f"{told}\n")
    assert captured.err.count("\n") == 1
    assert not path.with_suffix(".svg").exists()
