"""Trace files as they may be found: whole, torn, foreign, hostile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.core.test_tracing import BEGUN
from thunderdl.core.protocol import Tick
from thunderdl.core.tracing import LaneGiven, Step, line_of
from thunderdl.errors import UsageError
from thunderdl.replay import reading
from thunderdl.replay.reading import downloads, entries

FIRST = '{"thunderdl trace": 1}'


def written(folder: Path, *lines: str, end: str = "\n") -> str:
    path = folder / "t"
    path.write_text("\n".join((FIRST, *lines)) + end, encoding="utf-8", errors="surrogatepass")
    return str(path)


def refused(path: str) -> str:
    with pytest.raises(UsageError) as caught:
        _ = [list(entries(path, each.number)) for each in downloads(path)]
    assert str(caught.value).startswith(path)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_downloads_are_listed_and_told_apart(tmp_path: Path) -> None:
    lines = [line_of(1, BEGUN), line_of(2, BEGUN), line_of(1, LaneGiven(1)), line_of(2, Step(1.0, Tick()))]
    path = written(tmp_path, *lines, line_of(2, LaneGiven(2)))
    assert [(each.number, each.size, each.entries) for each in downloads(path)] == [(1, 1000, 2), (2, 1000, 3)]
    assert list(entries(path, 1)) == [(2, BEGUN), (4, LaneGiven(1))]


def test_a_torn_line_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, line_of(1, BEGUN), line_of(1, LaneGiven(1))[:-3], end="")
    assert list(entries(path, 1)) == [(2, BEGUN)]
    assert downloads(path)[0].entries == 1


def test_an_empty_trace_has_no_downloads(tmp_path: Path) -> None:
    assert downloads(written(tmp_path)) == ()


@pytest.mark.parametrize("content", [b"", b"\n", b"\x7fELF\x00", b"\xff\xfe", b"{}\n", b"GET / HTTP/1.1\r\n"])
def test_what_is_no_trace(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t"
    path.write_bytes(content)
    if content:
        assert "not a trace of thunderdl" in refused(str(path))
    else:
        assert downloads(str(path)) == ()


def test_another_format(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text('{"thunderdl trace": 2}\n')
    assert "another format than 1" in refused(str(path))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("garbage", "line 3: not a line of a trace"), ("", "line 3: not a line of a trace"),
        ('{"d":1,', "line 3: not JSON"), ('{"d":1,"at":NaN,"heard":{"Tick":{}}}', "line 3: NaN is no number"),
        ('{"d":1,"x":' + "[" * 100_000, "line 3: nested too deeply"),
        ('{"d":1,"at":1,"heard":{"\x1b[31mX":{}}}', "line 3: not JSON"),
        ('{"d":1,"at":1,"heard":{"\\u001b[31m\\u202eX":{}}}', "is nothing that a scheduler hears or says"),
        ('{"d":99999999999,"lane":1}', "line 3: not a line of a trace"),
    ],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str, told: str) -> None:
    assert told in refused(written(tmp_path, line_of(1, BEGUN), line, line_of(1, LaneGiven(1))))


def test_no_line_is_longer_than_any_of_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST_LINE", 2000)
    path = written(tmp_path, line_of(1, BEGUN), '{"d":1,"x":"' + "a" * 3000 + '"}')
    assert "line 3: longer than any line of a trace" in refused(path)


def test_no_folder_no_pipe_no_absent_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a trace" in refused(str(tmp_path / "pipe"))
    assert "Is a directory" in refused(str(tmp_path))
    assert "No such file" in refused(str(tmp_path / "absent"))
